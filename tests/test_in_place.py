"""Element by element functions work in place when out is their input itself: the same bits as out of place."""

import numpy as np
import pytest

import fastconv.functional as F

ONE = ["relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "softmax", "log_softmax"]


def values(dtype, seed=0):
    x = np.random.default_rng(seed).standard_normal((3, 37)).astype(dtype) * 4
    x[0, :3] = np.nan, np.inf, -0.0
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ONE)
def test_in_place_is_out_of_place(name, dtype):
    x = values(dtype)
    expected = getattr(F, name)(x)
    assert getattr(F, name)(x, out=x) is x
    np.testing.assert_array_equal(x.view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_add_into_either_operand(dtype):
    x, y = values(dtype), values(dtype, 1)
    expected = x + y
    np.testing.assert_array_equal(F.add(x.copy(), y, out=None), expected)
    left, right = x.copy(), y.copy()
    np.testing.assert_array_equal(F.add(left, y, out=left), expected)
    np.testing.assert_array_equal(F.add(x, right, out=right), expected)


@pytest.mark.parametrize("name", [*ONE, "add"])
def test_an_overlap_in_part_is_refused(name):
    room = np.zeros(101, np.float32)
    x, out = room[:100], room[1:]
    with pytest.raises(ValueError, match="overlaps"):
        getattr(F, name)(*([x, x] if name == "add" else [x]), out=out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_in_place(dtype):
    x = values(dtype).reshape(3, 37, 1, 1).repeat(5, axis=3)
    vectors = np.random.default_rng(2).random((4, 37)).astype(dtype) + 1
    expected = F.batch_norm(x, *vectors)
    assert F.batch_norm(x, *vectors, out=x) is x
    np.testing.assert_array_equal(x, expected)
    room = np.zeros(3 * 37 * 5 + 1, dtype)
    with pytest.raises(ValueError, match="overlaps"):
        F.batch_norm(room[1:].reshape(x.shape), *vectors, out=room[:-1].reshape(x.shape))
    means = vectors[:1]
    with pytest.raises(ValueError, match="overlaps"):
        F.batch_norm(means, *vectors, out=means)
