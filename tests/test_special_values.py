"""NaN, infinities, signed zeros and subnormals at every place of an argument reach exactly the outputs they
should."""

import checks
import compare
import numpy as np
import pytest
from ops import OPS

import fastconv
from fastconv import reference

SPECIAL = [np.nan, np.inf, -np.inf, -0.0, float(np.finfo(np.float32).smallest_subnormal)]
PLACES = 5


def chosen(op):
    """Cases whose last axis runs through every width, and a few others."""
    small = [case for case in op.cases if not case.large and not case.empty]
    return small[:: max(1, len(small) // 12)]


def within(op, case, arrays, repro, loose=False):
    """The op agrees with the reference; with `loose` it may be non-finite where the reference is not."""
    wanted = checks.expected(op, case, arrays)
    # where an infinity meets the bound, only equality counts
    finite = {k: np.nan_to_num(a, nan=1, posinf=1, neginf=1) for k, a in arrays.items()}
    bounds = op.error_bound(case, finite, checks.expected(op, case, finite), checks.EPS[np.dtype(np.float32)])
    for got, want, bound in zip(checks.called(op, case, arrays), wanted, bounds, strict=True):
        if loose:
            assert not np.isfinite(got[~np.isfinite(want)]).any(), repro
            got = np.where(np.isfinite(got), got, want)
        compare.within(got, want, bound, repro)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_special_values_at_many_places(op):
    for case in chosen(op):
        plain = op.arrays(case, "integers", 0, np.float32)
        for name, array in plain.items():
            if array.dtype.kind != "f":
                continue
            spots = np.unique(np.linspace(0, array.size - 1, PLACES).astype(int))
            for value, spot in ((v, s) for v in SPECIAL for s in spots):
                arrays = {**plain, name: array.copy()}
                arrays[name].flat[spot] = value
                repro = f"{op.repro(case, 'integers', 0, 'float32')} {name}.flat[{spot}]={value}"
                within(op, case, arrays, repro, name in op.loose and not np.isfinite(value))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_every_place_of_a_row(value, layout):
    """Every lane of body, tail and border, with and without a stride, and every tap."""
    rng = np.random.default_rng(0)
    for width in range(1, 36):
        shape = (1, 2, 3, width)
        x = rng.integers(1, 5, shape).astype(np.float32)
        w = rng.integers(1, 5, (3, 2, 3, 3)).astype(np.float32)
        for spot in range(width):
            y = x.copy()
            y[0, 1, 1, spot] = value
            given = np.ascontiguousarray(np.moveaxis(y, 1, -1)) if layout == "NHWC" else y
            for stride in (1, 2):
                for name, args in (("conv2d", (w,)), ("max_pool2d", (3,)), ("avg_pool2d", (3,))):
                    settings = {"stride": stride, "padding": 1, "layout": layout}
                    extra = {"algorithm": "direct"} if name == "conv2d" else {}
                    got = getattr(fastconv, name)(given, *args, **settings, **extra)
                    with np.errstate(invalid="ignore"):
                        want = getattr(reference, name)(given, *args, **settings)
                    finite = np.isfinite(want)
                    assert np.array_equal(got[~finite], want[~finite], equal_nan=True), (name, width, spot, stride)
                    assert np.allclose(got[finite], want[finite], rtol=1e-6, atol=0), (name, width, spot, stride)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_special_weights(value):
    """At every tap, on padding too: 0 * inf is NaN wherever a window's tap lies on padding."""
    x = np.random.default_rng(0).integers(1, 5, (1, 2, 6, 19)).astype(np.float32)
    for spot in range(18):
        w = np.ones((2, 2, 3, 3), np.float32)
        w[1].flat[spot] = value
        for settings in ({}, {"stride": 2}, {"dilation": 2}, {"layout": "NHWC"}):
            given = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if settings.get("layout") else x
            got = fastconv.conv2d(given, w, padding=1, algorithm="direct", **settings)
            with np.errstate(invalid="ignore"):
                want = reference.conv2d(given, w, padding=1, **settings)
            compare.same_values(got, want, f"conv2d weight[1].flat[{spot}]={value} {settings}")


def test_all_nan_and_mixed_nan_windows():
    """Cases 85 to 89: NaN wins, the first of several is the maximum's place."""
    for width in range(2, 36):
        x = np.full((1, 1, 2, width), np.nan, np.float32)
        y, index = fastconv.max_pool2d(x, 2, 1, return_indices=True)
        assert np.isnan(y).all() and index.ravel().tolist() == list(range(width - 1))
        dx = fastconv.max_pool2d_backward(np.ones_like(y), index, x.shape)
        assert dx.ravel().tolist() == [1.0] * (width - 1) + [0.0] * (width + 1)
        x[0, 0, 0] = np.inf
        y, index = fastconv.max_pool2d(x, 2, 1, return_indices=True)
        assert np.isnan(y).all() and index.ravel().tolist() == list(range(width, 2 * width - 1))


def test_subnormals_are_kept():
    """Case 92, and importing or calling fastconv does not switch the processor to flush them."""
    tiny = np.finfo(np.float32).smallest_subnormal
    x = np.full((1, 3, 5, 21), tiny)
    y = fastconv.conv2d(x, np.ones((2, 3, 3, 3), np.float32))
    assert (y == 27 * tiny).all() and y[0, 0, 0, 0] != 0
    assert (fastconv.max_pool2d(x, 2) == tiny).all()
    assert (fastconv.relu(x) == tiny).all() and (fastconv.add(x, x) == 2 * tiny).all()
    one = np.array([1.0], np.float32)
    assert (np.array([tiny]) * one)[0] != 0 and (np.array([5e-324]) * 1.0)[0] != 0
