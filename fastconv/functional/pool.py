"""Max and average pooling and their gradients, in one, two and three dimensions, on the same kernels.

Array shapes are those of layout "NCHW"; with "NHWC" the channels are the last axis of x, y, indices and
their gradients. Sizes and names are PyTorch's: stride None is the kernel size, padding is an int, one for
each spatial axis or pairs (before, after) and at most half the window, ceil_mode keeps a last window that
overhangs if it starts inside the input or the padding before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.functional import _pooling


def max_pool1d(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """As max_pool2d: x (N, C, W) to (N, C, Q)."""
    return _pooling.max_forward(1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


def max_pool1d_backward(dy: np.ndarray, indices: np.ndarray, input_shape: Any, *, layout: str = "NCHW") -> np.ndarray:
    """The gradient of max_pool1d to its input, as max_pool2d_backward."""
    return _pooling.max_backward(1, dy, indices, input_shape, layout)


def max_pool2d(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """The largest value of each window of x (N, C, H, W): y (N, C, P, Q), of float32 or float64 as x.

    A NaN wins over every number; among equal values the first in row-major order stands. With
    return_indices also their indices (int64, y's shape), flat in the H * W plane without padding. P =
    floor((H + padding - dilation * (R - 1) - 1) / stride) + 1, with ceil_mode ceil in place of floor. A
    wrong argument is a TypeError or ValueError that names it.
    """
    return _pooling.max_forward(2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


def max_pool2d_backward(dy: np.ndarray, indices: np.ndarray, input_shape: Any, *, layout: str = "NCHW") -> np.ndarray:
    """The gradient of max_pool2d to its input, of shape input_shape: each dy is added at the place its
    index names.

    indices are those max_pool2d gave (int64, dy's shape); one outside the plane is a ValueError.
    """
    return _pooling.max_backward(2, dy, indices, input_shape, layout)


def max_pool3d(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """As max_pool2d: x (N, C, D, H, W) to (N, C, O, P, Q); indices are flat in the D * H * W volume."""
    return _pooling.max_forward(3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


def max_pool3d_backward(dy: np.ndarray, indices: np.ndarray, input_shape: Any, *, layout: str = "NCHW") -> np.ndarray:
    """The gradient of max_pool3d to its input, as max_pool2d_backward."""
    return _pooling.max_backward(3, dy, indices, input_shape, layout)


def avg_pool1d(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """As avg_pool2d: x (N, C, W) to (N, C, Q)."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _pooling.avg_forward(1, x, window, count_include_pad, divisor_override, layout, out)


def avg_pool1d_backward(
    dy: np.ndarray,
    input_shape: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCHW",
) -> np.ndarray:
    """The gradient of avg_pool1d to its input, as avg_pool2d_backward."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _pooling.avg_backward(1, dy, input_shape, window, count_include_pad, divisor_override, layout)


def avg_pool2d(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """The mean of each window of x (N, C, H, W): y (N, C, P, Q).

    The sum of a window is divided by its elements inside the input, with count_include_pad also those in
    the padding, but never by what only ceil_mode overhangs; or by divisor_override. A wrong argument is a
    TypeError or ValueError that names it.
    """
    window = (kernel_size, stride, padding, ceil_mode)
    return _pooling.avg_forward(2, x, window, count_include_pad, divisor_override, layout, out)


def avg_pool2d_backward(
    dy: np.ndarray,
    input_shape: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCHW",
) -> np.ndarray:
    """The gradient of avg_pool2d to its input, of shape input_shape: each dy, divided as its window was,
    goes to every element of the window.
    """
    window = (kernel_size, stride, padding, ceil_mode)
    return _pooling.avg_backward(2, dy, input_shape, window, count_include_pad, divisor_override, layout)


def avg_pool3d(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """As avg_pool2d: x (N, C, D, H, W) to (N, C, O, P, Q)."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _pooling.avg_forward(3, x, window, count_include_pad, divisor_override, layout, out)


def avg_pool3d_backward(
    dy: np.ndarray,
    input_shape: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    layout: str = "NCHW",
) -> np.ndarray:
    """The gradient of avg_pool3d to its input, as avg_pool2d_backward."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _pooling.avg_backward(3, dy, input_shape, window, count_include_pad, divisor_override, layout)
