"""Max and average pooling over the windows that have kernels of their own (2 and 3 at stride 1 and 2, whole planes)
and their neighbours, at every width around a vector or two, with ties, NaNs and infinities: all must be what the
reference says, to the bit, on every target; the compact taps of the layers must lead where the indices do."""

import itertools
import sys

import numpy as np
import pytest
from processes import run

import fastconv
from fastconv import reference
from fastconv.functional import max_pool_taps

WIDTHS = (*range(1, 36), 47, 48, 49, 63, 64, 65, 66, 79)


def windows():
    for size, stride, padding in itertools.product((1, 2, 3, 4, 5), (1, 2, 3), (0, 1, 2)):
        if padding <= size // 2:
            yield {"kernel_size": size, "stride": stride, "padding": padding}


def planes(height: int, width: int, dtype, seed: int) -> np.ndarray:
    """Small integers, so that ties are many and sums exact; some planes with NaNs and infinities."""
    rng = np.random.default_rng([height, width, seed])
    x = rng.integers(-2, 3, (2, 3, height, width)).astype(dtype)
    x[0, 1][rng.random((height, width)) < 0.05] = np.nan
    x[0, 2][rng.random((height, width)) < 0.5] = -np.inf
    x[1, 0] = -np.inf
    return x


def check_max(x: np.ndarray, window: dict) -> None:
    wanted, places = reference.max_pool2d(x, **window, return_indices=True)
    y, indices = fastconv.max_pool2d(x, **window, return_indices=True)
    again, taps = max_pool_taps.max_pool_taps(2, x, **window)
    for got, what in ((y, wanted), (again, wanted), (fastconv.max_pool2d(x, **window), wanted), (indices, places)):
        np.testing.assert_array_equal(got, what, err_msg=f"{x.shape} {x.dtype} {window}")
    dy = np.random.default_rng(0).integers(-8, 9, y.shape).astype(x.dtype)
    dx = reference.max_pool2d_backward(dy, places, x.shape)
    for got in (
        fastconv.max_pool2d_backward(dy, indices, x.shape),
        max_pool_taps.max_pool_taps_backward(2, dy, taps, x.shape, **window),
    ):
        np.testing.assert_array_equal(got, dx, err_msg=f"{x.shape} {x.dtype} {window}")


def check_average(x: np.ndarray, window: dict, counted: bool) -> None:
    finite = np.nan_to_num(x, nan=1, neginf=2)
    options = {**window, "count_include_pad": counted}
    message = f"{x.shape} {x.dtype} {options}"
    accuracy = {"rtol": 4 * np.finfo(x.dtype).eps, "atol": 8 * np.finfo(x.dtype).eps, "err_msg": message}
    y = reference.avg_pool2d(finite, **options)
    np.testing.assert_allclose(fastconv.avg_pool2d(finite, **options), y, **accuracy)
    dy = np.random.default_rng(0).integers(-8, 9, y.shape).astype(x.dtype)
    dx = reference.avg_pool2d_backward(dy, x.shape, **options)
    np.testing.assert_allclose(fastconv.avg_pool2d_backward(dy, x.shape, **options), dx, **accuracy)


def main() -> None:
    ran = 0
    for i, (window, width) in enumerate(itertools.product(windows(), WIDTHS)):
        for height, dtype in ((5, np.float32), (6, np.float64)):
            size = window["kernel_size"]
            if width + 2 * window["padding"] < size:
                continue
            x = planes(height, width, dtype, i)
            check_max(x, {**window, "ceil_mode": i % 3 == 0})
            check_average(x, {**window, "ceil_mode": i % 3 == 0}, i % 2 == 0)
            ran += 1
    for height, width in itertools.product((1, 2, 3, 7), WIDTHS):
        x = planes(height, width, np.float32, 1)
        check_max(x, {"kernel_size": (height, width)})
        check_average(x, {"kernel_size": (height, width)}, True)
    # Planes cut into several tasks, whose rows share rows of the input.
    for window in ({"kernel_size": 3, "stride": 1, "padding": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        check_max(planes(600, 130, np.float32, 2), window)
        check_average(planes(600, 130, np.float32, 2), window, True)
    print(fastconv.target(), ran)


@pytest.mark.parametrize("target", fastconv.targets())
def test_every_window_on_every_target(target):
    done = run("import test_pool_windows as t; t.main()", FASTCONV_TARGET=target, seconds=240)
    name, ran = done.stdout.split()
    assert name == target and int(ran) > 1_500


@pytest.mark.parametrize("size", (2, 3))
@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_taps_from_anywhere_are_never_followed_outside(size, stride, dtype):
    """Taps are the caller's: bytes that name no tap lead nowhere."""
    window = {"kernel_size": size, "stride": stride, "padding": 1}
    y, taps = max_pool_taps.max_pool_taps(2, planes(9, 37, dtype, 3), **window)
    taps[...] = np.random.default_rng(1).integers(size * size, 256, taps.shape, np.uint8)
    dx = max_pool_taps.max_pool_taps_backward(2, np.ones_like(y), taps, (2, 3, 9, 37), **window)
    assert not dx.any()


if __name__ == "__main__":
    sys.exit(main())
