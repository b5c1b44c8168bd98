"""What the convolutions of one, two and three dimensions share: arguments judged, results allocated, one call of a
kernel. `axes` is the number of spatial axes. Called by the public functions of conv.py and conv_transpose.py only."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _geometry, _kernels
from fastconv import _validate as check
from fastconv._memory import empty
from fastconv.functional.packing import LAYOUTS, PackedWeight, chosen_form


def _operand(op: str, name: str, x: Any, axes: int, layout: str) -> np.ndarray:
    x = check.array(op, name, x)
    check.dimensions(op, name, x, axes + 2, _geometry.LETTERS[layout, axes])
    return x


def _weight(op: str, weight: Any, axes: int) -> np.ndarray:
    weight = check.array(op, "weight", weight)
    check.dimensions(op, "weight", weight, axes + 2, "(K, C / groups, *kernel)")
    return weight


def _bias(op: str, bias: Any, like: np.ndarray, count: int) -> np.ndarray | None:
    if bias is None:
        return None
    bias = check.array(op, "bias", bias)
    check.same_dtype(op, "x", like, "bias", bias)
    check.shaped(op, "bias", bias, (count,))
    return bias


def _choices(op: str, layout: str, algorithm: str = "auto") -> None:
    check.choice(op, "layout", layout, LAYOUTS)
    check.choice(op, "algorithm", algorithm, _geometry.ALGORITHMS)


def forward(axes: int, x, weight, bias, stride, padding, dilation, groups, layout, algorithm, out) -> np.ndarray:
    op = f"conv{axes}d"
    _choices(op, layout, algorithm)
    x = _operand(op, "x", x, axes, layout)
    packed = weight if isinstance(weight, PackedWeight) else None
    weight = _weight(op, packed.values if packed else weight, axes)
    check.same_dtype(op, "x", x, "weight", weight)
    form = packed.form if packed else algorithm
    geometry = _geometry.conv(op, x.shape, weight.shape, stride, padding, dilation, groups, layout, form)
    if packed and (packed.groups != geometry.fields[3] or algorithm not in ("auto", packed.algorithm)):
        what = f"algorithm {packed.algorithm!r} and groups={packed.groups}"
        check.reject(op, f"weight was packed for {what}; called with {algorithm!r} and groups={groups}")
    if form.startswith("winograd"):
        chosen_form(op, geometry, x.dtype, packed=packed is not None)
    bias = _bias(op, bias, x, weight.shape[0])
    if out is None:
        y = empty(geometry.y_shape, x.dtype)
    else:
        y = check.output(op, out, geometry.y_shape, x.dtype, x, weight, bias)
    _kernels.conv_forward(geometry.fields, x, weight, packed.packed if packed else None, bias, None, 0, 0.0, y)
    return y


def gradients(op: str, geometry: _geometry.Conv, dy, x, weight, needs) -> tuple:
    """(dx, dweight, dbias), each where needed; x and weight are only looked at where they are."""
    fields, dtype = geometry.fields, dy.dtype
    if fields[-1] == _geometry.FORMS.index("winograd"):
        chosen_form(op, geometry, dtype, packed=False)
    dx = dweight = dbias = None
    if needs[0]:
        dx = empty(geometry.x_shape, dtype)
        _kernels.conv_grad_input(fields, dy, weight, None, dx)
    if needs[1]:
        dweight = empty(geometry.weight_shape, dtype)
        _kernels.conv_grad_weight(fields, dy, x, dweight)
    if needs[2]:
        dbias = _channel_sum(dy, fields[2], bool(fields[-2]))
    return dx, dweight, dbias


def _channel_sum(x: np.ndarray, c: int, channels_last: bool) -> np.ndarray:
    sums = np.zeros(c, x.dtype)
    if x.size:
        _kernels.channel_sum(x.shape[0], c, x.size // x.shape[0] // c, channels_last, x, sums)
    return sums


def needed(op: str, needs: Any) -> tuple[bool, bool, bool]:
    if not isinstance(needs, (tuple, list)) or len(needs) != 3:
        check.reject(op, f"needs is {needs!r}; expected three booleans: input, weight, bias", TypeError)
    return tuple(check.flag(op, f"needs[{i}]", need) for i, need in enumerate(needs))


def backward(axes: int, dy, x, weight, stride, padding, dilation, groups, layout, algorithm, needs) -> tuple:
    op = f"conv{axes}d_backward"
    _choices(op, layout, algorithm)
    needs = needed(op, needs)
    x, weight = _operand(op, "x", x, axes, layout), _weight(op, weight, axes)
    check.same_dtype(op, "x", x, "weight", weight)
    geometry = _geometry.conv(op, x.shape, weight.shape, stride, padding, dilation, groups, layout, algorithm)
    dy = _gradient(op, dy, geometry.y_shape, x, "x")
    return gradients(op, geometry, dy, x, weight, needs)


def _gradient(op: str, dy: Any, shape: tuple[int, ...], other: np.ndarray, name: str) -> np.ndarray:
    dy = check.array(op, "dy", dy)
    check.same_dtype(op, "dy", dy, name, other)
    check.shaped(op, "dy", dy, shape)
    return dy


def grad_input(axes: int, dy, weight, input_shape, stride, padding, dilation, groups, layout, algorithm) -> np.ndarray:
    op = f"conv{axes}d_grad_input"
    _choices(op, layout, algorithm)
    weight = _weight(op, weight, axes)
    shape = check.shape(op, "input_shape", input_shape, axes + 2)
    geometry = _geometry.conv(op, shape, weight.shape, stride, padding, dilation, groups, layout, algorithm)
    dy = _gradient(op, dy, geometry.y_shape, weight, "weight")
    check.fits(op, "the gradient", shape)
    return gradients(op, geometry, dy, None, weight, (True, False, False))[0]


def grad_weight(axes: int, dy, x, weight_shape, stride, padding, dilation, groups, layout, algorithm) -> np.ndarray:
    op = f"conv{axes}d_grad_weight"
    _choices(op, layout, algorithm)
    x = _operand(op, "x", x, axes, layout)
    shape = check.shape(op, "weight_shape", weight_shape, axes + 2)
    check.fits(op, "the gradient", shape)
    geometry = _geometry.conv(op, x.shape, shape, stride, padding, dilation, groups, layout, algorithm)
    dy = _gradient(op, dy, geometry.y_shape, x, "x")
    return gradients(op, geometry, dy, x, None, (False, True, False))[1]


def transpose(axes: int, x, weight, bias, stride, padding, output_padding, dilation, groups, layout, out) -> np.ndarray:
    op = f"conv_transpose{axes}d"
    _choices(op, layout)
    x, weight = _operand(op, "x", x, axes, layout), _weight(op, weight, axes)
    check.same_dtype(op, "x", x, "weight", weight)
    geometry = _geometry.conv_transpose(
        op, x.shape, weight.shape, stride, padding, output_padding, dilation, groups, layout
    )
    bias = _bias(op, bias, x, geometry.fields[1])
    shape = geometry.x_shape
    y = empty(shape, x.dtype) if out is None else check.output(op, out, shape, x.dtype, x, weight, bias)
    _kernels.conv_grad_input(geometry.fields, x, weight, bias, y)
    return y


def transpose_backward(
    axes: int, dy, x, weight, stride, padding, output_padding, dilation, groups, layout, needs
) -> tuple:
    """The gradients of a transposed convolution are a convolution: forward for dx, and the same sums for the weight."""
    op = f"conv_transpose{axes}d_backward"
    _choices(op, layout)
    needs = needed(op, needs)
    x, weight = _operand(op, "x", x, axes, layout), _weight(op, weight, axes)
    check.same_dtype(op, "x", x, "weight", weight)
    geometry = _geometry.conv_transpose(
        op, x.shape, weight.shape, stride, padding, output_padding, dilation, groups, layout
    )
    dy = _gradient(op, dy, geometry.x_shape, x, "x")
    dx = dweight = dbias = None
    if needs[0]:
        dx = empty(x.shape, x.dtype)
        _kernels.conv_forward(geometry.fields, dy, weight, None, None, None, 0, 0.0, dx)
    if needs[1]:
        dweight = empty(weight.shape, x.dtype)
        _kernels.conv_grad_weight(geometry.fields, x, dy, dweight)
    if needs[2]:
        dbias = _channel_sum(dy, geometry.fields[1], layout == "NHWC")
    return dx, dweight, dbias
