"""Works out which windows a pooling has, from validated arguments, and refuses what is impossible. Raises
through fastconv._validate; computes nothing but sizes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastconv import _geometry
from fastconv import _validate as check

MOST_TAPS = 2**31 - 1
SMALL_WINDOW = 256
"""Windows of at most this many taps number them in one byte."""


class Pool(NamedTuple):
    """A pooling that is possible. `fields` fills the C struct fc_pool; the shapes are in the caller's
    layout."""

    fields: tuple[int, ...]
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    taps_dtype: type[np.unsignedinteger | np.signedinteger]


class Axis(NamedTuple):
    """The windows along one spatial axis."""

    size: int
    kernel: int
    out: int
    stride: int
    before: int
    dilation: int
    after: int


def _axis(
    op: str, i: int, size: int, kernel: int, stride: int, pair: tuple[int, int], dilation: int, ceil_mode: bool
) -> Axis:
    """PyTorch's sizes: with ceil_mode a last window that overhangs counts if it starts inside the input or
    the padding before."""
    before, after = pair
    reach = dilation * (kernel - 1) + 1
    if max(pair) > reach // 2:
        check.reject(op, f"padding on spatial axis {i} is {max(pair)}; expected at most half the window ({reach} // 2)")
    room = size + before + after - reach
    if room < 0:
        text = f"the window reaches over {reach} positions, the padded input has {size + before + after}"
        check.reject(op, f"the output would be empty (size {room // stride + 1} on spatial axis {i}): {text}")
    out = room // stride + 1
    if ceil_mode and room % stride and out * stride < size + before:
        out += 1
    # Strides and dilations that never act become 1: products of sizes stay small.
    axis = Axis(size, kernel, out, 1 if out == 1 else stride, before, 1 if kernel == 1 else dilation, after)
    _no_barren_window(op, i, axis)
    return axis


def _no_barren_window(op: str, i: int, a: Axis) -> None:
    """A dilation larger than the input can step over it from the padding: such a window has no largest
    value."""
    if a.dilation <= a.size:
        return
    for o in range(min(a.out, 1 << 16)):
        start = o * a.stride - a.before
        if start >= 0:
            return
        skipped = -(start // a.dilation)
        if skipped >= a.kernel or start + skipped * a.dilation >= a.size:
            text = f"dilation {a.dilation} on spatial axis {i} steps over the input of size {a.size}"
            check.reject(op, f"{text}: window {o} would hold padding alone")


def pool(
    op: str,
    x_shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    layout: str,
    count_include_pad: Any = True,
    divisor_override: Any = None,
) -> Pool:
    """The geometry of a pooling of this input; raises ValueError where there is none. padding: an int, one
    for each spatial axis, or pairs (before, after)."""
    axes = len(x_shape) - 2
    check.no_empty_axis(op, "x", x_shape)
    kernel = check.sizes(op, "kernel_size", kernel_size, axes, 1)
    steps = kernel if stride is None else check.sizes(op, "stride", stride, axes, 1)
    spread = check.sizes(op, "dilation", dilation, axes, 1)
    if isinstance(padding, str):
        check.reject(op, f"padding is {padding!r}; expected integers")
    pairs = _geometry.padding_pairs(op, padding, steps, kernel)
    ceil_mode = check.flag(op, "ceil_mode", ceil_mode)
    counted = check.flag(op, "count_include_pad", count_include_pad)
    divisor = 0 if divisor_override is None else check.size(op, "divisor_override", divisor_override, 1)
    n, c, space = x_shape[0], _geometry.channels(x_shape, layout), _geometry.spatial(x_shape, layout)
    lines = [
        _axis(op, i, *one, ceil_mode) for i, one in enumerate(zip(space, kernel, steps, pairs, spread, strict=True))
    ]
    if math.prod(kernel) > MOST_TAPS:
        check.reject(op, f"kernel_size is {kernel}: a window of more than {MOST_TAPS} elements")
    check.fits(op, "the padded input", (n, c, *(a.size + a.before + a.after + a.stride for a in lines)))
    y_shape = _geometry.arranged(n, c, tuple(a.out for a in lines), layout)
    lines = [Axis(1, 1, 1, 1, 0, 1, 0)] * (3 - axes) + lines
    fields = (n, c, *(value for column in zip(*lines, strict=True) for value in column))
    fields += (int(counted), divisor, int(layout == "NHWC"))
    taps = np.uint8 if math.prod(kernel) <= SMALL_WINDOW else np.int32
    return Pool(fields, x_shape, y_shape, taps)


def scatter(op: str, dy_shape: tuple[int, ...], x_shape: tuple[int, ...], layout: str) -> Pool:
    """The geometry of a gradient whose indices alone say where each dy goes: no windows, only the two
    shapes."""
    check.fits(op, "the gradient", x_shape)
    n, c, space = x_shape[0], _geometry.channels(x_shape, layout), _geometry.spatial(x_shape, layout)
    out = _geometry.spatial(dy_shape, layout)
    expected = _geometry.arranged(n, c, out, layout)
    if dy_shape != expected:
        check.reject(op, f"dy has shape {dy_shape}; expected {expected} for input_shape {x_shape}")
    lines = (_geometry.in_3d(space, 1), (1, 1, 1), _geometry.in_3d(out, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), (0, 0, 0))
    fields = (n, c, *(value for line in lines for value in line), 1, 0, int(layout == "NHWC"))
    return Pool(fields, x_shape, dy_shape, np.uint8)


def indices(op: str, value: Any, dy_shape: tuple[int, ...], plane: int) -> np.ndarray:
    """Indices as a pooling gave them: int64, of dy's shape, each inside the plane (or volume) of `plane`
    elements."""
    if not isinstance(value, np.ndarray):
        check.reject(op, f"indices is {type(value).__name__}; expected a NumPy array of int64", TypeError)
    if value.dtype.kind != "i" or value.dtype.itemsize != 8:
        check.reject(op, f"indices has dtype {value.dtype}; expected int64", TypeError)
    check.shaped(op, "indices", value, dy_shape)
    value = np.require(value, np.int64, ["C", "A"])
    if value.size and not (value.min() >= 0 and value.max() < plane):
        at = tuple(int(i) for i in np.argwhere((value < 0) | (value >= plane))[0])
        check.reject(op, f"indices{list(at)} is {value[at]}; expected 0 to {plane - 1}")
    return value


def taps(op: str, value: Any, geometry: Pool) -> np.ndarray:
    """Tap numbers as a pooling gave them. Their values are the kernels' to distrust: one that is none adds
    nothing."""
    if not isinstance(value, np.ndarray) or value.dtype != geometry.taps_dtype:
        given = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        expected = np.dtype(geometry.taps_dtype)
        check.reject(op, f"taps is {given}; expected an array of {expected}, as max_pool_taps gives", TypeError)
    check.shaped(op, "taps", value, geometry.y_shape)
    return np.require(value, geometry.taps_dtype, ["C", "A"])
