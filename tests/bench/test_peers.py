"""The naive loops and the im2col versions compute what the reference does: else their times mean nothing."""

import numpy as np
import pytest

from fastconv import reference
from fastconv.bench import im2col, naive

BOTH = pytest.mark.parametrize("module", (im2col, naive), ids=("im2col", "naive"))


@BOTH
@pytest.mark.parametrize(("stride", "padding"), ((1, 0), (1, 1), (2, 0), (2, 1)))
def test_convolution(module, stride, padding):
    generator = np.random.default_rng(0)
    x, weight = generator.standard_normal((2, 3, 7, 8)), generator.standard_normal((4, 3, 3, 2))
    bias = generator.standard_normal(4)
    geometry = {"stride": stride, "padding": padding}
    y = reference.conv2d(x, weight, bias, **geometry)
    dy = generator.standard_normal(y.shape)
    np.testing.assert_allclose(module.conv2d(x, weight, bias, **geometry), y, atol=1e-12)
    gradients = reference.conv2d_backward(dy, x, weight, **geometry)
    for got, expected in zip(module.conv2d_backward(dy, x, weight, **geometry), gradients, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


@BOTH
@pytest.mark.parametrize("window", ((2, None, 0), (3, 2, 1), (3, 1, 0)))
def test_pooling(module, window):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2, 3, 7, 8))
    y, indices = reference.max_pool2d(x, *window, return_indices=True)
    dy = generator.standard_normal(y.shape)
    np.testing.assert_allclose(module.max_pool2d(x, *window), y)
    expected = reference.max_pool2d_backward(dy, indices, x.shape)
    np.testing.assert_allclose(module.max_pool2d_backward(dy, indices, x.shape), expected)
    np.testing.assert_allclose(module.avg_pool2d(x, *window), reference.avg_pool2d(x, *window))
    expected = reference.avg_pool2d_backward(dy, x.shape, *window)
    np.testing.assert_allclose(module.avg_pool2d_backward(dy, x.shape, *window), expected)
