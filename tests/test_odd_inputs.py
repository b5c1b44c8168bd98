"""Odd inputs that must work, with their numbers in the list of bad and odd inputs; CASES lists those not in
the registry."""

import numpy as np
import pytest

import fastconv
from fastconv import reference

CASES = {7, 16, 17, 21, 23, 24, 27, 33, 34, 37, 42, 43, 44, 45, 46, 48, 59, 60, 77, 79, 95, 97}
# 7, 16, 17, 21, 23, 24, 34, 42, 43 are geometries of the registry; 60 is in test_layouts; 77 to 79 in test_memory;
# 97 belongs to the trainer's tests

rng = np.random.default_rng(0)
X = rng.integers(-5, 6, (2, 3, 7, 6)).astype(np.float32)
W = rng.integers(-5, 6, (4, 3, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("stride", [7, 10**6, 2**31, 2**40, 2**59])
def test_strides_larger_than_the_input(stride):
    """Case 27: one output along each axis."""
    y = fastconv.conv2d(X, W, stride=stride)
    assert np.array_equal(y, fastconv.conv2d(X, W)[:, :, :1, :1])
    assert np.array_equal(fastconv.max_pool2d(X, 3, stride), fastconv.max_pool2d(X, 3, 1)[:, :, :1, :1])
    assert np.array_equal(fastconv.avg_pool2d(X, 4, stride), fastconv.avg_pool2d(X, 4, 1)[:, :, :1, :1])
    dx, dw, db = fastconv.conv2d_backward(np.ones_like(y), X, W, stride=stride)
    assert np.array_equal(dx[:, :, :3, :3], np.broadcast_to(W.sum(axis=0), (2, 3, 3, 3))) and not dx[:, :, 3:].any()
    assert np.array_equal(dw, np.broadcast_to(X[:, :, :3, :3].sum(axis=0), dw.shape)) and (db == 2).all()


def test_padding_far_larger_than_the_input():
    """Case 33: the padded input would not fit in memory, the output does; it is never built."""
    far = 2**31 - 1
    y = fastconv.conv1d(X[:, :, 0], W[:, :, 0], np.float32([1, 2, 3, 4]), padding=far, stride=2**28)
    assert y.shape[2] == (2 * far + 6 - 3) // 2**28 + 1
    near = 2**28 * 8 - far  # where the window at the input begins
    seen = np.einsum("ncs,kcs->nk", X[:, :, 0, near : near + 3], W[:, :, 0])
    wanted = np.broadcast_to(np.float32([1, 2, 3, 4])[None, :, None], y.shape).copy()
    wanted[:, :, 8] += seen
    assert np.array_equal(y, wanted)


@pytest.mark.parametrize("two", [np.int64(2), np.uint8(2), np.array(2), np.array([2, 2]), [2, 2], (np.int32(2), 2)])
def test_integers_of_every_kind_are_sizes(two):
    """Case 37."""
    wanted = fastconv.conv2d(X, W, stride=(2, 2), padding=(2, 2), dilation=(2, 2))
    assert np.array_equal(fastconv.conv2d(X, W, stride=two, padding=two, dilation=two), wanted)
    wanted = fastconv.max_pool2d(X, 2)
    assert np.array_equal(fastconv.max_pool2d(X, two, two), wanted)


def test_average_pooling_tables():
    """Cases 44 to 46."""
    row = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    assert fastconv.avg_pool1d(row, 2, 2, ceil_mode=True).ravel().tolist() == [1.5, 3.5, 5.0]
    assert fastconv.avg_pool1d(row, 2, 2).ravel().tolist() == [1.5, 3.5]
    assert fastconv.avg_pool1d(row, 2, 2, 1).ravel().tolist() == [0.5, 2.5, 4.5]
    assert fastconv.avg_pool1d(row, 2, 2, 1, count_include_pad=False).ravel().tolist() == [1.0, 2.5, 4.5]
    assert fastconv.avg_pool1d(row, 2, 2, 1, False, False, 4).ravel().tolist() == [0.25, 1.25, 2.25]
    # the last window would begin in the right padding, and is dropped
    assert fastconv.avg_pool1d(row[:, :, :4], 2, 2, 1, ceil_mode=True).shape == (1, 1, 3)


def test_max_pooling_ties_and_indices():
    """Among equals the first in row-major order, -0 and +0 being equal."""
    x = np.array([[0.0, -0.0], [-0.0, 0.0]], np.float32)
    for plane in (x, -x, np.zeros_like(x), np.full_like(x, -np.inf)):
        y, index = fastconv.max_pool2d(plane[None, None], 2, return_indices=True)
        assert y.tobytes() == plane[:1, :1].tobytes() and index.item() == 0
    y, index = fastconv.max_pool2d(np.full((1, 1, 3, 3), -np.inf, np.float32), 2, 1, 1, return_indices=True)
    assert index[0, 0].tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5], [6, 6, 7, 8]]


def test_smallest_transposed_convolution():
    """Case 48's other side: an output of exactly one element."""
    x, w = np.full((1, 1, 1), 3.0), np.full((1, 1, 3), 2.0)
    assert fastconv.conv_transpose1d(x, w, padding=1).tolist() == [[[6.0]]]


class Changing:
    """An object whose __array__ gives another shape each time (case 59): it is asked once."""

    def __init__(self):
        self.asked = 0

    def __array__(self, dtype=None, copy=None):
        self.asked += 1
        return np.ones((1, 3, 4 + self.asked, 5), np.float32)


class Raising:
    def __array__(self, dtype=None, copy=None):
        raise LookupError("from __array__")


def test_objects_with_array_methods():
    changing = Changing()
    assert fastconv.conv2d(changing, W).shape == (1, 4, 3, 3) and changing.asked == 1
    with pytest.raises(LookupError, match="from __array__"):
        fastconv.conv2d(Raising(), W)


def test_softmax_of_extreme_rows():
    """Case 95: huge, equal and -inf entries; a row of -inf alone is NaN."""
    inf = np.float32(np.inf)
    x = np.array([[3e38, 3e38, -3e38], [5, 5, 5], [-inf, 0, -inf], [1e4, 0, -1e4]], np.float32)
    third = np.float32(1) / 3
    y = fastconv.softmax(x)
    assert np.allclose(y, [[0.5, 0.5, 0], [third] * 3, [0, 1, 0], [1, 0, 0]], rtol=1e-6, atol=0)
    assert np.isnan(fastconv.softmax(np.full((1, 4), -inf))).all()
    log = fastconv.log_softmax(x)
    assert np.isneginf(log[2]).tolist() == [True, False, True] and log[2, 1] == 0 and log[3, 2] == -20000


def test_batch_norm_of_constant_channels():
    """Case 93: a variance of 0 is made finite by eps; with eps = 0 the result is not a number or infinite, no
    error."""
    x = np.full((2, 3, 4), 7.0, np.float32)
    y, mean, var = fastconv.batch_norm_train(x)
    assert (y == 0).all() and (mean == 7).all() and (var == 0).all()
    assert all(np.isfinite(g).all() for g in fastconv.batch_norm_backward(x, x, mean, var))
    assert np.isnan(fastconv.batch_norm(x, mean, var, eps=0.0)).all()


def test_nothing_in_the_batch():
    """Cases 7 and 104: gradients of nothing are zeros, losses of nothing are 0."""
    x, dy = np.empty((0, 3, 7, 6), np.float32), np.empty((0, 4, 5, 4), np.float32)
    dx, dw, db = fastconv.conv2d_backward(dy, x, W)
    assert dx.shape == x.shape and dw.shape == W.shape and not dw.any() and not db.any()
    loss, gradient = fastconv.cross_entropy(np.empty((0, 5), np.float32), np.empty(0, np.int64))
    assert loss == 0 and gradient.shape == (0, 5)
    assert fastconv.mse_loss(x, x)[0] == 0


def test_dropout():
    """y = x * mask; mask holds 0 or 1 / (1 - p); the generator decides, and is the only randomness."""
    x = rng.standard_normal((50, 400)).astype(np.float32)
    for p in (0.0, 0.25, 0.9):
        y, mask = fastconv.dropout(x, p, np.random.default_rng(1))
        keep = np.float32(1 / (1 - p))
        assert set(np.unique(mask)) <= {np.float32(0), keep} and mask.dtype == x.dtype
        assert np.array_equal(y, x * mask) and abs((mask == 0).mean() - p) < 0.02
        again = fastconv.dropout(x, p, np.random.default_rng(1))
        assert np.array_equal(again[0], y) and np.array_equal(again[1], mask)
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"dropout.*p"):
            fastconv.dropout(x, p, np.random.default_rng(1))
    with pytest.raises(TypeError, match=r"dropout.*generator"):
        fastconv.dropout(x, 0.5, 1)


def test_reference_padding_is_multiplied():
    """Padding is the value 0: an infinite weight over it gives NaN, as it does with np.pad."""
    w = np.full((1, 3, 3, 3), np.inf, np.float32)
    with np.errstate(invalid="ignore"):
        wanted = reference.conv2d(np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1))), w)
    assert np.array_equal(fastconv.conv2d(X, w, padding=1, algorithm="direct"), wanted, equal_nan=True)
