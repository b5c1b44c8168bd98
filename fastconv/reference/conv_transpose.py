"""conv_transpose1d, 2d, 3d and their gradients in plain NumPy: the gradient of a convolution in its input,
and back. It never calls a kernel."""

from typing import Any

from . import _arguments as read
from ._taps import Windows, forward, grad_input, grad_weight


def _prepare(axes: int, x: Any, weight: Any, settings: tuple, output_padding: Any, layout: str):
    """(x channels first, weight, windows, output sizes) of a transposed convolution, checked."""
    stride, padding, dilation, groups = settings
    a = read.channels_first(read.array(x, "x", axes + 2), layout)
    w = read.array(weight, "weight", axes + 2)
    read.alike(a.dtype, w, "weight")
    if 0 in w.shape or isinstance(padding, str):
        raise ValueError(f"weight: no axis may be empty, got {w.shape}; padding: no name, got {padding!r}")
    windows = Windows.of(w.shape[2:], stride, padding, dilation, groups)
    if a.shape[1] != w.shape[0] or w.shape[0] % windows.groups:
        raise ValueError(f"weight: shape {w.shape} does not fit {a.shape[1]} channels in {windows.groups} groups")
    extra = read.sizes(output_padding, axes, "output_padding", 0)
    parts = zip(a.shape[2:], windows.stride, windows.pads, windows.dilation, windows.kernel, extra, strict=True)
    spatial = []
    for size, s, pad, d, k, more in parts:
        if more >= max(s, d):
            raise ValueError(f"output_padding: expected less than max(stride, dilation) = {max(s, d)}, got {more}")
        spatial.append((size - 1) * s - sum(pad) + d * (k - 1) + more + 1)
        if spatial[-1] < 1:
            raise ValueError(f"output would be empty: {spatial[-1]} along an axis of size {size}")
    return a, w, windows, tuple(spatial)


def _transpose(axes, x, weight, bias, settings, output_padding, layout, out):
    a, w, windows, spatial = _prepare(axes, x, weight, settings, output_padding, layout)
    y = grad_input(a, w, windows, spatial)
    if bias is not None:
        y = y + read.vector(bias, "bias", y.shape[1], a.dtype).reshape(-1, *(1,) * axes)
    return read.deliver(y, layout, out)


def _transpose_backward(axes, dy, x, weight, settings, output_padding, layout, needs):
    a, w, windows, spatial = _prepare(axes, x, weight, settings, output_padding, layout)
    d = read.channels_first(read.array(dy, "dy", axes + 2), layout)
    read.alike(a.dtype, d, "dy")
    read.expect(d, "dy", (a.shape[0], w.shape[1] * windows.groups, *spatial))
    need_x, need_weight, need_bias = needs
    dx = read.deliver(forward(d, w, windows, a.shape[2:]), layout) if need_x else None
    dweight = grad_weight(a, d, windows) if need_weight else None
    dbias = d.sum(axis=(0, *range(2, axes + 2))) if need_bias else None
    return dx, dweight, dbias


def conv_transpose1d(
    x,
    weight,
    bias=None,
    *,
    stride=1,
    padding=0,
    output_padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    out=None,
):
    """Spreads x through weight (C, K/groups, *kernel): the gradient of conv1d in its input; adds bias
    (K,)."""
    settings = (stride, padding, dilation, groups)
    return _transpose(1, x, weight, bias, settings, output_padding, layout, out)


def conv_transpose1d_backward(
    dy,
    x,
    weight,
    *,
    stride=1,
    padding=0,
    output_padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    needs=(True, True, True),
):
    """Gradients (dx, dweight, dbias) of conv_transpose1d; None where not needed."""
    settings = (stride, padding, dilation, groups)
    return _transpose_backward(1, dy, x, weight, settings, output_padding, layout, needs)


def conv_transpose2d(
    x,
    weight,
    bias=None,
    *,
    stride=1,
    padding=0,
    output_padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    out=None,
):
    """Spreads x through weight (C, K/groups, *kernel): the gradient of conv2d in its input; adds bias
    (K,)."""
    settings = (stride, padding, dilation, groups)
    return _transpose(2, x, weight, bias, settings, output_padding, layout, out)


def conv_transpose2d_backward(
    dy,
    x,
    weight,
    *,
    stride=1,
    padding=0,
    output_padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    needs=(True, True, True),
):
    """Gradients (dx, dweight, dbias) of conv_transpose2d; None where not needed."""
    settings = (stride, padding, dilation, groups)
    return _transpose_backward(2, dy, x, weight, settings, output_padding, layout, needs)


def conv_transpose3d(
    x,
    weight,
    bias=None,
    *,
    stride=1,
    padding=0,
    output_padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    out=None,
):
    """Spreads x through weight (C, K/groups, *kernel): the gradient of conv3d in its input; adds bias
    (K,)."""
    settings = (stride, padding, dilation, groups)
    return _transpose(3, x, weight, bias, settings, output_padding, layout, out)


def conv_transpose3d_backward(
    dy,
    x,
    weight,
    *,
    stride=1,
    padding=0,
    output_padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    needs=(True, True, True),
):
    """Gradients (dx, dweight, dbias) of conv_transpose3d; None where not needed."""
    settings = (stride, padding, dilation, groups)
    return _transpose_backward(3, dy, x, weight, settings, output_padding, layout, needs)
