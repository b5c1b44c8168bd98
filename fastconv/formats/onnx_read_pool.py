"""ONNX's pooling and reductions as layers, and the padding that auto_pad means.
Every attribute is read or refused."""

from typing import Any

import numpy as np

from .. import layers as L
from .onnx_padding import Pairs, window_padding
from .onnx_read_node import At

_MAX = (L.MaxPool1d, L.MaxPool2d, L.MaxPool3d)
_AVERAGE = (L.AvgPool1d, L.AvgPool2d, L.AvgPool3d)


def padding_of(at: At, reach: tuple[int, ...], stride: tuple[int, ...]) -> Pairs:
    """(before, after) of each spatial axis for windows that reach over so many positions."""
    axes = len(reach)
    how = at.word("auto_pad", "NOTSET", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"))
    given = at.wholes("pads", (0,) * (2 * axes))
    if len(given) != 2 * axes or len(stride) != axes or min((*given, 0)) < 0 or min(stride) < 1:
        wanted = f"{2 * axes} pads of at least 0, {axes} strides of at least 1"
        raise at.refuse(f"pads {given}, strides {stride}", wanted)
    depends = how.startswith("SAME") and any(step > 1 for step in stride)
    return window_padding(how, given, at.spatial("auto_pad") if depends else (None,) * axes, reach, stride)


def _window(at: At) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Pairs, bool]:
    kernel = at.wholes("kernel_shape")
    if not kernel or not 1 <= len(kernel) <= 3:
        raise at.refuse(f"kernel_shape {kernel}", "1 to 3 sizes")
    ones = (1,) * len(kernel)
    stride, dilation = at.wholes("strides", ones), at.wholes("dilations", ones)
    if len(dilation) != len(kernel):
        raise at.refuse(f"dilations {dilation}", f"{len(kernel)} numbers")
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    return kernel, stride, dilation, padding_of(at, reach, stride), bool(at.whole("ceil_mode", 0))


def _dense_window(at: At) -> tuple[tuple[int, ...], tuple[int, ...], Pairs, bool]:
    kernel, stride, dilation, pads, ceil = _window(at)
    if any(d != 1 for d in dilation):
        raise at.refuse(f"dilations {dilation}", "1")
    return kernel, stride, pads, ceil


def max_pool(at: At) -> None:
    at.only_first_output("Indices")
    at.pass_over("storage_order")  # of the indices
    kernel, stride, dilation, pads, ceil = _window(at)
    x = at.x()
    if any(max(pair) > (d * (k - 1) + 1) // 2 for pair, k, d in zip(pads, kernel, dilation, strict=True)):
        x, pads = at.add(L.Pad(pads, at.finite(-np.inf)), x, part="padded"), ((0, 0),) * len(pads)
    at.add(_MAX[len(kernel) - 1](kernel, stride, pads, dilation, ceil_mode=ceil), x)


def average_pool(at: At) -> None:
    kernel, stride, pads, ceil = _dense_window(at)
    counted = bool(at.whole("count_include_pad", 0))
    kind = _AVERAGE[len(kernel) - 1]
    if all(max(pair) <= k // 2 for pair, k in zip(pads, kernel, strict=True)):
        at.add(kind(kernel, stride, pads, ceil_mode=ceil, count_include_pad=counted), at.x())
        return
    # Padded by more than half a window, which the layer does not take.
    padded = at.add(L.Pad(pads), at.x(), part="padded")
    layer = kind(kernel, stride, ceil_mode=ceil)
    if counted:
        at.add(layer, padded)
        return
    inside = np.pad(np.ones((1, 1, *at.spatial("windows in the padding")), at.wiring.dtype), ((0, 0), (0, 0), *pads))
    share = 1 / layer(inside)
    held = at.add(at.layer(lambda: L.Constant(share.shape), value=share), part="share")
    at.add(L.Mul(), at.add(layer, padded, part="mean"), held)


def lp_pool(at: At) -> None:
    kernel, stride, pads, ceil = _dense_window(at)
    x = at.x()
    if any(max(pair) > k // 2 for pair, k in zip(pads, kernel, strict=True)):
        x, pads = at.add(L.Pad(pads), x, part="padded"), ((0, 0),) * len(pads)
    at.add(L.LpPool(at.whole("p", 2), kernel, stride, pads, ceil), x)


def global_average_pool(at: At) -> None:
    axes = len(at.known_shape())
    at.add(L.GlobalAvgPool2d() if axes == 4 else L.Mean(tuple(range(2, axes)), keepdim=True), at.x())


def global_max_pool(at: At) -> None:
    if len(at.known_shape()) != 4:
        raise at.refuse(f"x of shape {at.shape()}", "4 dimensions")
    at.add(L.AdaptiveMaxPool2d(1), at.x())


# Operator: the layer, and the first opset whose axes are an operand.
REDUCTIONS: dict[str, tuple[type[L.Mean | L.Sum | L.Amax], int]] = {
    "ReduceMean": (L.Mean, 18),
    "ReduceSum": (L.Sum, 13),
    "ReduceMax": (L.Amax, 18),
}


def reduce(at: At) -> None:
    kind, newer = REDUCTIONS[at.kind]
    axes: Any = at.wholes("axes") if at.opset < newer else at.whole_numbers(1, "axes")
    rank, keep = len(at.known_shape()), bool(at.whole("keepdims", 1))
    nothing = at.whole("noop_with_empty_axes", 0)
    if not axes:
        if nothing:
            at.pass_on()
            return
        axes = range(rank)
    if not axes or any(not -rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) != len(axes):
        raise at.refuse(f"axes {tuple(axes)}", f"different ones of {rank}")
    axes = tuple(sorted(axis % rank for axis in axes))
    if kind is L.Mean and rank == 4 and axes == (2, 3):
        x = at.x()
        if keep:
            at.add(L.GlobalAvgPool2d(), x)
        else:
            at.add(L.Flatten(1), at.add(L.GlobalAvgPool2d(), x, part="mean"))
        return
    at.add(kind(axes, keepdim=keep), at.x())
