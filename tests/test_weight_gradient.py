"""The direct weight gradient on shapes that take each of its roads: planes read in place or gathered, joined across
images, several chunks and parts, odd tiles. Integers, so that every result must be exact."""

import numpy as np
import pytest

import fastconv
from fastconv import reference

# n, c, size, k, kernel_size, stride, padding, dilation, groups
CASES = {
    "stem": (2, 3, (37, 41), 8, 7, 2, 3, 1, 1),
    "stem of many chunks": (3, 1, (70, 70), 5, 3, 1, 1, 1, 1),
    "planes in place": (2, 7, (60, 60), 11, 1, 1, 0, 1, 1),
    "planes in place, one image": (1, 13, (11, 13), 9, 1, 1, 0, 1, 1),
    "short planes joined": (40, 9, (7, 7), 5, 1, 1, 0, 1, 1),
    "short planes, whole tiles": (3, 48, (14, 14), 64, 1, 1, 0, 1, 1),
    "short planes, odd tiles": (2, 35, (7, 7), 29, 1, 1, 0, 1, 1),
    "short planes, odd tiles in groups": (2, 106, (13, 11), 38, 1, 1, 0, 1, 2),
    "short planes in two runs": (2, 70, (21, 23), 75, 1, 1, 0, 1, 1),
    "one pixel, many ranges of filters": (5, 20, (1, 1), 700, 1, 1, 0, 1, 1),
    "one tap, stride 2": (2, 12, (60, 61), 8, 1, 2, 0, 1, 2),
    "one tap, padded": (1, 5, (30, 30), 6, 1, 1, 1, 1, 1),
    "more taps than are planned at once": (2, 1, (40, 45), 3, 13, 1, 6, 1, 1),
    "more filters than stay in the cache": (1, 6, (32, 32), 400, 1, 1, 0, 1, 1),
    "many parts": (8, 2, (64, 64), 4, 3, 1, 1, 1, 1),
    "dilation": (2, 2, (33, 33), 6, 3, 1, 4, 4, 1),
    "blocks of channels": (2, 20, (9, 9), 33, 3, 2, 1, 1, 1),
    "passes over filters": (1, 700, (3, 3), 2000, 3, 1, 1, 1, 1),
    "passes over groups": (1, 2800, (3, 3), 4800, 3, 1, 1, 1, 8),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", CASES)
def test_integers_are_exact(name, layout, dtype):
    n, c, size, k, kernel_size, stride, padding, dilation, groups = CASES[name]
    rng = np.random.default_rng(1)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    weight_shape = (k, c // groups, kernel_size, kernel_size)
    x = rng.integers(-3, 4, (n, c, *size)).astype(dtype)
    out = [(s + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1 for s in size]
    dy = rng.integers(-3, 4, (n, k, *out)).astype(dtype)
    expected = reference.conv2d_grad_weight(dy, x, weight_shape, **options)
    if layout == "NHWC":
        x, dy = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, dy))
    dweight = fastconv.conv2d_grad_weight(dy, x, weight_shape, **options, layout=layout, algorithm="direct")
    np.testing.assert_array_equal(dweight, expected)


def test_a_very_long_kernel_on_one_channel():
    rng = np.random.default_rng(2)
    x = rng.integers(-3, 4, (2, 1, 700)).astype(np.float32)
    dy = rng.integers(-3, 4, (2, 3, 401)).astype(np.float32)
    dweight = fastconv.conv1d_grad_weight(dy, x, (3, 1, 300))
    np.testing.assert_array_equal(dweight, reference.conv1d_grad_weight(dy, x, (3, 1, 300)))


# n, c, size, k: what sums of the batch are taken at a time
WINOGRAD = {
    "one chunk": (1, 64, (28, 28), 64),
    "parts of the batch": (16, 16, (40, 40), 24),
    "several chunks": (1, 64, (112, 112), 128),
    "several chunks of several images": (6, 96, (30, 61), 100),
    "passes over filters": (1, 700, (12, 12), 500),
    "one chunk in place of several": (5, 512, (14, 14), 400),
    "passes with one chunk each": (20, 400, (14, 14), 900),
    "tiles of 2x2": (70, 96, (2, 2), 100),
    "tiles of 2x2, sums of several chunks": (400, 64, (2, 1), 48),
}


@pytest.mark.parametrize("dtype, bound", [(np.float32, 2e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("name", WINOGRAD)
def test_winograd_sums_every_chunk(name, dtype, bound):
    """The last of several chunks was once taken for the only one: its sums were lost from the weight's gradient."""
    n, c, size, k = WINOGRAD[name]
    rng = np.random.default_rng(3)
    for stride in (1, 2):
        x = rng.standard_normal((n, c, *size))
        dy = rng.standard_normal((n, k, *((length - 1) // stride + 1 for length in size)))
        settings = {"stride": stride, "padding": 1}
        exact = fastconv.conv2d_grad_weight(dy, x, (k, c, 3, 3), **settings, algorithm="direct")
        narrow = dy.astype(dtype), x.astype(dtype)
        got = fastconv.conv2d_grad_weight(*narrow, (k, c, 3, 3), **settings, algorithm="winograd")
        assert abs(got - exact).max() < bound * abs(exact).max(), f"stride {stride}"


def test_passes_over_filters_know_of_each_other():
    """What is not finite stays with its filter, and the number of threads changes no bit."""
    n, c, size, k = WINOGRAD["passes over filters"]
    rng = np.random.default_rng(4)
    x, dy = (rng.standard_normal((n, channels, *size), np.float32) for channels in (c, k))
    weight, options = (k, c, 3, 3), {"padding": 1, "algorithm": "winograd"}
    fastconv.set_num_threads(1)
    finite = fastconv.conv2d_grad_weight(dy, x, weight, **options)
    fastconv.set_num_threads(2)
    assert fastconv.conv2d_grad_weight(dy, x, weight, **options).tobytes() == finite.tobytes()
    dy[0, -1, 4, 4] = np.nan
    got = fastconv.conv2d_grad_weight(dy, x, weight, **options)
    assert np.isnan(got[-1]).all() and np.isfinite(got[:-1]).all()
    assert got[0].tobytes() == finite[0].tobytes()  # a pass without it is not computed again
