"""Upsampling by whole factors and its gradient in plain NumPy. It never calls a kernel."""

import numpy as np

from . import _arguments as read


def upsample(x, scale_factor, mode="nearest", *, layout="NCHW"):
    """x (N, C, H, W) made scale_factor (an int or one an axis) times as large: "nearest" repeats pixels,
    "bilinear" interpolates between pixel centres (PyTorch's align_corners=False)."""
    y = read.channels_first(read.array(x, "x", 4), layout)
    for axis, parts in _interpolations(y.shape[2:], scale_factor, mode, y.dtype):
        y = sum(_along(share, axis) * y.take(source, axis) for source, share in parts)
    return read.deliver(y, layout)


def upsample_backward(dy, input_shape, scale_factor, mode="nearest", *, layout="NCHW"):
    """Gradient of upsample: the transpose of the same interpolation."""
    d = read.channels_first(read.array(dy, "dy", 4), layout)
    shape = read.shape_first(read.shape_of(input_shape, "input_shape", 4), layout)
    interpolations = _interpolations(shape[2:], scale_factor, mode, d.dtype)
    read.expect(d, "dy", (*shape[:2], *(len(parts[0][0]) for _, parts in interpolations)))
    for axis, parts in interpolations:
        dx = np.zeros((*d.shape[:axis], shape[axis], *d.shape[axis + 1 :]), d.dtype)
        for source, share in parts:
            np.add.at(dx, (slice(None),) * axis + (source,), _along(share, axis) * d)
        d = dx
    return read.deliver(d, layout)


def _along(share, axis):
    return share.reshape(-1, *(1,) * (3 - axis))


def _interpolations(spatial, scale_factor, mode, dtype):
    """[(axis, [(source of each output, its share), ...]), ...]"""
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f'mode: expected "nearest" or "bilinear", got {mode!r}')
    factors = read.sizes(scale_factor, 2, "scale_factor", 1)
    return [(axis, _parts(spatial[axis - 2], factors[axis - 2], mode, dtype)) for axis in (2, 3)]


def _parts(size, factor, mode, dtype):
    out = np.arange(size * factor)
    if mode == "nearest":
        return [(out // factor, np.ones(len(out), dtype))]
    centre = np.maximum((out + 0.5) / factor - 0.5, 0)
    low = centre.astype(np.intp)
    share = (centre - low).astype(dtype)
    return [(low, 1 - share), (np.minimum(low + 1, size - 1), share)]
