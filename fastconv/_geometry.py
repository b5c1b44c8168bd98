"""Works out what a convolution reads and writes, from validated arguments, and refuses what is impossible. Dimensions
are one letter each, as in src_c/fastconv.h: N batch, C and K input and output channels, H W input, R S kernel, P Q
output, G groups."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import _validate as check

ALGORITHMS = ("auto", "direct", "winograd")
_WINOGRAD = ("winograd 2x2", "winograd 4x4", "winograd 2x2 stride 2", "winograd 2x2 of 5x5")
FORMS = (*ALGORITHMS, *_WINOGRAD, *(f"{form}, few tiles" for form in _WINOGRAD))
"""In the order of enum fc_algorithm of src_c/fastconv.h: what a caller may ask for, and what it comes to."""

LETTERS = {
    ("NCHW", 1): "(N, C, W)",
    ("NCHW", 2): "(N, C, H, W)",
    ("NCHW", 3): "(N, C, D, H, W)",
    ("NHWC", 1): "(N, W, C)",
    ("NHWC", 2): "(N, H, W, C)",
    ("NHWC", 3): "(N, D, H, W, C)",
}


class Conv(NamedTuple):
    """A convolution that is possible. `fields` fills the C struct fc_conv; `x_shape` and `y_shape` are in the
    caller's layout."""

    fields: tuple[int, ...]
    x_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    y_shape: tuple[int, ...]

    @property
    def pointwise(self) -> bool:
        """One group, and one tap that never falls into the padding."""
        size, kernel, out, stride, pad = (self.fields[i : i + 3] for i in (4, 7, 10, 13, 16))
        inside = all((p - 1) * s < x for p, s, x in zip(out, stride, size, strict=True))
        return self.fields[3] == 1 and kernel == (1, 1, 1) and pad == (0, 0, 0) and inside


def spatial(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    return shape[2:] if layout == "NCHW" else shape[1:-1]


def channels(shape: tuple[int, ...], layout: str) -> int:
    return shape[1] if layout == "NCHW" else shape[-1]


def arranged(n: int, c: int, space: Sequence[int], layout: str) -> tuple[int, ...]:
    return (n, c, *space) if layout == "NCHW" else (n, *space, c)


def in_3d(values: tuple[int, ...], fill: int) -> tuple[int, ...]:
    return (fill,) * (3 - len(values)) + values


def padding_pairs(op: str, padding: Any, stride: tuple[int, ...], reach: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis. `reach` is dilation * (kernel - 1)."""
    axes = len(stride)
    if type(padding) is int:
        p = check.size(op, "padding", padding, 0)
        return ((p, p),) * axes
    if isinstance(padding, str):
        check.choice(op, "padding", padding, ("same", "valid"))
        if padding == "valid":
            return ((0, 0),) * axes
        if any(s != 1 for s in stride):
            check.reject(op, f"padding 'same' needs stride 1; got stride {stride}")
        return tuple((r // 2, r - r // 2) for r in reach)
    if isinstance(padding, (tuple, list)) and any(isinstance(p, (tuple, list, np.ndarray)) for p in padding):
        if len(padding) != axes:
            check.reject(op, f"padding is {padding!r}; expected {axes} pairs (before, after)")
        return tuple(check.sizes(op, "padding", p, 2, 0) for p in padding)
    return tuple((p, p) for p in check.sizes(op, "padding", padding, axes, 0))


def conv(
    op: str,
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    layout: str,
    algorithm: str = "auto",
) -> Conv:
    """The geometry of a forward convolution of these shapes; raises ValueError where there is none."""
    plain = _plain(stride) and _plain(padding) and _plain(dilation) and _plain(groups)
    make = _remembered if plain else _conv
    return make(op, x_shape, weight_shape, stride, padding, dilation, groups, layout, algorithm)


def _plain(value: Any) -> bool:
    """Of ints, strings and tuples of them alone: there equal values mean the same, while True equals 1 and 1.0 does."""
    kind = type(value)
    return kind is int or (kind is tuple and all(map(_plain, value))) or kind is str


def _conv(op, x_shape, weight_shape, stride, padding, dilation, groups, layout, algorithm) -> Conv:
    axes = len(weight_shape) - 2
    stride = check.sizes(op, "stride", stride, axes, 1)
    dilation = check.sizes(op, "dilation", dilation, axes, 1)
    groups = check.size(op, "groups", groups, 1)
    check.no_empty_axis(op, "x", x_shape)
    check.no_empty_axis(op, "weight", weight_shape, 0)
    n, c, space = x_shape[0], channels(x_shape, layout), spatial(x_shape, layout)
    k, c_a_group, *kernel = weight_shape
    if c % groups:
        check.reject(op, f"groups {groups} does not divide the {c} input channels")
    if k % groups:
        check.reject(op, f"groups {groups} does not divide the {k} output channels (weight.shape[0])")
    if c_a_group != c // groups:
        what = f"x has {c} channels in {groups} groups, so weight.shape[1] must be {c // groups}"
        check.reject(op, f"{what}; weight has shape {weight_shape}")
    reach = [dilation[i] * (kernel[i] - 1) for i in range(axes)]
    pairs = padding_pairs(op, padding, stride, reach)
    out, step, first = [], [], []
    for i, (before, after) in enumerate(pairs):
        far, s = reach[i], stride[i]
        room = space[i] + before + after - far - 1
        size = room // s + 1
        if room < 0:
            text = f"the kernel reaches over {far + 1} positions, the padded input has {room + far + 1}"
            check.reject(op, f"the output would be empty (size {size}): {text}")
        out.append(size)
        # Where there is one output position the stride never acts; 1 keeps products of it small and phases few.
        step.append(1 if size == 1 else s)
        first.append(before)
    y_shape = arranged(n, k, out, layout)
    check.fits(op, "the output", y_shape)
    one, none = (1,) * (3 - axes), (0,) * (3 - axes)
    fields = (n, c, k, groups, *one, *space, *one, *kernel, *one, *out, *one, *step, *none, *first, *one, *dilation)
    fields += (int(layout == "NHWC"), FORMS.index(algorithm))
    return Conv(fields, x_shape, weight_shape, y_shape)


# A net asks for the same few again and again, and for a small one this takes longer than its arithmetic.
_remembered = functools.lru_cache(maxsize=512)(_conv)


def conv_transpose(
    op: str,
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: Any,
    layout: str,
) -> Conv:
    """The convolution whose gradient to the input is this transposed convolution: its `y_shape` is the given x, its
    `x_shape` the result. Sizes as PyTorch: (in - 1) * stride - before - after + dilation * (kernel - 1) +
    output_padding + 1."""
    axes = len(weight_shape) - 2
    strides = check.sizes(op, "stride", stride, axes, 1)
    dilations = check.sizes(op, "dilation", dilation, axes, 1)
    extra = check.sizes(op, "output_padding", output_padding, axes, 0)
    groups = check.size(op, "groups", groups, 1)
    check.no_empty_axis(op, "x", x_shape)
    check.no_empty_axis(op, "weight", weight_shape, 0)
    c = channels(x_shape, layout)
    if weight_shape[0] != c:
        check.reject(op, f"x has {c} channels, so weight.shape[0] must be {c}; weight has shape {weight_shape}")
    if c % groups:
        check.reject(op, f"groups {groups} does not divide the {c} input channels")
    if isinstance(padding, str):
        check.reject(op, f"padding is {padding!r}; expected integers")
    reach = tuple(d * (r - 1) for d, r in zip(dilations, weight_shape[2:], strict=True))
    pairs = padding_pairs(op, padding, strides, reach)
    result, grown = [], []
    for i, size in enumerate(spatial(x_shape, layout)):
        if extra[i] >= max(strides[i], dilations[i]):
            limit = f"smaller than the stride ({strides[i]}) or the dilation ({dilations[i]})"
            check.reject(op, f"output_padding is {extra[i]}; it must be {limit}")
        length = (size - 1) * strides[i] - sum(pairs[i]) + reach[i] + extra[i] + 1
        if length < 1:
            check.reject(op, f"the output would be empty (size {length} on spatial axis {i})")
        result.append(length)
        # The forward convolution of the result must give back exactly `size` positions: drop what output_padding added.
        grown.append((pairs[i][0], (size - 1) * strides[i] + reach[i] + 1 - length - pairs[i][0]))
    y_shape = arranged(x_shape[0], weight_shape[1] * groups, tuple(result), layout)
    check.fits(op, "the output", y_shape)
    step = tuple(1 if p == 1 else s for p, s in zip(spatial(x_shape, layout), strides, strict=True))
    fields = (
        x_shape[0],
        weight_shape[1] * groups,
        c,
        groups,
        *in_3d(tuple(result), 1),
        *in_3d(weight_shape[2:], 1),
    )
    fields += (*in_3d(spatial(x_shape, layout), 1), *in_3d(step, 1), *in_3d(tuple(g[0] for g in grown), 0))
    fields += (*in_3d(dilations, 1), int(layout == "NHWC"), 0)
    return Conv(fields, y_shape, weight_shape, x_shape)
