"""fastconv.compat.autograd against autograd's own convolve and against finite differences, to the second order."""

import numpy as np
import pytest
from compare import within

anp = pytest.importorskip("autograd.numpy", reason='autograd is not installed (pip install "fastconv[compat]")')

import autograd.scipy.signal  # noqa: E402
from autograd import elementwise_grad, grad  # noqa: E402
from autograd.test_util import check_grads  # noqa: E402

from fastconv.compat import autograd as ours  # noqa: E402

LAYER = {"axes": ([2, 3], [2, 3]), "dot_axes": ([1], [0]), "mode": "valid"}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pair(monkeypatch):
    """(autograd's convolve, what stands in its place after install())."""
    theirs = autograd.scipy.signal.convolve
    monkeypatch.setattr(autograd.scipy.signal, "convolve", theirs)
    ours.install()
    return theirs, autograd.scipy.signal.convolve


@pytest.mark.parametrize("dtype, bound", [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_a_layer_equals_autograds(pair, rng, dtype, bound):
    """And its gradients, within `bound` of their largest value."""
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 3, 8, 7), (3, 4, 3, 2)))
    results = []
    for convolve in pair:
        y = convolve(x, w, **LAYER)
        results.append(
            [y, *(elementwise_grad(lambda *a, f=convolve: anp.sin(f(*a, **LAYER)), i)(x, w) for i in (0, 1))]
        )
    for want, got in zip(*results, strict=True):
        within(got, want, bound * np.abs(want).max(), "convolve")
    assert results[1][0].dtype == dtype


def test_the_fast_path_is_taken(pair, rng, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("autograd's own convolve was called")

    monkeypatch.setattr(ours, "_theirs", refuse)
    x, w = rng.standard_normal((2, 3, 8, 7)), rng.standard_normal((3, 4, 3, 2))
    grad(lambda w: anp.sum(pair[1](x, w, **LAYER)))(w)
    with pytest.raises(AssertionError, match="was called"):
        pair[1](x[0, 0], w[0, 0])


@pytest.mark.parametrize(
    "a, b, arguments",
    [
        ((5, 6), (3, 2), {}),
        ((5, 6), (3, 2), {"mode": "same"}),
        ((2, 3, 6, 5), (3, 4, 2, 3), LAYER | {"mode": "full"}),
        ((3, 4, 2, 3), (2, 3, 6, 5), {"axes": ([2, 3], [2, 3]), "dot_axes": ([0], [1]), "mode": "valid"}),
        ((2, 3, 2, 2), (3, 4, 4, 4), LAYER),  # the second is the larger
        ((2, 6, 5, 3), (3, 4, 2, 3), {"axes": ([1, 2], [2, 3]), "dot_axes": ([3], [0]), "mode": "valid"}),
    ],
)
def test_all_else_falls_through(pair, rng, a, b, arguments):
    a, b = rng.standard_normal(a), rng.standard_normal(b)
    for index in (0, 1):
        want, got = (elementwise_grad(lambda *ab, f=f: anp.sin(f(*ab, **arguments)), index)(a, b) for f in pair)
        within(got, want, 1e-13 * np.abs(want).max(), "convolve")
    integers = pair[1](np.ones((1, 1, 3, 3), int), np.ones((1, 1, 2, 2), int), **LAYER)
    assert integers.dtype.kind == "i" and (integers == 4).all()


@pytest.mark.parametrize(
    "window", [{}, {"stride": 2, "padding": 1}, {"dilation": (2, 1), "groups": 2}, {"padding": ((1, 0), (0, 2))}]
)
def test_gradients_of_conv2d(rng, window):
    x, w, b = (
        rng.standard_normal((2, 4, 6, 5)),
        rng.standard_normal((4, 4 // window.get("groups", 1), 3, 2)),
        np.ones(4),
    )
    check_grads(lambda *a: ours.conv2d(*a, **window), modes=["rev"], order=2)(x, w, b)
    check_grads(lambda *a: ours.conv2d(*a, **window), modes=["rev"], order=2)(x, w)


def test_gradients_of_pooling(rng):
    x = rng.permutation(2 * 3 * 7 * 6).reshape(2, 3, 7, 6) / 10.0
    check_grads(lambda x: ours.max_pool2d(x, 3, 2, 1) ** 2, modes=["rev"], order=2)(x)
    check_grads(lambda x: ours.avg_pool2d(x, 2, stride=2, padding=1) ** 2, modes=["rev"], order=2)(x)


def test_mixed_dtypes_promote(rng):
    x, w = rng.standard_normal((1, 2, 5, 5)).astype(np.float32), rng.standard_normal((3, 2, 3, 3))
    assert ours.conv2d(x, w).dtype == np.float64
    assert elementwise_grad(ours.conv2d, 1)(x, w).shape == w.shape


def test_errors_are_fastconvs(rng):
    with pytest.raises(ValueError, match="conv2d"):
        ours.conv2d(np.ones((1, 2, 5, 5)), np.ones((3, 3, 3, 3)))
