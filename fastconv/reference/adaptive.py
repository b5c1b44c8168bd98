"""Adaptive and global pooling and their gradients in plain NumPy: slow, obviously right. It never calls a
kernel.

Output i of n along an axis of size L covers floor(i L / n) to ceil((i + 1) L / n), PyTorch's rule."""

from itertools import product

import numpy as np

from . import _arguments as read
from ._windows import spread_maxima


def _spans(size, n):
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


def _cells(spatial, outputs):
    """Yields (place in the output, slices of the input) of each window of a plane."""
    for place in product(*(range(n) for n in outputs)):
        spans = (_spans(size, n)[i] for i, size, n in zip(place, spatial, outputs, strict=True))
        yield (..., *place), (..., *(slice(a, b) for a, b in spans))


def _input(x, layout, name="x"):
    return read.channels_first(read.array(x, name, 4), layout)


def adaptive_avg_pool2d(x, output_size, *, layout="NCHW"):
    """Mean of each of output_size (an int or (P, Q)) windows that together cover the plane."""
    a, outputs = _input(x, layout), read.sizes(output_size, 2, "output_size", 1)
    y = np.empty((*a.shape[:2], *outputs), a.dtype)
    for place, cell in _cells(a.shape[2:], outputs):
        y[place] = a[cell].mean(axis=(2, 3))
    return read.deliver(y, layout)


def adaptive_avg_pool2d_backward(dy, input_shape, *, layout="NCHW"):
    """Gradient of adaptive_avg_pool2d: dy over the number of inputs, to every input of the window."""
    d = _input(dy, layout, "dy")
    shape = read.shape_first(read.shape_of(input_shape, "input_shape", 4), layout)
    read.expect(d, "dy", (*shape[:2], *d.shape[2:]))
    dx = np.zeros(shape, d.dtype)
    for place, cell in _cells(shape[2:], d.shape[2:]):
        inputs = dx[cell].shape[2] * dx[cell].shape[3]
        dx[cell] += (d[place] / d.dtype.type(inputs))[..., None, None]
    return read.deliver(dx, layout)


def adaptive_max_pool2d(x, output_size, return_indices=False, *, layout="NCHW"):
    """Largest value of each of output_size windows, with return_indices also its flat index (int64) in the
    plane."""
    a, outputs = _input(x, layout), read.sizes(output_size, 2, "output_size", 1)
    y, index = np.empty((*a.shape[:2], *outputs), a.dtype), np.empty((*a.shape[:2], *outputs), np.int64)
    plane = np.arange(a.shape[2] * a.shape[3]).reshape(a.shape[2:])
    for place, cell in _cells(a.shape[2:], outputs):
        seen = a[cell]
        window = seen.reshape(*a.shape[:2], seen.shape[2] * seen.shape[3])
        first = np.argmax(window, axis=-1)  # the first of equals; a NaN counts as largest
        y[place] = np.take_along_axis(window, first[..., None], -1)[..., 0]
        index[place] = plane[cell].ravel()[first]
    y = read.deliver(y, layout)
    return (y, read.deliver(index, layout)) if return_indices else y


def adaptive_max_pool2d_backward(dy, indices, input_shape, *, layout="NCHW"):
    """Gradient of adaptive_max_pool2d: each dy goes to the input its index names."""
    d = _input(dy, layout, "dy")
    shape = read.shape_first(read.shape_of(input_shape, "input_shape", 4), layout)
    read.expect(d, "dy", (*shape[:2], *d.shape[2:]))
    where = read.channels_first(np.asarray(indices), layout)
    return read.deliver(spread_maxima(d, where, shape[2:]), layout)


def global_avg_pool2d(x, *, layout="NCHW"):
    """Mean of each plane: (N, C, 1, 1)."""
    return read.deliver(_input(x, layout).mean(axis=(2, 3), keepdims=True), layout)


def global_avg_pool2d_backward(dy, input_shape, *, layout="NCHW"):
    """Gradient of global_avg_pool2d: dy / (H * W) everywhere in its plane."""
    d = _input(dy, layout, "dy")
    shape = read.shape_first(read.shape_of(input_shape, "input_shape", 4), layout)
    read.expect(d, "dy", (*shape[:2], 1, 1))
    share = d / d.dtype.type(shape[2] * shape[3])
    return read.deliver(np.broadcast_to(share, shape), layout).copy()
