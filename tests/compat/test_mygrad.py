"""fastconv.compat.mygrad against MyGrad's own operations: results, gradients, and the errors its tests ask for."""

import numpy as np
import pytest
from compare import same_bits, within

mg = pytest.importorskip("mygrad", reason='MyGrad is not installed (pip install "fastconv[compat]")')

from mygrad.nnet.layers import conv, pooling  # noqa: E402

from fastconv.compat import mygrad as ours  # noqa: E402

# Largest difference, as a part of the largest value.
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}
CONVOLUTIONS = [
    ((2, 3, 9), (4, 3, 3), {"stride": 2}),
    ((2, 3, 8, 8), (4, 3, 3, 3), {"stride": 1, "padding": 1}),
    ((2, 3, 7, 9), (5, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 3)}),
    ((1, 2, 6, 5, 4), (3, 2, 3, 2, 2), {"stride": (1, 3, 1), "padding": np.array([1, 0, 1])}),
    ((1, 2, 4, 3, 4, 3), (2, 2, 2, 2, 2, 2), {"stride": 1}),  # four axes: MyGrad's own
]
POOLS = [((2, 3, 8, 8), (2, 2), 2), ((2, 3, 9, 9), (3, 3), (2, 2)), ((5, 7), (2,), 1), ((6, 6), (3, 2), (3, 1))]
POOLS += [((2, 6, 6, 6), (2, 2, 2), 2), ((1, 4, 4, 4, 4), (2, 2, 2, 2), 2)]


@pytest.fixture(params=["own", "installed"])
def backend(request, monkeypatch):
    """Both ways to fastconv: the module's functions, and MyGrad's own after install()."""
    if request.param == "own":
        return ours
    monkeypatch.setattr(conv, "ConvND", conv.ConvND)
    monkeypatch.setattr(pooling, "MaxPoolND", pooling.MaxPoolND)
    ours.install()
    return mg.nnet


def evaluated(function, operands, *arguments, **named):
    """[the result, the gradient of each operand] for a seeded gradient of the result."""
    operands = [mg.tensor(operand) for operand in operands]
    y = function(*operands, *arguments, **named)
    y.backward(np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype))
    return [y.data, *(operand.grad for operand in operands)]


def theirs(monkeypatch, operation, name, function):
    """`function` computed by MyGrad's own operation, whatever is installed."""

    def call(*arguments, **named):
        with monkeypatch.context() as before:
            before.setattr(operation, name, getattr(ours, name).__mro__[1])
            return function(*arguments, **named)

    return call


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape, filters, window", CONVOLUTIONS)
def test_convolution(backend, monkeypatch, shape, filters, window, dtype):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(size).astype(dtype) for size in (shape, filters))
    want = evaluated(theirs(monkeypatch, conv, "ConvND", mg.nnet.conv_nd), (x, w), **window)
    for a, b in zip(evaluated(backend.conv_nd, (x, w), **window), want, strict=True):
        assert a.dtype == b.dtype
        within(a, b, TOLERANCE[dtype] * np.abs(b).max(), "conv_nd")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape, pool, stride", POOLS)
def test_max_pool(backend, monkeypatch, shape, pool, stride, dtype):
    x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)  # with ties: both take the first
    want = evaluated(theirs(monkeypatch, pooling, "MaxPoolND", mg.nnet.max_pool), (x,), pool, stride)
    got = evaluated(backend.max_pool, (x,), pool, stride)
    same_bits(got[0], want[0], "max_pool")
    assert got[1].dtype == x.dtype
    within(got[1], want[1], TOLERANCE[dtype] * np.abs(want[1]).max(), "max_pool")


@pytest.mark.parametrize("shape, pool, stride", POOLS[:-1])
def test_avg_pool(shape, pool, stride):
    x = np.random.default_rng(0).standard_normal(shape)
    w = np.full((1, 1, *pool), 1 / np.prod(pool))

    def as_convolution(x):
        planes = x.reshape(-1, 1, *shape[len(shape) - len(pool) :])
        return mg.nnet.conv_nd(planes, w, stride=stride).reshape(*ours.avg_pool(x.data, pool, stride).shape)

    for a, b in zip(evaluated(ours.avg_pool, (x,), pool, stride), evaluated(as_convolution, (x,)), strict=True):
        within(a, b, 1e-14 * np.abs(b).max(), "avg_pool")


def test_other_dtypes_stay_with_mygrad(backend):
    x, w = np.arange(18).reshape(1, 2, 9), np.ones((1, 2, 3), int)
    assert backend.conv_nd(mg.tensor(x), mg.tensor(w), stride=1).dtype.kind == "i"
    assert backend.max_pool(mg.tensor(x), (3,), 3).data.tolist() == [[[2, 5, 8], [11, 14, 17]]]
    mixed = backend.conv_nd(mg.tensor(x, dtype=np.float32), mg.tensor(w, dtype=np.float64), stride=1)
    assert mixed.dtype == np.float64


@pytest.mark.parametrize(
    "shape, filters, window, error",
    [
        ((1, 1, 5, 5), (1, 1, 2, 2), {"stride": 2}, ValueError),  # does not tile
        ((1, 1, 2, 2), (1, 1, 3, 3), {"stride": 1}, ValueError),
        ((1, 2, 5, 5), (1, 1, 2, 2), {"stride": 1}, ValueError),
        ((1, 1, 5, 5), (1, 1, 2), {"stride": 1}, ValueError),
        ((1, 1), (1, 1), {"stride": 1}, ValueError),
        ((1, 1, 5, 5), (1, 1, 2, 2), {"stride": 0}, AssertionError),
        ((1, 1, 5, 5), (1, 1, 2, 2), {"stride": (1,)}, AssertionError),
        ((1, 1, 5, 5), (1, 1, 2, 2), {"stride": 1, "padding": -1}, AssertionError),
    ],
)
def test_errors_of_convolution(backend, shape, filters, window, error):
    with pytest.raises(error):
        backend.conv_nd(mg.ones(shape), mg.ones(filters), **window)


@pytest.mark.parametrize("pool, stride", [((3, 3), 2), ((7, 1), 1)])
def test_errors_of_pooling(backend, pool, stride):
    x = mg.ones((1, 1, 6, 6))
    with pytest.raises(ValueError):
        backend.max_pool(x, pool, stride)
    with pytest.raises(ValueError, match="expected windows that tile it"):
        ours.avg_pool(x, pool, stride)


def test_fastconv_computes(backend, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("MyGrad's own operation was called")

    for theirs_of in (ours.ConvND.__mro__[1], ours.MaxPoolND.__mro__[1]):
        monkeypatch.setattr(theirs_of, "__call__", refuse)
        monkeypatch.setattr(theirs_of, "backward_var", refuse)
    evaluated(backend.conv_nd, (np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))), stride=1)
    evaluated(backend.max_pool, (np.ones((1, 1, 4, 4)),), (2, 2), 2)
