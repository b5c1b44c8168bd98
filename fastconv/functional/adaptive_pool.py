"""Adaptive and global pooling and their gradients. Where the output divides the input, or is one element,
the windows are equal and the pooling kernels run; else the windows are NumPy slices.

Output i of n along an axis of size L covers floor(i L / n) up to ceil((i + 1) L / n), PyTorch's rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv import _geometry, _kernels, _pool_geometry
from fastconv import _validate as check
from fastconv._memory import empty
from fastconv.functional import _pooling


def adaptive_avg_pool2d(x: np.ndarray, output_size: Any, *, layout: str = "NCHW") -> np.ndarray:
    """The mean of each of output_size (an int or (P, Q)) windows that together cover x (N, C, H, W): y (N,
    C, P, Q)."""
    op = "adaptive_avg_pool2d"
    x, shape = _forward(op, x, output_size, layout)
    y = empty(shape, x.dtype)
    geometry = _equal_windows(op, x.shape, shape, layout)
    if geometry:
        _kernels.avg_pool_forward(geometry.fields, x, y)
        return y
    axes = _axes(layout)
    for place, cell in _cells(x.shape, shape, layout):
        np.mean(x[cell], axis=axes, out=y[place])
    return y


def adaptive_avg_pool2d_backward(dy: np.ndarray, input_shape: Any, *, layout: str = "NCHW") -> np.ndarray:
    """The gradient of adaptive_avg_pool2d to its input: each dy over its window's elements, to every one of
    them."""
    op = "adaptive_avg_pool2d_backward"
    dy, shape = _backward(op, dy, input_shape, layout)
    dx = empty(shape, dy.dtype)
    geometry = _equal_windows(op, shape, dy.shape, layout)
    if geometry:
        _kernels.avg_pool_backward(geometry.fields, dy, dx)
        return dx
    dx[...] = 0
    axes = _axes(layout)
    for place, cell in _cells(shape, dy.shape, layout):
        window = dx[cell]
        window += np.expand_dims(dy[place] / dy.dtype.type(window.shape[axes[0]] * window.shape[axes[1]]), axes)
    return dx


def adaptive_max_pool2d(
    x: np.ndarray, output_size: Any, return_indices: bool = False, *, layout: str = "NCHW"
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """The largest value of each of output_size windows of x (N, C, H, W); with return_indices also its flat
    index (int64) in the plane. A NaN wins; among equal values the first in row-major order stands."""
    op = "adaptive_max_pool2d"
    x, shape = _forward(op, x, output_size, layout)
    wanted = check.flag(op, "return_indices", return_indices)
    y, indices = empty(shape, x.dtype), empty(shape, np.dtype(np.int64)) if wanted else None
    geometry = _equal_windows(op, x.shape, shape, layout)
    if geometry:
        _kernels.max_pool_forward(geometry.fields, x, y, None, indices)
    else:
        _max_of_cells(x, y, indices, layout)
    return (y, indices) if wanted else y


def _max_of_cells(x: np.ndarray, y: np.ndarray, indices: np.ndarray | None, layout: str) -> None:
    height, width = _geometry.spatial(x.shape, layout)
    plane = np.arange(height * width).reshape(_geometry.arranged(1, 1, (height, width), layout))
    for place, cell in _cells(x.shape, y.shape, layout):
        window = np.moveaxis(x[cell], _axes(layout), (2, 3))
        window = window.reshape(*window.shape[:2], window.shape[2] * window.shape[3])
        first = np.argmax(window, axis=2)  # the first of equals; a NaN counts as largest
        y[place] = np.take_along_axis(window, first[..., None], 2)[..., 0]
        if indices is not None:
            indices[place] = plane[cell].ravel()[first]


def adaptive_max_pool2d_backward(
    dy: np.ndarray, indices: np.ndarray, input_shape: Any, *, layout: str = "NCHW"
) -> np.ndarray:
    """The gradient of adaptive_max_pool2d to its input: each dy is added at the place its index names."""
    return _pooling.max_backward(2, dy, indices, input_shape, layout, "adaptive_max_pool2d_backward")


def global_avg_pool2d(x: np.ndarray, *, layout: str = "NCHW") -> np.ndarray:
    """The mean of each plane of x (N, C, H, W): y (N, C, 1, 1)."""
    op = "global_avg_pool2d"
    x, shape = _forward(op, x, 1, layout)
    y = empty(shape, x.dtype)
    _kernels.avg_pool_forward(_equal_windows(op, x.shape, shape, layout).fields, x, y)
    return y


def global_avg_pool2d_backward(dy: np.ndarray, input_shape: Any, *, layout: str = "NCHW") -> np.ndarray:
    """The gradient of global_avg_pool2d to its input: dy / (H * W) everywhere in its plane."""
    op = "global_avg_pool2d_backward"
    dy, shape = _backward(op, dy, input_shape, layout)
    check.shaped(op, "dy", dy, _geometry.arranged(shape[0], _geometry.channels(shape, layout), (1, 1), layout))
    dx = empty(shape, dy.dtype)
    _kernels.avg_pool_backward(_equal_windows(op, shape, dy.shape, layout).fields, dy, dx)
    return dx


def _forward(op: str, x: Any, output_size: Any, layout: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """x and the shape of y."""
    x = _pooling.operand(op, "x", x, 2, layout)
    check.no_empty_axis(op, "x", x.shape)
    outputs = check.sizes(op, "output_size", output_size, 2, 1)
    shape = _geometry.arranged(x.shape[0], _geometry.channels(x.shape, layout), outputs, layout)
    check.fits(op, "the output", shape)
    return x, shape


def _backward(op: str, dy: Any, input_shape: Any, layout: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """dy and the shape of dx."""
    dy = _pooling.operand(op, "dy", dy, 2, layout)
    check.no_empty_axis(op, "dy", dy.shape)
    shape = check.shape(op, "input_shape", input_shape, 4)
    _pool_geometry.scatter(op, dy.shape, shape, layout)
    return dy, shape


def _equal_windows(
    op: str, x_shape: tuple[int, ...], y_shape: tuple[int, ...], layout: str
) -> _pool_geometry.Pool | None:
    space, outputs = _geometry.spatial(x_shape, layout), _geometry.spatial(y_shape, layout)
    if any(size % n for size, n in zip(space, outputs, strict=True)):
        return None
    kernel = tuple(size // n for size, n in zip(space, outputs, strict=True))
    return _pool_geometry.pool(op, x_shape, kernel, None, 0, 1, False, layout)


def _axes(layout: str) -> tuple[int, int]:
    return (2, 3) if layout == "NCHW" else (1, 2)


def _cells(x_shape: tuple[int, ...], y_shape: tuple[int, ...], layout: str) -> Iterator[tuple[tuple, tuple]]:
    """(place in y, window of x) for each output of a plane."""
    a = _axes(layout)[0]
    (height, width), (p_count, q_count) = x_shape[a : a + 2], y_shape[a : a + 2]
    for p in range(p_count):
        rows = slice(p * height // p_count, -(-(p + 1) * height // p_count))
        for q in range(q_count):
            columns = slice(q * width // q_count, -(-(q + 1) * width // q_count))
            before = (slice(None),) * a
            yield (*before, p, q), (*before, rows, columns)
