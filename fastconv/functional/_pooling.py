"""What the poolings of one, two and three dimensions share: arguments judged, results allocated, one call
of a kernel. `axes` is the number of spatial axes. Called by the public functions of pool.py and
adaptive_pool.py only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _geometry, _kernels, _pool_geometry
from fastconv import _validate as check
from fastconv._memory import empty
from fastconv.functional.packing import LAYOUTS


def operand(op: str, name: str, x: Any, axes: int, layout: str) -> np.ndarray:
    check.choice(op, "layout", layout, LAYOUTS)
    x = check.array(op, name, x)
    check.dimensions(op, name, x, axes + 2, _geometry.LETTERS[layout, axes])
    return x


def result(op: str, out: Any, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    return empty(shape, x.dtype) if out is None else check.output(op, out, shape, x.dtype, x)


def gradient(op: str, dy: Any, axes: int, layout: str, geometry: _pool_geometry.Pool) -> np.ndarray:
    dy = operand(op, "dy", dy, axes, layout)
    check.shaped(op, "dy", dy, geometry.y_shape)
    return dy


def max_forward(axes: int, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out):
    op = f"max_pool{axes}d"
    x = operand(op, "x", x, axes, layout)
    geometry = _pool_geometry.pool(op, x.shape, kernel_size, stride, padding, dilation, ceil_mode, layout)
    wanted = check.flag(op, "return_indices", return_indices)
    y = result(op, out, geometry.y_shape, x)
    indices = empty(geometry.y_shape, np.dtype(np.int64)) if wanted else None
    _kernels.max_pool_forward(geometry.fields, x, y, None, indices)
    return (y, indices) if wanted else y


def max_backward(axes: int, dy, indices, input_shape, layout, op: str | None = None) -> np.ndarray:
    op = op or f"max_pool{axes}d_backward"
    dy = operand(op, "dy", dy, axes, layout)
    shape = check.shape(op, "input_shape", input_shape, axes + 2)
    geometry = _pool_geometry.scatter(op, dy.shape, shape, layout)
    check.no_empty_axis(op, "dy", dy.shape)
    indices = _pool_geometry.indices(op, indices, dy.shape, math.prod(_geometry.spatial(shape, layout)))
    dx = empty(shape, dy.dtype)
    _kernels.max_pool_backward(geometry.fields, dy, None, indices, dx)
    return dx


def avg_forward(axes: int, x, window: tuple, count_include_pad, divisor_override, layout, out) -> np.ndarray:
    """`window` is (kernel_size, stride, padding, ceil_mode)."""
    op = f"avg_pool{axes}d"
    x = operand(op, "x", x, axes, layout)
    geometry = _avg_geometry(op, x.shape, window, layout, count_include_pad, divisor_override)
    y = result(op, out, geometry.y_shape, x)
    _kernels.avg_pool_forward(geometry.fields, x, y)
    return y


def avg_backward(axes: int, dy, input_shape, window: tuple, count_include_pad, divisor_override, layout) -> np.ndarray:
    op = f"avg_pool{axes}d_backward"
    check.choice(op, "layout", layout, LAYOUTS)
    shape = check.shape(op, "input_shape", input_shape, axes + 2)
    geometry = _avg_geometry(op, shape, window, layout, count_include_pad, divisor_override)
    dy = gradient(op, dy, axes, layout, geometry)
    dx = empty(shape, dy.dtype)
    _kernels.avg_pool_backward(geometry.fields, dy, dx)
    return dx


def _avg_geometry(op: str, shape, window: tuple, layout: str, count_include_pad, divisor_override):
    kernel_size, stride, padding, ceil_mode = window
    return _pool_geometry.pool(
        op, shape, kernel_size, stride, padding, 1, ceil_mode, layout, count_include_pad, divisor_override
    )
