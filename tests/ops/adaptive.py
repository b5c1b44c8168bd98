"""Rows of adaptive and global pooling and of upsampling with their gradients: ops on the planes of 4-d
arrays."""

from collections.abc import Iterator
from math import prod

import numpy as np

from .bad_convolution import calls, zeros
from .convolution import shaped
from .pooling import bad_indices
from .row import Bad, Case, Op, places


def _planes():
    """(N, C, (H, W), settings of layout)."""
    for c in (1, 3, 7, 17, 33):
        yield 2, c, (6, 7), {}
    for w in range(1, 34):
        yield 1, 3, (2, w), {}
    yield 0, 3, (4, 4), {}
    yield 2, 17, (8, 8), {"layout": "NHWC"}
    yield 2, 5, (5, 9), {"layout": "NHWC"}
    yield 2, 32, (32, 32), {}


def _large(N, C, spatial):
    return N * C * prod(spatial) > 50_000


def _adaptive(kind) -> Iterator[Case]:
    for N, C, spatial, s in _planes():
        for size in (1, 3, (2, 5), (7, 1), 8):
            P, Q = size if isinstance(size, tuple) else (size, size)
            x, y = shaped(N, C, spatial, **s), shaped(N, C, (P, Q), **s)
            terms, large = 4 * prod(spatial), _large(N, C, spatial)
            exact = kind.startswith("max") or (spatial == (8, 8) and size in (1, 8))
            settings = {"return_indices": True} if kind == "max" else {}
            back = {"input_shape": x, **s}
            if not kind.endswith("backward"):
                yield Case({"x": x}, {"output_size": size, **settings, **s}, terms, exact, large)
            elif kind == "max_backward":
                yield Case({"dy": y, "indices": y}, back, terms, exact, large)
            else:
                yield Case({"dy": y}, back, terms, exact, large)


def _global(backward) -> Iterator[Case]:
    for N, C, spatial, s in _planes():
        x, exact = shaped(N, C, spatial, **s), spatial in ((8, 8), (4, 4), (32, 32), (2, 8), (2, 1))
        if backward:
            shapes, settings = {"dy": shaped(N, C, (1, 1), **s)}, {"input_shape": x, **s}
        else:
            shapes, settings = {"x": x}, s
        yield Case(shapes, settings, prod(spatial) + 2, exact, _large(N, C, spatial))


def _upsampling(backward) -> Iterator[Case]:
    for N, C, spatial, s in _planes():
        for mode in ("nearest", "bilinear"):
            for scale in (2, 1, (3, 2), (1, 4)):
                x = shaped(N, C, spatial, **s)
                f = scale if isinstance(scale, tuple) else (scale, scale)
                settings = {"scale_factor": scale, "mode": mode, **s}
                y = shaped(N, C, (spatial[0] * f[0], spatial[1] * f[1]), **s)
                shapes = {"dy": y} if backward else {"x": x}
                settings = {"input_shape": x, **settings} if backward else settings
                # shares of bilinear interpolation are multiples of 1/8 for factors 2 and 4, rounded for 3
                exact = mode == "nearest" or 3 not in f
                yield Case(shapes, settings, 16 * f[0] * f[1], exact, _large(N, C, spatial))


def _gradient(name, *kept):
    def gradient(functional, arrays, settings, y, dy):
        passed = {k: v for k, v in settings.items() if k in ("layout", *kept)}
        if isinstance(y, tuple):
            return {"x": getattr(functional, name)(dy, y[1], arrays["x"].shape, **passed)}
        return {"x": getattr(functional, name)(dy, arrays["x"].shape, **passed)}

    return gradient


def _bad_size() -> Iterator[Bad]:
    good, E = {"x": zeros(2, 3, 6, 6), "output_size": 2}, ValueError
    yield from calls(2, good, E, *(("x", {"x": zeros(*(2,) * d)}) for d in (0, 2, 3, 5)))
    yield from calls(10, good, E, ("x", {"x": zeros(2, 3, 0, 6)}), ("x", {"x": zeros(2, 0, 6, 6)}))
    yield from calls(40, good, E, *(("output_size", {"output_size": s}) for s in (0, -1, (1, 0), (1, 2, 3))))
    yield from calls(36, good, TypeError, *(("output_size", {"output_size": s}) for s in (2.0, "2", True)))
    yield from calls(
        78, good, (ValueError, MemoryError), ("", {"output_size": 1 << 62}), ("", {"output_size": 1 << 31})
    )


def _bad_indices() -> Iterator[Bad]:
    indices = np.zeros((2, 3, 3, 3), np.int64)
    yield from bad_indices({"dy": zeros(2, 3, 3, 3), "indices": indices, "input_shape": (2, 3, 6, 6)})


def _bad_gradient(side, **settings) -> Iterator[Bad]:
    good = {"dy": zeros(2, 3, side, side), "input_shape": (2, 3, 6, 6), **settings}
    wrong = [(3, 3, 6, 6), (2, 4, 6, 6), (2, 3, 6), (2, 3, 0, 6), (2, 3, -6, 6)]
    yield from calls(99, good, ValueError, *(("input_shape|dy", {"input_shape": s}) for s in wrong))
    yield from calls(98, good, ValueError, ("dy", {"dy": zeros(2, 3, side)}))


def _bad_scale() -> Iterator[Bad]:
    good, E = {"x": zeros(2, 3, 6, 6), "scale_factor": 2}, ValueError
    yield from calls(2, good, E, *(("x", {"x": zeros(*(2,) * d)}) for d in (0, 2, 6)))
    yield from calls(10, good, E, ("x", {"x": zeros(2, 3, 0, 6)}))
    yield from calls(25, good, E, *(("scale_factor", {"scale_factor": s}) for s in (0, -2, (2, 2, 2))))
    yield from calls(36, good, TypeError, *(("scale_factor", {"scale_factor": s}) for s in (1.5, "2", None, True)))
    yield from calls(0, good, (TypeError, ValueError), ("mode", {"mode": "cubic"}), ("mode", {"mode": None}))
    yield from calls(
        78, good, (ValueError, MemoryError), ("", {"scale_factor": 1 << 62}), ("", {"scale_factor": 1 << 30})
    )


MEAN, TOP, WHOLE = "adaptive_avg_pool2d", "adaptive_max_pool2d", "global_avg_pool2d"
OPS = [
    Op(MEAN, tuple(_adaptive("avg")), linear=("x",), gradient=_gradient(MEAN + "_backward"), bad=_bad_size),
    Op(MEAN + "_backward", tuple(_adaptive("avg_backward")), linear=("dy",), bad=lambda: _bad_gradient(3)),
    Op(TOP, tuple(_adaptive("max")), "none", gradient=_gradient(TOP + "_backward"), bad=_bad_size),
    Op(
        TOP + "_backward",
        tuple(_adaptive("max_backward")),
        fills={"indices": places},
        sparse=True,
        linear=("dy",),
        bad=_bad_indices,
    ),
    Op(WHOLE, tuple(_global(False)), linear=("x",), gradient=_gradient(WHOLE + "_backward")),
    Op(WHOLE + "_backward", tuple(_global(True)), linear=("dy",), bad=lambda: _bad_gradient(1)),
    Op(
        "upsample",
        tuple(_upsampling(False)),
        linear=("x",),
        loose=("x",),
        gradient=_gradient("upsample_backward", "scale_factor", "mode"),
        bad=_bad_scale,
    ),
    Op(
        "upsample_backward",
        tuple(_upsampling(True)),
        linear=("dy",),
        loose=("dy",),
        bad=lambda: _bad_gradient(12, scale_factor=2),
    ),
]
