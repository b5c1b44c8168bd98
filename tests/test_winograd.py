"""What algorithm="auto" and "winograd" promise: the stated error, non-finite values where they belong, one
answer."""

import compare
import numpy as np
import pytest

import fastconv
from fastconv import reference

LIMIT = {"direct": 1e-6, "auto": 4e-6, "winograd": 4e-6}  # max|error| / max|y| for N(0, 1) data, forward and dx
WEIGHT_LIMIT = 2e-5
SHAPES = [
    (1, 3, 8, 7, 9), (2, 16, 16, 8, 8), (1, 32, 48, 17, 30), (2, 64, 64, 14, 15), (1, 7, 33, 31, 5),
    (1, 512, 32, 12, 12),
    (1, 128, 128, 28, 28), (3, 17, 19, 1, 1), (1, 16, 16, 2, 40), (1, 64, 64, 4, 4), (0, 16, 16, 8, 8),
]  # fmt: skip
algorithms = pytest.mark.parametrize("algorithm", LIMIT)
strides = pytest.mark.parametrize("stride", [1, 2])


def operands(N, C, K, H, W, padding, layout="NCHW", stride=1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, C, H, W), dtype=np.float32)
    w = rng.standard_normal((K, C, 3, 3), dtype=np.float32)
    P, Q = ((size + 2 * padding - 3) // stride + 1 for size in (H, W))
    dy = rng.standard_normal((N, K, P, Q), dtype=np.float32)
    if layout == "NHWC":
        x, dy = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, dy))
    return x, w, dy


def close(got, want, limit, line):
    largest = np.abs(want).max(initial=0)
    compare.within(got, want, limit * largest, line)


@algorithms
@strides
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_error_is_below_what_is_stated(algorithm, stride, padding, layout):
    if algorithm == "winograd" and layout == "NHWC":
        with pytest.raises(ValueError, match=r"conv2d.*winograd.*NCHW"):
            fastconv.conv2d(*operands(1, 16, 16, 9, 9, padding, layout)[:2], layout=layout, algorithm=algorithm)
        return
    for shape in SHAPES:
        if min(shape[3:]) + 2 * padding < 3:
            continue
        x, w, dy = operands(*shape, padding, layout, stride)
        settings = {"stride": stride, "padding": padding, "layout": layout}
        wide = (a.astype(np.float64) for a in (dy, x, w))
        line = f"conv2d {shape} {settings} algorithm={algorithm!r} seed 0 FASTCONV_TARGET={fastconv.target()}"
        y = fastconv.conv2d(x, w, algorithm=algorithm, **settings)
        want = reference.conv2d(x.astype(np.float64), w.astype(np.float64), **settings)
        close(y, want, LIMIT[algorithm], line)
        packed = fastconv.pack(w, input_shape=x.shape, algorithm=algorithm, **settings)
        close(fastconv.conv2d(x, packed, **settings), want, LIMIT[algorithm], f"packed {line}")
        wanted = reference.conv2d_backward(*wide, **settings)
        got = fastconv.conv2d_backward(dy, x, w, algorithm=algorithm, **settings)
        for g, t, limit in zip(got, wanted, (LIMIT[algorithm], WEIGHT_LIMIT, WEIGHT_LIMIT), strict=True):
            close(g, t, limit, line)


@pytest.mark.parametrize("algorithm", ["auto", "winograd"])
@pytest.mark.parametrize("dilation", [2, 3, (1, 2), (4, 1), (5, 4)])
def test_dilated(algorithm, dilation):
    """A convolution of every d-th pixel is d * d convolutions of neighbours, whose sizes need not be the same."""
    far = np.broadcast_to(dilation, 2)
    for N, C, K, H, W, groups in (
        (2, 32, 24, 28, 28, 1),
        (1, 64, 64, 13, 17, 2),
        (3, 16, 48, 30, 9, 1),
        (1, 33, 17, 41, 5, 1),
    ):
        for before in ([(d, d) for d in far.tolist()], [(0, 0)] * 2, [(1, 1), (7, 7)], [(0, 9), (3, 1)]):
            P, Q = (size + sum(b) - 2 * d for size, b, d in zip((H, W), before, far.tolist(), strict=True))
            if P < 1 or Q < 1:
                continue
            rng = np.random.default_rng(0)
            x = rng.standard_normal((N, C, H, W), np.float32)
            w = rng.standard_normal((K, C // groups, 3, 3), np.float32)
            dy = rng.standard_normal((N, K, P, Q), np.float32)
            settings = {"padding": tuple(before), "dilation": dilation, "groups": groups}
            line = f"conv2d {x.shape} -> {K} {settings} algorithm={algorithm!r} FASTCONV_TARGET={fastconv.target()}"
            wide = (a.astype(np.float64) for a in (dy, x, w))
            want = reference.conv2d(x.astype(np.float64), w.astype(np.float64), **settings)
            close(fastconv.conv2d(x, w, algorithm=algorithm, **settings), want, LIMIT[algorithm], line)
            packed = fastconv.pack(w, input_shape=x.shape, algorithm=algorithm, **settings)
            close(fastconv.conv2d(x, packed, **settings), want, LIMIT[algorithm], f"packed {line}")
            got = fastconv.conv2d_backward(dy, x, w, algorithm=algorithm, **settings)
            limits = (LIMIT[algorithm], WEIGHT_LIMIT, WEIGHT_LIMIT)
            for g, t, limit in zip(got, reference.conv2d_backward(*wide, **settings), limits, strict=True):
                close(g, t, limit, line)


def test_dilated_images_are_taken_a_few_at_a_time_and_keep_their_non_finite_values():
    """More than is laid out at once; a NaN reaches the outputs of its own phase alone."""
    x = np.random.default_rng(0).standard_normal((9, 32, 128, 128), np.float32)
    w = np.random.default_rng(1).standard_normal((32, 32, 3, 3), np.float32)
    settings = {"padding": 2, "dilation": 2}
    y = fastconv.conv2d(x, w, **settings)
    for n in (0, 4, 8):
        one = fastconv.conv2d(x[n : n + 1], w, algorithm="direct", **settings)
        close(y[n : n + 1], one, LIMIT["auto"], f"image {n}")
    x[5, 3, 40, 41] = np.nan
    bad = np.isnan(fastconv.conv2d(x, w, **settings))
    rows, columns = np.unique(np.argwhere(bad)[:, 2]), np.unique(np.argwhere(bad)[:, 3])
    assert bad.sum() == 9 * 32 and rows.tolist() == [38, 40, 42] and columns.tolist() == [39, 41, 43]


def test_a_dilated_convolution_adds_a_residual_before_its_activation():
    layers = fastconv.layers
    body = layers.Conv2d(32, 32, 3, padding=2, dilation=2, generator=np.random.default_rng(0))
    model = layers.Sequential(layers.Residual(body), layers.ReLU())
    x = np.random.default_rng(1).standard_normal((2, 32, 28, 28), np.float32)
    want = np.maximum(0, x + fastconv.conv2d(x, body.weight.data, body.bias.data, padding=2, dilation=2))
    close(fastconv.optimize(model, x.shape)(x), want, LIMIT["auto"], "optimized residual")


@strides
@pytest.mark.parametrize("K", [17, 24, 64])
def test_double_precision(K, stride):
    """Where a vector is shorter than a tile of filters, the plain weight on its way to a transform overran its room."""
    settings = {"stride": stride, "padding": 1}
    for N, H, W in ((1, 16, 16), (1, 13, 8), (2, 28, 28)):
        x, w, dy = (a.astype(np.float64) for a in operands(N, 24, K, H, W, 1, stride=stride))
        want = (reference.conv2d(x, w, **settings), *reference.conv2d_backward(dy, x, w, **settings))
        packed = fastconv.pack(w, input_shape=x.shape, **settings)
        y, *gradients = fastconv.conv2d(x, w, **settings), *fastconv.conv2d_backward(dy, x, w, **settings)
        for got, expected in zip((y, *gradients), want, strict=True):
            close(got, expected, 1e-13, f"float64 {x.shape} -> {K} stride {stride}")
        close(
            fastconv.conv2d(x, packed, **settings), want[0], 1e-13, f"packed float64 {x.shape} -> {K} stride {stride}"
        )


@pytest.mark.parametrize("algorithm", ["auto", "winograd", "packed"])
@strides
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_stay_in_their_windows(algorithm, stride, value):
    x, w, _ = operands(1, 16, 16, 13, 14, 1)
    settings = {"padding": 1, "stride": stride, "algorithm": "winograd" if algorithm == "packed" else algorithm}
    weight = fastconv.pack(w, **settings) if algorithm == "packed" else w
    for place in range(0, x[0].size, 97):
        bad = x.copy()
        bad.flat[place] = value
        with np.errstate(invalid="ignore"):
            want = reference.conv2d(bad.astype(np.float64), w.astype(np.float64), padding=1, stride=stride)
        got = fastconv.conv2d(bad, weight, **settings)
        line = f"conv2d x.flat[{place}]={value} stride={stride} algorithm={algorithm!r}"
        assert np.array_equal(np.isfinite(got), np.isfinite(want)), line
        finite = np.isfinite(want)
        assert np.array_equal(got[~finite], want[~finite].astype(np.float32), equal_nan=True), line
        assert np.abs(got[finite] - want[finite]).max() <= 4e-6 * np.abs(want[finite]).max(), line


@pytest.mark.parametrize("algorithm", ["auto", "winograd"])
@strides
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_non_finite_gradients_stay_in_their_windows(algorithm, stride, value):
    x, w, dy = operands(2, 32, 24, 17, 14, 1, stride=stride)
    settings = {"padding": 1, "stride": stride}
    for place in range(0, dy[0].size, 199):
        bad = dy.copy()
        bad.flat[place] = value
        with np.errstate(invalid="ignore"):
            want = reference.conv2d_grad_input(bad.astype(np.float64), w.astype(np.float64), x.shape, **settings)
        got = fastconv.conv2d_grad_input(bad, w, x.shape, algorithm=algorithm, **settings)
        line = f"conv2d_grad_input dy.flat[{place}]={value} stride={stride} algorithm={algorithm!r}"
        assert np.array_equal(np.isfinite(got), np.isfinite(want)), line
        finite = np.isfinite(want)
        assert np.abs(got[finite] - want[finite]).max() <= 4e-6 * np.abs(want[finite]).max(), line


@pytest.mark.parametrize("algorithm", ["auto", "winograd"])
def test_huge_finite_values_stay_in_their_windows(algorithm):
    """Values whose transformed tile would overflow although the sum does not."""
    x, w, _ = operands(1, 16, 16, 13, 14, 1)
    x[0, 3, 6, 6] = 3e38
    w[:, 3] = np.abs(w[:, 3]).clip(0, 1)
    got = fastconv.conv2d(x, w, padding=1, algorithm=algorithm)
    want = reference.conv2d(x.astype(np.float64), w.astype(np.float64), padding=1)
    assert np.isfinite(got).all()
    far = np.ones(want.shape, bool)
    far[:, :, 1:12, 1:12] = False  # a tile of the transform reaches no further than 5 around the value
    assert np.abs(got - want)[far].max() <= 4e-6 * np.abs(want[far]).max()


@algorithms
@strides
def test_repeats_give_the_same_bits(algorithm, stride):
    x, w, dy = operands(2, 32, 32, 19, 21, 1, stride=stride)
    settings = {"padding": 1, "stride": stride, "algorithm": algorithm}
    packed = fastconv.pack(w, input_shape=x.shape, **settings)

    def results():
        yield from (fastconv.conv2d(x, weight, **settings) for weight in (w, packed))
        yield from fastconv.conv2d_backward(dy, x, w, **settings)

    first = list(results())
    for threads in (1, 2, 3, 5, 8):
        fastconv.set_num_threads(threads)
        for got, want in zip(results(), first, strict=True):
            compare.same_bits(got, want, f"conv2d {algorithm!r} with {threads} threads")


@algorithms
def test_batch_slices_give_the_same_results(algorithm):
    """Up to rounding: the algorithm, and which sums run in which order, may depend on the size of the batch."""
    x, w, _ = operands(3, 32, 32, 19, 21, 1)
    whole = fastconv.conv2d(x, w, padding=1, algorithm=algorithm)
    parts = [fastconv.conv2d(x[i : i + 1], w, padding=1, algorithm=algorithm) for i in range(3)]
    assert np.abs(np.concatenate(parts) - whole).max() <= 2 * LIMIT[algorithm] * np.abs(whole).max()


@pytest.mark.parametrize(
    "settings",
    [
        {"stride": 3},
        {"stride": (1, 2)},
        {"dilation": 2, "stride": 2},
        {"layout": "NHWC"},
        {"kernel": 7},
        {"kernel": 1},
        {"kernel": 5, "stride": 2},
        {"kernel": 5, "dilation": 2},
        {"kernel": (3, 5)},
    ],
)
def test_winograd_is_refused_where_it_is_impossible(settings):
    """Asked for by name it is used or refused, never replaced in silence."""
    settings = dict(settings)
    kernel = settings.pop("kernel", 3)
    x, w = np.ones((1, 16, 16, 16), np.float32), np.ones((16, 16, *np.broadcast_to(kernel, 2)), np.float32)
    with pytest.raises(ValueError, match="winograd"):
        fastconv.conv2d(x, w, algorithm="winograd", **settings)


def test_what_memory_held_does_not_count_as_not_finite():
    """Lanes past the last of 49 tiles held old memory: a NaN there sent finite images to the direct algorithm."""
    x, w, _ = operands(1, 64, 64, 28, 28, 1)
    first = fastconv.conv2d(x, w, padding=1)
    for _ in range(3):
        fastconv.conv2d(np.full_like(x, np.nan), w, padding=1)
        np.testing.assert_array_equal(fastconv.conv2d(x, w, padding=1), first)


@strides
def test_a_packed_weight_keeps_its_form(stride):
    """Packed for one shape, it computes any other that its algorithm can do, one output included; else it says so."""
    x, w, _ = operands(2, 32, 24, 31, 30, 0, stride=stride)
    packed = fastconv.pack(w, stride=stride, algorithm="winograd")
    assert packed.algorithm == "winograd"
    for height, width in ((31, 30), (3, 3), (3, 17), (9, 3), (4, 4)):
        part = np.ascontiguousarray(x[:, :, :height, :width])
        want = reference.conv2d(part.astype(np.float64), w.astype(np.float64), stride=stride)
        got = fastconv.conv2d(part, packed, stride=stride)
        close(got, want, LIMIT["winograd"], f"conv2d {part.shape} packed stride={stride}")
    with pytest.raises(ValueError, match="winograd"):
        fastconv.conv2d(x, packed, stride=3 - stride)
    with pytest.raises(ValueError, match="packed for algorithm 'winograd'"):
        fastconv.conv2d(x, packed, stride=stride, algorithm="direct")
