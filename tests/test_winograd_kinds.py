"""Winograd's algorithm beyond forward 3x3: back to the input at stride 2, and 5x5 kernels."""

import compare
import numpy as np
import pytest
from test_winograd import LIMIT, WEIGHT_LIMIT, algorithms, close

import fastconv
from fastconv import reference


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("padding", [1, 3, (3, 1), (1, 2)])
@pytest.mark.parametrize("size", [(9, 31), (16, 8), (1, 1), (3, 2), (18, 65)])
def test_stride_2_back_to_the_input(kernel, padding, size):
    """All four phases at once where a tile can begin with the odd taps: odd padding; groups, a bias, a NaN."""
    before = np.broadcast_to(padding, 2)
    H, W = (max(n, kernel - 2 * p) for n, p in zip(size, before, strict=True))
    rng = np.random.default_rng(0)
    for groups in (1, 2):
        x = np.zeros((3, 32, H, W), np.float32)
        w = rng.standard_normal((48, 32 // groups, kernel, kernel), np.float32)
        settings = {"stride": 2, "padding": padding, "groups": groups}
        dy = rng.standard_normal(fastconv.conv2d(x, w, **settings).shape, np.float32)
        want = reference.conv2d_grad_input(dy.astype(np.float64), w.astype(np.float64), x.shape, **settings)
        line = f"{x.shape} {kernel}x{kernel} {settings}"
        for algorithm in LIMIT if kernel == 3 else ("direct", "auto"):
            got = fastconv.conv2d_grad_input(dy, w, x.shape, algorithm=algorithm, **settings)
            close(got, want, LIMIT[algorithm], f"conv2d_grad_input {line} {algorithm}")
        wide = fastconv.conv2d_grad_input(dy.astype(np.float64), w.astype(np.float64), x.shape, **settings)
        close(wide, want, 1e-13, f"float64 conv2d_grad_input {line}")
        bias = rng.standard_normal(32, np.float32)
        over = tuple((n + 2 * p - kernel) % 2 for n, p in zip((H, W), before, strict=True))
        got = fastconv.conv_transpose2d(dy, w, bias, output_padding=over, **settings)
        close(got, want + bias[:, None, None], LIMIT["auto"], f"conv_transpose2d {line}")
        dy[1, 5, -1, -1] = np.nan
        got, want = (
            fastconv.conv2d_grad_input(dy, w, x.shape, algorithm=algorithm, **settings)
            for algorithm in ("auto", "direct")
        )
        assert np.array_equal(np.isnan(got), np.isnan(want)), line


@algorithms
@pytest.mark.parametrize("padding", [0, 2, (1, 3)])
def test_5x5(algorithm, padding):
    before = np.broadcast_to(padding, 2)
    for N, C, K, H, W in [
        (2, 24, 40, 14, 15),
        (1, 16, 17, 31, 5),
        (1, 130, 33, 9, 8),
        (9, 32, 32, 7, 7),
        (1, 16, 16, 1, 2),
    ]:
        if min(H + 2 * before[0], W + 2 * before[1]) < 5:
            continue
        rng = np.random.default_rng(0)
        x, w = rng.standard_normal((N, C, H, W)), rng.standard_normal((K, C, 5, 5))
        dy = rng.standard_normal((N, K, H + 2 * before[0] - 4, W + 2 * before[1] - 4))
        want = reference.conv2d(x, w, padding=padding), *reference.conv2d_backward(dy, x, w, padding=padding)
        for dtype, narrower in ((np.float32, 1), (np.float64, 1e-8)):
            xs, ws, dys = (a.astype(dtype) for a in (x, w, dy))
            settings = {"padding": padding, "algorithm": algorithm}
            packed = fastconv.pack(ws, input_shape=x.shape, **settings)
            limits = [narrower * limit for limit in (LIMIT[algorithm], LIMIT[algorithm], WEIGHT_LIMIT, WEIGHT_LIMIT)]
            got = fastconv.conv2d(xs, ws, **settings), *fastconv.conv2d_backward(dys, xs, ws, **settings)
            line = f"5x5 {x.shape} -> {K} {dtype.__name__} {settings}"
            for g, t, limit in zip(got, want, limits, strict=True):
                close(g, t, limit, line)
            close(fastconv.conv2d(xs, packed, **settings), want[0], limits[0], f"packed {line}")
            bias = rng.standard_normal(C).astype(dtype)
            transposed = fastconv.conv_transpose2d(dys, ws, bias, padding=padding)
            close(transposed, want[1] + bias[:, None, None], narrower * LIMIT["auto"], f"conv_transpose2d {line}")


def test_5x5_keeps_non_finite_values_in_their_windows():
    rng = np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(s, np.float32) for s in ((2, 16, 13, 14), (24, 16, 5, 5), (2, 24, 13, 14)))
    for place in range(0, x[0].size, 211):
        xs, dys = x.copy(), dy.copy()
        xs.flat[place], dys.flat[place] = np.nan, np.inf
        for got, want in (
            (fastconv.conv2d(xs, w, padding=2, algorithm=a), fastconv.conv2d(xs, w, padding=2, algorithm="direct"))
            for a in ("auto", "winograd")
        ):
            assert np.array_equal(np.isnan(got), np.isnan(want)), place
        settings = {"padding": 2, "needs": (True, True, False)}
        got = fastconv.conv2d_backward(dys, xs, w, algorithm="winograd", **settings)
        want = fastconv.conv2d_backward(dys, xs, w, algorithm="direct", **settings)
        for g, t in zip(got[:2], want[:2], strict=True):
            assert np.array_equal(np.isfinite(g), np.isfinite(t)), place


@pytest.mark.parametrize("algorithm", ["auto", "winograd"])
def test_5x5_gives_the_same_bits_on_any_number_of_threads(algorithm):
    rng = np.random.default_rng(0)
    for N, C, K, H in ((2, 32, 48, 19), (1, 64, 96, 6), (1, 128, 24, 40)):
        x, w = rng.standard_normal((N, C, H, H), np.float32), rng.standard_normal((K, C, 5, 5), np.float32)
        dy = rng.standard_normal((N, K, H, H), np.float32)
        settings = {"padding": 2, "algorithm": algorithm}
        results = {}
        for threads in (1, 2, 3, 8):
            fastconv.set_num_threads(threads)
            results[threads] = fastconv.conv2d(x, w, **settings), *fastconv.conv2d_backward(dy, x, w, **settings)
        for threads, got in results.items():
            for g, first in zip(got, results[1], strict=True):
                compare.same_bits(g, first, f"5x5 {algorithm!r} with {threads} threads")
