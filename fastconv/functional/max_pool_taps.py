"""Max pooling for layers: which tap of its window each maximum is, in one byte (four where a window has
more than 256 elements) in place of the eight of an index. The gradient then needs no search and no
scatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, _pool_geometry
from fastconv import _validate as check
from fastconv._memory import empty
from fastconv.functional import _pooling


def max_pool_taps(
    axes: int,
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    layout: str = "NCHW",
) -> tuple[np.ndarray, np.ndarray]:
    """(y, taps) of max_pool1d, 2d or 3d, by the number of spatial axes: taps (uint8 or int32, y's shape) is what
    max_pool_taps_backward needs, an eighth of the memory of indices."""
    op = f"max_pool{axes}d"
    x = _pooling.operand(op, "x", x, axes, layout)
    geometry = _pool_geometry.pool(op, x.shape, kernel_size, stride, padding, dilation, ceil_mode, layout)
    y, taps = empty(geometry.y_shape, x.dtype), empty(geometry.y_shape, np.dtype(geometry.taps_dtype))
    _kernels.max_pool_forward(geometry.fields, x, y, taps, None)
    return y, taps


def max_pool_taps_backward(
    axes: int,
    dy: np.ndarray,
    taps: np.ndarray,
    input_shape: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    layout: str = "NCHW",
) -> np.ndarray:
    """The gradient of a max pooling to its input from the taps of max_pool_taps, called with the same
    arguments."""
    op = f"max_pool{axes}d_backward"
    dy = _pooling.operand(op, "dy", dy, axes, layout)
    shape = check.shape(op, "input_shape", input_shape, axes + 2)
    geometry = _pool_geometry.pool(op, shape, kernel_size, stride, padding, dilation, ceil_mode, layout)
    check.shaped(op, "dy", dy, geometry.y_shape)
    taps = _pool_geometry.taps(op, taps, geometry)
    dx = empty(shape, dy.dtype)
    _kernels.max_pool_backward(geometry.fields, dy, taps, None, dx)
    return dx
