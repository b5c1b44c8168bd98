"""Max and average pooling, adaptive and global pooling and their gradients in plain NumPy: slow, obviously
right. It never calls a kernel."""

import numpy as np

from . import _arguments as read
from ._windows import Pool, maxima, spread_maxima, spread_sums, sums


def _input(x, axes, layout, name="x"):
    return read.channels_first(read.array(x, name, axes + 2), layout)


def _gradient(dy, axes, input_shape, layout):
    """(dy channels first, input shape channels first); N and C must agree."""
    d = _input(dy, axes, layout, "dy")
    shape = read.shape_first(read.shape_of(input_shape, "input_shape", axes + 2), layout)
    read.expect(d, "dy", (*shape[:2], *d.shape[2:]))
    return d, shape


def _max(axes, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out):
    a = _input(x, axes, layout)
    best, index = maxima(a, Pool.of(a.shape[2:], kernel_size, stride, padding, dilation, ceil_mode))
    y = read.deliver(best, layout, out)
    return (y, read.deliver(index, layout)) if return_indices else y


def _max_backward(axes, dy, indices, input_shape, layout):
    d, shape = _gradient(dy, axes, input_shape, layout)
    where = read.channels_first(np.asarray(indices), layout)
    return read.deliver(spread_maxima(d, where, shape[2:]), layout)


def _avg(axes, x, window, count_include_pad, divisor_override, layout, out):
    kernel_size, stride, padding, ceil_mode = window
    a = _input(x, axes, layout)
    pool = Pool.of(a.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    divisors = pool.divisors(count_include_pad, divisor_override).astype(a.dtype)
    return read.deliver(sums(a, pool) / divisors, layout, out)


def _avg_backward(axes, dy, input_shape, window, count_include_pad, divisor_override, layout):
    kernel_size, stride, padding, ceil_mode = window
    d, shape = _gradient(dy, axes, input_shape, layout)
    pool = Pool.of(shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    read.expect(d, "dy", (*shape[:2], *pool.counts))
    divisors = pool.divisors(count_include_pad, divisor_override).astype(d.dtype)
    return read.deliver(spread_sums(d / divisors, pool), layout)


def max_pool1d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
    *,
    layout="NCHW",
    out=None,
):
    """Largest value of each window over the 1 spatial axis; with return_indices also its flat index (int64)
    in the unpadded row. A NaN wins; among equals the first in row-major order."""
    return _max(1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


def max_pool1d_backward(dy, indices, input_shape, *, layout="NCHW"):
    """Gradient of max_pool1d: each dy goes to the input its index names."""
    return _max_backward(1, dy, indices, input_shape, layout)


def avg_pool1d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    layout="NCHW",
    out=None,
):
    """Mean of each window over the 1 spatial axis: its sum divided by its taps inside the input (and the
    padding, with count_include_pad; never what ceil_mode overhangs), or by divisor_override."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _avg(1, x, window, count_include_pad, divisor_override, layout, out)


def avg_pool1d_backward(
    dy,
    input_shape,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    layout="NCHW",
):
    """Gradient of avg_pool1d: each dy, divided as the window was, goes to every input of the window."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _avg_backward(1, dy, input_shape, window, count_include_pad, divisor_override, layout)


def max_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
    *,
    layout="NCHW",
    out=None,
):
    """Largest value of each window over the 2 spatial axes; with return_indices also its flat index (int64)
    in the unpadded plane. A NaN wins; among equals the first in row-major order."""
    return _max(2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


def max_pool2d_backward(dy, indices, input_shape, *, layout="NCHW"):
    """Gradient of max_pool2d: each dy goes to the input its index names."""
    return _max_backward(2, dy, indices, input_shape, layout)


def avg_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    layout="NCHW",
    out=None,
):
    """Mean of each window over the 2 spatial axes: its sum divided by its taps inside the input (and the
    padding, with count_include_pad; never what ceil_mode overhangs), or by divisor_override."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _avg(2, x, window, count_include_pad, divisor_override, layout, out)


def avg_pool2d_backward(
    dy,
    input_shape,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    layout="NCHW",
):
    """Gradient of avg_pool2d: each dy, divided as the window was, goes to every input of the window."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _avg_backward(2, dy, input_shape, window, count_include_pad, divisor_override, layout)


def max_pool3d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
    *,
    layout="NCHW",
    out=None,
):
    """Largest value of each window over the 3 spatial axes; with return_indices also its flat index (int64)
    in the unpadded volume. A NaN wins; among equals the first in row-major order."""
    return _max(3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, layout, out)


def max_pool3d_backward(dy, indices, input_shape, *, layout="NCHW"):
    """Gradient of max_pool3d: each dy goes to the input its index names."""
    return _max_backward(3, dy, indices, input_shape, layout)


def avg_pool3d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    layout="NCHW",
    out=None,
):
    """Mean of each window over the 3 spatial axes: its sum divided by its taps inside the input (and the
    padding, with count_include_pad; never what ceil_mode overhangs), or by divisor_override."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _avg(3, x, window, count_include_pad, divisor_override, layout, out)


def avg_pool3d_backward(
    dy,
    input_shape,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    layout="NCHW",
):
    """Gradient of avg_pool3d: each dy, divided as the window was, goes to every input of the window."""
    window = (kernel_size, stride, padding, ceil_mode)
    return _avg_backward(3, dy, input_shape, window, count_include_pad, divisor_override, layout)
