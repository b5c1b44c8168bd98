"""Upsampling of planes by whole factors and its gradient, in NumPy; the gradient of "nearest" is a sum over
windows and runs on the pooling kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastconv import _geometry, _kernels, _pool_geometry
from fastconv import _validate as check
from fastconv._memory import empty
from fastconv.functional import _pooling
from fastconv.functional.packing import LAYOUTS

MODES = ("nearest", "bilinear")


def upsample(x: np.ndarray, scale_factor: Any, mode: str = "nearest", *, layout: str = "NCHW") -> np.ndarray:
    """x (N, C, H, W) made scale_factor (an int, or one for each axis) times as large: "nearest" repeats
    pixels, "bilinear" interpolates between pixel centres (PyTorch's align_corners=False)."""
    op = "upsample"
    x = _pooling.operand(op, "x", x, 2, layout)
    check.no_empty_axis(op, "x", x.shape)
    factors, shape = _target(op, x.shape, scale_factor, mode, layout)
    first = 2 if layout == "NCHW" else 1
    for axis, factor in ((first + 1, factors[1]), (first, factors[0])):
        y = empty(shape if axis == first else (*x.shape[:axis], x.shape[axis] * factor, *x.shape[axis + 1 :]), x.dtype)
        _enlarge(x, y, axis, factor, mode)
        x = y
    return x


def upsample_backward(
    dy: np.ndarray, input_shape: Any, scale_factor: Any, mode: str = "nearest", *, layout: str = "NCHW"
) -> np.ndarray:
    """The gradient of upsample to its input: the transpose of the same interpolation."""
    op = "upsample_backward"
    dy = _pooling.operand(op, "dy", dy, 2, layout)
    shape = check.shape(op, "input_shape", input_shape, 4)
    factors, expected = _target(op, shape, scale_factor, mode, layout)
    check.shaped(op, "dy", dy, expected)
    if mode == "nearest":
        geometry = _pool_geometry.pool(op, dy.shape, factors, None, 0, 1, False, layout, True, 1)
        dx = empty(shape, dy.dtype)
        _kernels.avg_pool_forward(geometry.fields, dy, dx)
        return dx
    first = 2 if layout == "NCHW" else 1
    for axis, factor in ((first, factors[0]), (first + 1, factors[1])):
        dx = np.zeros((*dy.shape[:axis], dy.shape[axis] // factor, *dy.shape[axis + 1 :]), dy.dtype)
        _gather_back(dy, dx, axis, factor)
        dy = dx
    return dy


def _target(op: str, shape: tuple[int, ...], scale_factor: Any, mode: Any, layout: str):
    """The factors and the shape of the result."""
    check.choice(op, "layout", layout, LAYOUTS)
    check.choice(op, "mode", mode, MODES)
    factors = check.sizes(op, "scale_factor", scale_factor, 2, 1)
    space = tuple(size * f for size, f in zip(_geometry.spatial(shape, layout), factors, strict=True))
    large = _geometry.arranged(shape[0], _geometry.channels(shape, layout), space, layout)
    check.fits(op, "the output", large)
    return factors, large


class Phase(NamedTuple):
    """Outputs j, j + factor, ... lie between an element and its successor: `ahead` says whether output i *
    factor + j lies after element i (between i and i + 1) or before it (between i - 1 and i); `share` is the
    weight of the later of the two."""

    outputs: slice
    ahead: bool
    share: float


def _phases(factor: int) -> Iterator[Phase]:
    for j in range(factor):
        offset = (j + 0.5) / factor - 0.5
        yield Phase(slice(j, None, factor), offset >= 0, offset if offset >= 0 else offset + 1)


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, part)


def _enlarge(x: np.ndarray, y: np.ndarray, axis: int, factor: int, mode: str) -> None:
    if mode == "nearest":
        for j in range(factor):
            y[_along(axis, slice(j, None, factor))] = x
        return
    first, last = _along(axis, slice(0, 1)), _along(axis, slice(-1, None))
    for phase in _phases(factor):
        later = x.dtype.type(phase.share)
        # Beyond an edge there is only the edge element.
        a, b = (x, _shifted(x, axis, last, 1)) if phase.ahead else (_shifted(x, axis, first, -1), x)
        with np.errstate(invalid="ignore"):  # an infinity times a share of 0
            y[_along(axis, phase.outputs)] = (1 - later) * a + later * b


def _shifted(x: np.ndarray, axis: int, edge: tuple[slice, ...], by: int) -> np.ndarray:
    """x moved by one element along an axis, its edge repeated."""
    parts = [x[_along(axis, slice(1, None))], x[edge]] if by > 0 else [x[edge], x[_along(axis, slice(None, -1))]]
    return np.concatenate(parts, axis)


def _gather_back(dy: np.ndarray, dx: np.ndarray, axis: int, factor: int) -> None:
    first, last = _along(axis, slice(0, 1)), _along(axis, slice(-1, None))
    head, tail = _along(axis, slice(None, -1)), _along(axis, slice(1, None))
    for phase in _phases(factor):
        d = dy[_along(axis, phase.outputs)]
        later = d.dtype.type(phase.share)
        with np.errstate(invalid="ignore"):  # an infinity times a share of 0
            a, b = (1 - later) * d, later * d
        if phase.ahead:
            dx += a
            dx[tail] += b[head]
            dx[last] += b[last]
        else:
            dx += b
            dx[head] += a[tail]
            dx[first] += a[first]
