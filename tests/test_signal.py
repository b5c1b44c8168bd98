"""fastconv.signal: its definition in loops, and SciPy's results where SciPy is installed."""

import numpy as np
import pytest
from compare import same_bits, within

from fastconv.signal import convolve2d, correlate2d

SHAPES = [((8, 9), (3, 3)), ((7, 5), (2, 4)), ((6, 6), (1, 5)), ((3, 4), (5, 6)), ((5, 5), (5, 5)), ((2, 3), (6, 2))]
FUNCTIONS = {"correlate2d": correlate2d, "convolve2d": convolve2d}


@pytest.fixture
def rng():
    return np.random.default_rng(2)


@pytest.mark.parametrize("shape, kernel", SHAPES)
def test_full_by_definition(rng, shape, kernel):
    x, w = rng.integers(-8, 9, shape).astype(float), rng.integers(-8, 9, kernel).astype(float)
    want = np.zeros([n + k - 1 for n, k in zip(shape, kernel, strict=True)])
    for r, s in np.ndindex(kernel):
        want[r : r + shape[0], s : s + shape[1]] += x * w[r, s]
    same_bits(convolve2d(x, w), want, "convolve2d")
    same_bits(correlate2d(x, w[::-1, ::-1]), want, "correlate2d")


@pytest.mark.parametrize("dtype, bound", [(np.float32, 1e-6), (np.float64, 1e-15)])
@pytest.mark.parametrize("shape, kernel", SHAPES)
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("boundary, value", [("fill", 0), ("fill", -1.5), ("wrap", 0), ("symm", 0)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_scipy(rng, name, boundary, value, mode, shape, kernel, dtype, bound):
    """Equal up to the order of the sums: 1e-6 (float32) and 1e-15 (float64) of the sum of the products' sizes."""
    scipy = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
    x, w = (rng.standard_normal(size).astype(dtype) for size in (shape, kernel))
    arguments = (mode, boundary, value)
    try:
        want = getattr(scipy, name)(x, w, *arguments)
    except ValueError:
        with pytest.raises(ValueError, match="expected one to fit inside the other"):
            FUNCTIONS[name](x, w, *arguments)
        return
    limit = bound * max(abs(value), np.abs(x).max()) * np.abs(w).sum() * (min(x.size, w.size) ** 0.5)
    got = FUNCTIONS[name](x, w, *arguments)
    assert got.dtype == want.dtype and got.flags.c_contiguous
    within(got, want, limit, name)


def test_mixed_is_float64(rng):
    x, w = rng.standard_normal((5, 5)), rng.standard_normal((2, 2)).astype(np.float32)
    assert correlate2d(x, w).dtype == convolve2d(w, x).dtype == np.float64
    same_bits(correlate2d(x, w), correlate2d(x, w.astype(float)), "a mixture")


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ((np.ones((3, 3)), np.ones(3)), ValueError, "in2"),
        ((np.ones((3, 3), int), np.ones((2, 2))), TypeError, "in1"),
        ((np.ones((3, 3)), np.ones((2, 2)), "whole"), ValueError, "mode"),
        ((np.ones((3, 3)), np.ones((2, 2)), "same", "mirror"), ValueError, "boundary"),
        ((np.ones((3, 2)), np.ones((2, 3)), "valid"), ValueError, "fit inside"),
        ((np.ones((3, 0)), np.ones((2, 3))), ValueError, r"in1 has shape \(3, 0\)"),
    ],
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_arguments(name, arguments, error, text):
    with pytest.raises(error, match=text):
        FUNCTIONS[name](*arguments)
