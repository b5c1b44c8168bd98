"""conv1d, conv2d, conv3d, their gradients and packed weights in plain NumPy: slow, obviously right.
It never calls a kernel, and `algorithm` changes nothing here."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _arguments as read
from ._taps import Windows, forward, grad_input, grad_weight


@dataclass(frozen=True, eq=False)
class PackedWeight:
    """A private copy of a weight together with the settings it was prepared for."""

    source: np.ndarray
    weight: np.ndarray
    settings: tuple[Any, ...]


def pack(weight, *, stride=1, padding=0, dilation=1, groups=1, input_shape=None, layout="NCHW") -> PackedWeight:
    """Returns what convNd takes in place of `weight` when it is called with the same settings."""
    w = read.array(weight, "weight")
    if not 3 <= w.ndim <= 5 or 0 in w.shape:
        raise ValueError(f"pack: weight: expected (K, C/groups, *kernel) without empty axes, got shape {w.shape}")
    windows = Windows.of(w.shape[2:], stride, padding, dilation, groups)
    if input_shape is not None:
        shape = read.shape_first(read.shape_of(input_shape, "input_shape", w.ndim), layout)
        _check_channels(shape[1], w, windows.groups)
        windows.counts(shape[2:])
    return PackedWeight(weight, w.copy(), (windows, layout))


def _weight(weight: Any, axes: int, layout: str, settings: tuple) -> tuple[np.ndarray, Windows]:
    """The weight as an array and its windows; a packed one must have been prepared for these settings."""
    w = read.array(weight.weight if isinstance(weight, PackedWeight) else weight, "weight", axes + 2)
    if 0 in w.shape:
        raise ValueError(f"weight: no axis may be empty, got shape {w.shape}")
    windows = Windows.of(w.shape[2:], *settings)
    if isinstance(weight, PackedWeight) and weight.settings != (windows, layout):
        raise ValueError(f"weight: packed for {weight.settings}, used with {(windows, layout)}")
    return w, windows


def _check_channels(channels: int, w: np.ndarray, groups: int) -> None:
    if channels != w.shape[1] * groups or w.shape[0] % groups:
        raise ValueError(f"weight: shape {w.shape} does not fit {channels} input channels in {groups} groups")


def _algorithm(algorithm: str) -> None:
    if algorithm not in ("auto", "direct", "winograd"):
        raise ValueError(f'algorithm: expected "auto", "direct" or "winograd", got {algorithm!r}')


def _conv(axes, x, weight, bias, settings, layout, algorithm, out):
    _algorithm(algorithm)
    a = read.channels_first(read.array(x, "x", axes + 2), layout)
    w, windows = _weight(weight, axes, layout, settings)
    read.alike(a.dtype, w, "weight")
    _check_channels(a.shape[1], w, windows.groups)
    y = forward(a, w, windows, windows.counts(a.shape[2:]))
    if bias is not None:
        y += read.vector(bias, "bias", w.shape[0], a.dtype).reshape(-1, *(1,) * axes)
    return read.deliver(y, layout, out)


def _grad_input(axes, dy, weight, input_shape, settings, layout, algorithm):
    _algorithm(algorithm)
    w, windows = _weight(weight, axes, layout, settings)
    shape = read.shape_first(read.shape_of(input_shape, "input_shape", axes + 2), layout)
    _check_channels(shape[1], w, windows.groups)
    d = read.channels_first(read.array(dy, "dy", axes + 2), layout)
    read.alike(w.dtype, d, "dy")
    read.expect(d, "dy", (shape[0], w.shape[0], *windows.counts(shape[2:])))
    return read.deliver(grad_input(d, w, windows, shape[2:]), layout)


def _grad_weight(axes, dy, x, weight_shape, settings, layout, algorithm):
    _algorithm(algorithm)
    shape = read.shape_of(weight_shape, "weight_shape", axes + 2, empty_first=False)
    windows = Windows.of(shape[2:], *settings)
    a = read.channels_first(read.array(x, "x", axes + 2), layout)
    _check_channels(a.shape[1], np.empty(shape[:2]), windows.groups)
    d = read.channels_first(read.array(dy, "dy", axes + 2), layout)
    read.alike(a.dtype, d, "dy")
    read.expect(d, "dy", (a.shape[0], shape[0], *windows.counts(a.shape[2:])))
    return grad_weight(d, a, windows)


def _backward(axes, dy, x, weight, settings, layout, algorithm, needs):
    need_x, need_weight, need_bias = needs
    x, w = np.asarray(x), np.asarray(weight)
    common = (settings, layout, algorithm)
    dweight = _grad_weight(axes, dy, x, w.shape, *common)
    read.alike(dweight.dtype, w, "weight")
    dx = _grad_input(axes, dy, w, x.shape, *common) if need_x else None
    dbias = read.channels_first(np.asarray(dy), layout).sum(axis=(0, *range(2, axes + 2))) if need_bias else None
    return dx, dweight if need_weight else None, dbias


def conv1d(
    x,
    weight,
    bias=None,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    algorithm="auto",
    out=None,
):
    """Slides weight (K, C/groups, *kernel) over the 1 spatial axis of x; adds bias (K,)."""
    settings = (stride, padding, dilation, groups)
    return _conv(1, x, weight, bias, settings, layout, algorithm, out)


def conv1d_backward(
    dy,
    x,
    weight,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    algorithm="auto",
    needs=(True, True, True),
):
    """Gradients (dx, dweight, dbias) of conv1d for the gradient dy of its output; None where not needed."""
    settings = (stride, padding, dilation, groups)
    return _backward(1, dy, x, weight, settings, layout, algorithm, needs)


def conv1d_grad_input(
    dy, weight, input_shape, *, stride=1, padding=0, dilation=1, groups=1, layout="NCHW", algorithm="auto"
):
    """Gradient of conv1d in x, for an x of `input_shape`."""
    settings = (stride, padding, dilation, groups)
    return _grad_input(1, dy, weight, input_shape, settings, layout, algorithm)


def conv1d_grad_weight(
    dy, x, weight_shape, *, stride=1, padding=0, dilation=1, groups=1, layout="NCHW", algorithm="auto"
):
    """Gradient of conv1d in weight, for a weight of `weight_shape`."""
    settings = (stride, padding, dilation, groups)
    return _grad_weight(1, dy, x, weight_shape, settings, layout, algorithm)


def conv2d(
    x,
    weight,
    bias=None,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    algorithm="auto",
    out=None,
):
    """Slides weight (K, C/groups, *kernel) over the 2 spatial axes of x; adds bias (K,)."""
    settings = (stride, padding, dilation, groups)
    return _conv(2, x, weight, bias, settings, layout, algorithm, out)


def conv2d_backward(
    dy,
    x,
    weight,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    algorithm="auto",
    needs=(True, True, True),
):
    """Gradients (dx, dweight, dbias) of conv2d for the gradient dy of its output; None where not needed."""
    settings = (stride, padding, dilation, groups)
    return _backward(2, dy, x, weight, settings, layout, algorithm, needs)


def conv2d_grad_input(
    dy, weight, input_shape, *, stride=1, padding=0, dilation=1, groups=1, layout="NCHW", algorithm="auto"
):
    """Gradient of conv2d in x, for an x of `input_shape`."""
    settings = (stride, padding, dilation, groups)
    return _grad_input(2, dy, weight, input_shape, settings, layout, algorithm)


def conv2d_grad_weight(
    dy, x, weight_shape, *, stride=1, padding=0, dilation=1, groups=1, layout="NCHW", algorithm="auto"
):
    """Gradient of conv2d in weight, for a weight of `weight_shape`."""
    settings = (stride, padding, dilation, groups)
    return _grad_weight(2, dy, x, weight_shape, settings, layout, algorithm)


def conv3d(
    x,
    weight,
    bias=None,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    algorithm="auto",
    out=None,
):
    """Slides weight (K, C/groups, *kernel) over the 3 spatial axes of x; adds bias (K,)."""
    settings = (stride, padding, dilation, groups)
    return _conv(3, x, weight, bias, settings, layout, algorithm, out)


def conv3d_backward(
    dy,
    x,
    weight,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    layout="NCHW",
    algorithm="auto",
    needs=(True, True, True),
):
    """Gradients (dx, dweight, dbias) of conv3d for the gradient dy of its output; None where not needed."""
    settings = (stride, padding, dilation, groups)
    return _backward(3, dy, x, weight, settings, layout, algorithm, needs)


def conv3d_grad_input(
    dy, weight, input_shape, *, stride=1, padding=0, dilation=1, groups=1, layout="NCHW", algorithm="auto"
):
    """Gradient of conv3d in x, for an x of `input_shape`."""
    settings = (stride, padding, dilation, groups)
    return _grad_input(3, dy, weight, input_shape, settings, layout, algorithm)


def conv3d_grad_weight(
    dy, x, weight_shape, *, stride=1, padding=0, dilation=1, groups=1, layout="NCHW", algorithm="auto"
):
    """Gradient of conv3d in weight, for a weight of `weight_shape`."""
    settings = (stride, padding, dilation, groups)
    return _grad_weight(3, dy, x, weight_shape, settings, layout, algorithm)
