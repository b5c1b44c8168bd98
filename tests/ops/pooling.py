"""Rows of max, average, adaptive and global pooling and their gradients."""

from collections.abc import Iterator
from math import prod

import numpy as np

from .bad_convolution import FAR, calls, zeros
from .convolution import pairs, shaped
from .row import Bad, Case, Op, places


def _power_of_two(n):
    return n & (n - 1) == 0


def outputs(spatial, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False, **_):
    """Output sizes by the formula; in ceil_mode a last window that would start beyond input and left padding
    is dropped."""
    axes = len(spatial)
    kernel, spread = _each(kernel_size, axes), _each(dilation, axes)
    steps = kernel if stride is None else _each(stride, axes)
    sizes = []
    for size, k, s, p, d in zip(spatial, kernel, steps, pairs(padding, axes), spread, strict=True):
        room = size + sum(p) - d * (k - 1) - 1
        n = (-(-room // s) if ceil_mode else room // s) + 1
        sizes.append(n - 1 if ceil_mode and (n - 1) * s >= size + p[0] else n)
    return tuple(sizes)


def _each(value, axes):
    return value if isinstance(value, tuple) else (value,) * axes


def _geometries(axes):
    """(N, C, spatial, settings): what max and average pooling share."""
    plane, ones = (6, 7, 9)[3 - axes :], (1,) * axes
    for c in (1, 3, 7, 17, 33):
        yield 2, c, plane, {"kernel_size": 2}
        yield 1, c, plane, {"kernel_size": 2, "layout": "NHWC"}
    for w in range(1, 34):
        yield 1, 3, (*ones[1:], w), {"kernel_size": (*ones[1:], min(w, 2)), "stride": 1}
        last = {"kernel_size": (*ones[1:], 3), "stride": (*ones[1:], 2), "padding": (*(0,) * (axes - 1), 1)}
        yield 1, 3, (*ones[1:], w), last
    yield 0, 3, plane, {"kernel_size": 2}  # case 7
    for ceil in (False, True):  # cases 43 to 45
        yield 2, 3, plane, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": ceil}
        yield 2, 3, plane, {"kernel_size": 2, "stride": 4, "padding": 1, "ceil_mode": ceil}
        yield 2, 3, plane, {"kernel_size": 3, "ceil_mode": ceil, "layout": "NHWC", "padding": 1}
        yield 2, 3, (5,) * axes, {"kernel_size": 2, "stride": 2, "ceil_mode": ceil}
    yield 2, 3, plane, {"kernel_size": (2, 3, 4)[3 - axes :], "stride": (1, 2, 3)[3 - axes :]}
    yield 2, 3, plane, {"kernel_size": plane}  # case 16
    yield 2, 3, plane, {"kernel_size": 1, "stride": 9}
    if axes == 2:
        for w in range(1, 34):
            yield 1, 2, (4, w), {"kernel_size": 2, "stride": 2, "padding": 1}
        yield 2, 3, (8, 9), {"kernel_size": 3, "stride": 2, "padding": ((1, 0), (0, 1))}
        yield 2, 3, (1, 9), {"kernel_size": (1, 3), "stride": (4, 1)}
        yield 4, 32, (40, 42), {"kernel_size": 3, "stride": 2, "padding": 1}
        yield 4, 64, (28, 28), {"kernel_size": 2}
        yield 4, 32, (28, 28), {"kernel_size": 3, "stride": 1, "padding": 1, "layout": "NHWC"}


def _large(N, C, spatial):
    return N * C * prod(spatial) > 50_000


def _max_cases(axes, backward) -> Iterator[Case]:
    spread = (
        (2, 3, (7,) * axes, {"kernel_size": 2, "stride": 1, "dilation": 3}),
        (2, 3, (7,) * axes, {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 2, "ceil_mode": True}),
    )
    for N, C, spatial, s in (*_geometries(axes), *spread):
        x, large = shaped(N, C, spatial, **s), _large(N, C, spatial)
        if not backward:
            yield Case({"x": x}, {**s, "return_indices": True}, large=large)
            continue
        dy = shaped(N, C, outputs(spatial, **s), **s)
        layout = {"layout": s["layout"]} if "layout" in s else {}
        yield Case({"dy": dy, "indices": dy}, {"input_shape": x, **layout}, terms=prod(dy[1:]), large=large)


def _avg_cases(axes, backward) -> Iterator[Case]:
    for N, C, spatial, s in _geometries(axes):
        for more in ({}, {"count_include_pad": False}, {"divisor_override": 4}):
            if more and _large(N, C, spatial):
                continue
            settings, kernel = {**s, **more}, _each(s["kernel_size"], axes)
            partial = s.get("padding", 0) != 0 or s.get("ceil_mode", False)
            exact = "divisor_override" in more or (_power_of_two(prod(kernel)) and not partial)
            x, dy = shaped(N, C, spatial, **s), shaped(N, C, outputs(spatial, **s), **s)
            shapes = {"dy": dy} if backward else {"x": x}
            settings = {"input_shape": x, **settings} if backward else settings
            yield Case(shapes, settings, terms=prod(kernel) + 1, exact=exact, large=_large(N, C, spatial))


def _max_gradient(name):
    def gradient(functional, arrays, settings, y, dy):
        layout = settings.get("layout", "NCHW")
        return {"x": getattr(functional, name)(dy, y[1], arrays["x"].shape, layout=layout)}

    return gradient


def _avg_gradient(name, *kept):
    def gradient(functional, arrays, settings, y, dy):
        passed = {k: v for k, v in settings.items() if k in kept or not kept}
        return {"x": getattr(functional, name)(dy, arrays["x"].shape, **passed)}

    return gradient


def _bad_window(n, largest) -> Iterator[Bad]:
    good = {"x": zeros(2, 3, *(6,) * n), "kernel_size": 2}
    E = ValueError
    yield from calls(2, good, E, *(("x", {"x": zeros(*(1,) * d)}) for d in (0, 1, n + 1, n + 3)))
    yield from calls(8, good, E, ("x", {"x": zeros(2, 0, *(6,) * n)}))
    yield from calls(10, good, E, ("x", {"x": zeros(2, 3, *(0,) * n)}))
    yield from calls(14, good, E, ("empty", {"kernel_size": 7}))
    yield from calls(
        35, good, E, ("padding", {"padding": 2}), ("padding", {"kernel_size": 3, "padding": ((0, 2),) * n})
    )
    yield from calls(40, good, E, *(("kernel_size|empty", {"kernel_size": k}) for k in (0, -1, FAR)))
    yield from calls(40, good, TypeError, ("kernel_size", {"kernel_size": None}))
    yield from calls(41, good, E, ("kernel_size", {"kernel_size": (1, 1, *(2,) * n)}))
    yield from calls(42, good, E, ("stride", {"stride": 0}), ("stride", {"stride": -2}))
    if largest == "avg":
        yield from calls(46, good, E, *(("divisor_override", {"divisor_override": d}) for d in (0, -1)))
        yield from calls(46, good, TypeError, ("divisor_override", {"divisor_override": 1.5}))
    else:
        yield from calls(15, good, E, ("empty", {"dilation": 6}), ("", {"dilation": 1 << 62}))


def bad_indices(good) -> Iterator[Bad]:
    """Cases 98, 101 and 102 for a gradient that goes where `indices` says; planes of 36 places."""
    dy, indices = good["dy"], good["indices"]
    for value in (-1, 36, 1 << 31, (1 << 32) + 3, -(1 << 63), (1 << 63) - 1):
        wrong = indices.copy()
        wrong.flat[-1] = value
        yield Bad(101, {**good, "indices": wrong}, ValueError, rf"indices.*{value}")
    for dtype in (np.int32, np.uint64, np.float64, bool, object):
        yield Bad(101, {**good, "indices": indices.astype(dtype)}, TypeError, "indices")
    yield Bad(102, {**good, "indices": indices[:, :, 1:]}, ValueError, "indices")
    yield Bad(98, {**good, "dy": dy[:, 1:]}, ValueError, "dy|indices|input_shape")
    for shape in ((3, 3, 6, 6), (2, 4, 6, 6), (2, 3, 6), (2, 3, 0, 6), (2, 3, -6, -6)):
        yield Bad(99, {**good, "input_shape": shape}, ValueError, "input_shape|dy")


def _bad_max_backward() -> Iterator[Bad]:
    yield from bad_indices(
        {"dy": zeros(2, 3, 3, 3), "indices": np.zeros((2, 3, 3, 3), np.int64), "input_shape": (2, 3, 6, 6)}
    )


def _bad_avg_backward(n) -> Iterator[Bad]:
    good = {"dy": zeros(2, 3, *(3,) * n), "input_shape": (2, 3, *(6,) * n), "kernel_size": 2}
    wrong = [(2, 3, *(9,) * n), (3, 3, *(6,) * n), (2, 4, *(6,) * n), (2, 3, 6)[: n + 1], (2, 3, *(0,) * n)]
    yield from calls(99, good, ValueError, *(("input_shape|dy", {"input_shape": s}) for s in wrong))
    yield from calls(98, good, ValueError, *(("dy", {"dy": zeros(2, 3, *(k,) * n)}) for k in (2, 4)))
    yield from calls(46, good, ValueError, ("divisor_override", {"divisor_override": 0}))


def _rows(n) -> Iterator[Op]:
    top, mean = f"max_pool{n}d", f"avg_pool{n}d"
    yield Op(
        top,
        tuple(_max_cases(n, False)),
        "none",
        gradient=_max_gradient(top + "_backward"),
        bad=lambda: _bad_window(n, "max"),
    )
    yield Op(
        top + "_backward",
        tuple(_max_cases(n, True)),
        fills={"indices": places},
        sparse=True,
        linear=("dy",),
        bad=_bad_max_backward if n == 2 else None,
    )
    yield Op(
        mean,
        tuple(_avg_cases(n, False)),
        linear=("x",),
        gradient=_avg_gradient(mean + "_backward"),
        bad=lambda: _bad_window(n, "avg"),
    )
    yield Op(
        mean + "_backward",
        tuple(_avg_cases(n, True)),
        sparse=True,
        linear=("dy",),
        bad=lambda: _bad_avg_backward(n),
    )


OPS = [op for n in (1, 2, 3) for op in _rows(n)]
