"""A 1x1 convolution and the depthwise one behind it in one step of an optimized network."""

import numpy as np
import pytest

import fastconv
from fastconv import layers as L

BOUNDS = {np.float32: 4e-6, np.float64: 1e-14}


def inverted_residual(C, K, kernel, stride=1, padding=None, functions=(None, None), bias=True):
    g = np.random.default_rng(C + K)
    padding = kernel // 2 if padding is None else padding
    second = {"stride": stride, "padding": padding, "groups": K, "bias": bias, "generator": g}
    parts = [L.Conv2d(C, K, 1, bias=bias, generator=g), functions[0], L.Conv2d(K, K, kernel, **second), functions[1]]
    return L.Sequential(*(part for part in parts if part))


def joined(fast):
    return any(", conv" in row.kind for row in fast.profile(*(np.zeros(s, fast.dtype) for s in fast.input_shapes)).rows)


def agree(model, x, together=True):
    fast = fastconv.optimize(model, x.shape)
    assert together is None or joined(fast) == together
    for batch in {len(x), 1}:
        expected = model(x[:batch])
        got = fast(x[:batch])
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
        there = np.isfinite(expected)
        limit = BOUNDS[x.dtype.type] * np.abs(expected[there]).max()
        np.testing.assert_allclose(got[there], expected[there], rtol=0, atol=limit)


def pictures(*shape, dtype=np.float32):
    return np.random.default_rng(7).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("kernel", (3, 5, 7))
@pytest.mark.parametrize("stride", (1, 2))
def test_sizes(stride, kernel, dtype):
    """Pixels that fill vectors, that leave a few, that leave part of one; filters that fill no tile."""
    for C, K, H, W in ((3, 9, 23, 23), (16, 24, 24, 24), (5, 8, 23, 25), (40, 20, 43, 12), (24, 16, 9, 61)):
        for padding in {0, kernel // 2, kernel - 1}:
            model = inverted_residual(C, K, kernel, stride, padding).astype(dtype)
            agree(model, pictures(2, C, H, W, dtype=dtype))


@pytest.mark.parametrize("stride", (1, 2))
def test_bands(stride):
    """Planes of which a task passes on a band of rows, with rows that two bands read."""
    for kernel, H, W in ((3, 113, 112), (5, 200, 64), (7, 301, 33)):
        agree(inverted_residual(4, 16, kernel, stride), pictures(2, 4, H, W))


def test_many_channels():
    """A reduction in several blocks, whose sums wait in the planes."""
    for H, W in ((23, 23), (24, 24), (23, 25)):
        agree(inverted_residual(200, 24, 3).astype(np.float32), pictures(1, 200, H, W), None)


@pytest.mark.parametrize("bias", (True, False))
def test_activations(bias):
    functions = (None, L.ReLU(), L.ReLU6(), L.LeakyReLU(0.1), L.LeakyReLU(0.3))
    for first in functions:
        for second in functions:
            agree(inverted_residual(8, 16, 3, functions=(first, second), bias=bias), pictures(2, 8, 23, 24) * 4)


def test_what_is_not_finite():
    """It reaches the outputs whose window holds it, and they alone."""
    for value in (np.nan, np.inf, -np.inf):
        x = pictures(2, 8, 25, 25)
        x[1, 3, 5, 6] = value
        agree(inverted_residual(8, 16, 3, functions=(L.LeakyReLU(0.1), None)), x)
    model = inverted_residual(8, 16, 3)
    model[1].weight.data[5, 0, 0, 0] = np.inf
    agree(model, pictures(1, 8, 25, 25))


def test_images_apart():
    """What it reads and what it gives lie inside concats."""
    g = np.random.default_rng(0)
    model = L.Graph(
        [
            ("a", L.Conv2d(4, 8, 1, generator=g), "x"),
            ("b", L.Conv2d(4, 8, 3, padding=1, generator=g), "x"),
            ("cat", L.Cat(), ("a", "b")),
            ("wide", L.Conv2d(8, 24, 1, generator=g), "a"),
            ("deep", L.Conv2d(24, 24, 3, padding=1, groups=24, generator=g), "wide"),
            ("all", L.Cat(), ("cat", "deep")),
            ("end", L.Conv2d(40, 3, 1, generator=g), "all"),
        ]
    )
    agree(model, pictures(3, 4, 27, 27))


def test_kept_apart():
    """What somebody else reads is made; a multiplier, a dilation, a stride of 3, small planes have their own ways."""
    g = np.random.default_rng(0)
    wide, deep = L.Conv2d(4, 8, 1, generator=g), L.Conv2d(8, 8, 3, padding=1, groups=8, generator=g)
    agree(L.Graph([("a", wide, "x"), ("b", deep, "a"), ("c", L.Add(), ("a", "b"))]), pictures(2, 4, 27, 27), False)
    agree(L.Graph([("a", wide, "x"), ("b", deep, "a")], outputs=["b"]), pictures(2, 4, 27, 27))
    more = {"padding": 1, "generator": g}
    for second in (
        L.Conv2d(8, 16, 3, groups=8, **more),
        L.Conv2d(8, 8, 3, dilation=2, groups=8, **more),
        L.Conv2d(8, 8, 3, stride=3, groups=8, **more),
        L.Conv2d(8, 8, 3, groups=4, **more),
    ):
        agree(L.Sequential(wide, second), pictures(2, 4, 27, 27), False)
    agree(L.Sequential(wide, deep), pictures(2, 4, 14, 14), False)
