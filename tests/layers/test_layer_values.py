"""Layers that no kernel computes, against their formulas in float64, number by number."""

import math
from itertools import product

import numpy as np
import pytest

from fastconv import layers as L
from fastconv.layers.error_function import erf

X = np.concatenate([np.linspace(-9, 9, 73), [0.0, -0.0, 0.1, -0.1, 1e-30, 25.0, -25.0]])
FORMULAS = {
    "SELU": (L.SELU(), lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))),
    "CELU": (L.CELU(0.6), lambda x: x if x > 0 else 0.6 * math.expm1(x / 0.6)),
    "Mish": (L.Mish(), lambda x: x * math.tanh(math.log1p(math.exp(x)))),
    "GELU": (L.GELU(), lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    "GELU-tanh": (
        L.GELU("tanh"),
        lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    ),
    "Softsign": (L.Softsign(), lambda x: x / (1 + abs(x))),
    "Erf": (L.Erf(), math.erf),
    "Threshold": (L.Threshold(0.75), lambda x: x if x > 0.75 else 0.0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_activations(name, dtype):
    layer, formula = FORMULAS[name]
    x = X.astype(dtype)
    y = layer(x)
    want = np.array([formula(float(value)) for value in x])
    assert y.dtype == dtype
    few = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, want, rtol=few, atol=few)


@pytest.mark.parametrize("name", FORMULAS)
def test_activations_at_the_ends(name):
    """Large numbers go where the formula does, a NaN stays one, and no warning comes."""
    layer, formula = FORMULAS[name]
    for dtype, large in ((np.float32, 1e4), (np.float64, 1e4)):
        x = np.array([large, np.nan], dtype)
        y, back = layer.forward(x)
        limit = formula(700.0) / 700 * large if name not in ("Softsign", "Erf") else 1.0
        np.testing.assert_allclose(y[0], limit, rtol=2e-3)
        assert np.isnan(y[1]) and back(np.ones_like(y))[0] == pytest.approx(limit / large, abs=2e-3)
        low = layer(np.array([-large], dtype))
        assert np.isfinite(low).all()


def test_erf_is_exact_to_the_last_places():
    x = np.concatenate([np.linspace(-7, 7, 20001), 10.0 ** np.arange(-300, 3)])
    want = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(erf(x), want, rtol=5e-16)
    np.testing.assert_array_equal(erf(np.array([np.inf, -np.inf, np.nan, -0.0])), [1, -1, np.nan, -0.0])
    assert np.signbit(erf(np.array([-0.0])))[0]


def windows(shape, kernel, stride, padding, ceil):
    """The places of each window inside x, by PyTorch's rules; {place of y: slices}."""
    axes = []
    for size, k, step, pad in zip(shape[2:], kernel, stride, padding, strict=True):
        room = size + 2 * pad - k
        count = (-(-room // step) if ceil else room // step) + 1
        if ceil and (count - 1) * step >= size + pad:
            count -= 1
        axes.append([slice(max(0, i * step - pad), i * step - pad + k) for i in range(count)])
    return {place: [axis[i] for axis, i in zip(axes, place, strict=True)] for place in np.ndindex(*map(len, axes))}


@pytest.mark.parametrize("norm_type", [1, 2, 3])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_lp_pooling(axes, ceil, norm_type):
    kernel, stride, padding = (3, 2, 4)[:axes], (2, 3, 2)[:axes], (1, 0, 2)[:axes]
    shape = (2, 3, 6, 7, 5)[: axes + 2]
    x = np.random.default_rng(0).standard_normal(shape)
    x[0, 0] = 0
    layer = L.LpPool(norm_type, kernel, stride, padding, ceil)
    y, back = layer.forward(x)
    places = windows(shape, kernel, stride, padding, ceil)
    assert y[0, 0].size == len(places)
    for place, part in places.items():
        norms = np.linalg.norm(x[(..., *part)].reshape(2, 3, -1), norm_type, axis=-1)
        np.testing.assert_allclose(y[(..., *place)], norms, rtol=1e-13, atol=1e-15)
    assert not back(np.ones_like(y))[0, 0].any(), "a window of zeros has the gradient 0"


def test_reductions():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_array_equal(L.Sum((0, -1), keepdim=True)(x), x.sum((0, 2), keepdims=True))
    y, back = L.Amax((1, 2)).forward(np.array([[[1.0, 5], [5, 2]], [[np.nan, 1], [2, 3]]]))
    np.testing.assert_array_equal(y, [5, np.nan])
    np.testing.assert_array_equal(back(np.float64([3, 1]))[0], [[0, 1.5], [1.5, 0]])


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_by_x(mode):
    words = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    pairs = ((3, 1), (0, 2))
    np.testing.assert_array_equal(L.Pad(pairs, mode=mode)(x), np.pad(x, ((0, 0), *pairs), words[mode]))
    many = L.Pad(((4 + (mode == "circular"), 0), (0, 0)), mode=mode)
    if mode == "replicate":
        assert many(x).shape == (2, 8, 3)
    else:
        with pytest.raises(ValueError, match=r"Pad: padding=.* does not fit x of shape"):
            many(x)


def _cubic(t, a=-0.75):
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


KERNELS = {"linear": lambda t: max(0.0, 1 - abs(t)), "cubic": _cubic}


@pytest.mark.parametrize(("mode", "large"), list(product(KERNELS, [(7, 9), (2, 3), (4, 11)])))
def test_resampling_is_a_sum_over_neighbours(mode, large):
    x = np.random.default_rng(0).standard_normal((1, 1, 4, 6))
    matrices = []
    for size, count in zip(x.shape[2:], large, strict=True):
        matrix = np.zeros((count, size))
        for i, j in product(range(count), range(-2, size + 2)):
            at = (i + 0.5) * size / count - 0.5
            matrix[i, min(max(j, 0), size - 1)] += KERNELS[mode](at - j)
        matrices.append(matrix)
    rows, columns = matrices
    np.testing.assert_allclose(L.Resize(large, mode=mode)(x), rows @ x @ columns.T, rtol=1e-12, atol=1e-14)


def test_resampling_lets_no_infinity_of_share_0_count():
    x = np.float32([[[1, 2, np.inf, 4]]])
    y = L.Resize((4,), (1.0,), mode="linear")(x)
    np.testing.assert_array_equal(y, x)
    y = L.Resize((8,), mode="linear", coordinates="asymmetric")(x)
    np.testing.assert_array_equal(y[0, 0, :3], [1, 1.5, 2])
