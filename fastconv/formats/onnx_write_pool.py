"""What pooling layers are in ONNX. Their windows are worked out for the shape of x at hand, so that nothing depends on
how a runtime reads ceil_mode. It must never leave to ONNX what its versions define differently."""

import math
from typing import Any

import numpy as np

from .onnx_padding import Pairs
from .onnx_write_graph import At, Value


def padding_pairs(padding: tuple[Any, ...]) -> Pairs:
    """(before, after) of each spatial axis, of a layer's padding."""
    return tuple(pair if isinstance(pair, tuple) else (pair, pair) for pair in padding)


def onnx_pads(pairs: Pairs) -> tuple[int, ...]:
    """ONNX's order: all before, then all after."""
    return (*(before for before, _ in pairs), *(after for _, after in pairs))


def max_pool(at: At, layer: Any, x: Value) -> str:
    reach = tuple(d * (k - 1) + 1 for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
    pairs = _widened(at, layer, x, reach)
    name = x.name
    if any(max(pair) >= k for pair, k in zip(pairs, layer.kernel_size, strict=True)):
        # A dilated window may be padded by more than its taps, which runtimes refuse of the node itself.
        pads = at.integers("pads", onnx_pads(((0, 0), (0, 0), *pairs)))
        name = at.op("Pad", name, pads, at.floats("lowest", -np.inf), part="padded")
        pairs = ((0, 0),) * len(pairs)
    window = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": onnx_pads(pairs)}
    return at.op("MaxPool", name, **window, dilations=layer.dilation)


def avg_pool(at: At, layer: Any, x: Value) -> str:
    pairs = _widened(at, layer, x, layer.kernel_size)
    window = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": onnx_pads(pairs)}
    if not layer.count_include_pad and layer.divisor_override is None:
        return at.op("AveragePool", x.name, **window, count_include_pad=0)
    window["count_include_pad"] = 1
    elements = math.prod(layer.kernel_size)
    if layer.divisor_override is not None:
        scale = at.floats("scale", elements / layer.divisor_override)
    elif pairs != padding_pairs(layer.padding):
        # The windows at the end reach over the padding, and only what is inside it counts.
        scale = at.floats("scale", elements / _counted(at, layer, x))
    else:
        return at.op("AveragePool", x.name, **window)
    return at.op("Mul", at.op("AveragePool", x.name, **window, part="mean"), scale)


def lp_pool(at: At, layer: Any, x: Value) -> str:
    pads = onnx_pads(_widened(at, layer, x, layer.kernel_size))
    return at.op("LpPool", x.name, kernel_shape=layer.kernel_size, strides=layer.stride, pads=pads, p=layer.norm_type)


def _widened(at: At, layer: Any, x: Value, reach: tuple[int, ...]) -> Pairs:
    """The layer's padding, widened at the end by what the last window of ceil_mode reaches over it."""
    pairs = []
    for axis, (before, after) in enumerate(padding_pairs(layer.padding)):
        last = (at.y[axis + 2] - 1) * layer.stride[axis] + reach[axis]
        pairs.append((before, max(after, last - before - x.shape[axis + 2])))
    return tuple(pairs)


def _counted(at: At, layer: Any, x: Value) -> np.ndarray:
    """How many elements of each window are inside the padded x, as an array (1, *spatial)."""
    counted = np.ones((1,) * (len(at.y) - 1))
    for axis, (before, after) in enumerate(padding_pairs(layer.padding)):
        first = np.arange(at.y[axis + 2]) * layer.stride[axis] - before
        ends = np.minimum(first + layer.kernel_size[axis], x.shape[axis + 2] + after)
        counted = counted * (ends - first).reshape(-1, *(1,) * (len(layer.stride) - 1 - axis))
    return counted


def global_avg_pool(at: At, layer: Any, x: Value) -> str:
    return at.op("GlobalAveragePool", x.name)


def adaptive_avg_pool(at: At, layer: Any, x: Value) -> str:
    if (name := _even(at, x, "AveragePool", "GlobalAveragePool")) is not None:
        return name
    # Windows of unequal size: the mean of rows and that of columns are two products with constant matrices.
    rows = at.floats("rows", _means(x.shape[2], at.y[2]))
    columns = at.floats("columns", _means(x.shape[3], at.y[3]).T)
    return at.op("MatMul", at.op("MatMul", rows, x.name, part="means"), columns)


def adaptive_max_pool(at: At, layer: Any, x: Value) -> str:
    if (name := _even(at, x, "MaxPool", "GlobalMaxPool")) is not None:
        return name
    return _largest(at, _largest(at, x.name, x.shape[2], at.y[2], 2), x.shape[3], at.y[3], 3)


def _even(at: At, x: Value, kind: str, whole: str) -> str | None:
    """Adaptive pooling whose windows are of one size, None for any other."""
    if at.y == x.shape:
        return x.name
    if at.y[2:] == (1, 1):
        return at.op(whole, x.name)
    if x.shape[2] % at.y[2] or x.shape[3] % at.y[3]:
        return None
    window = (x.shape[2] // at.y[2], x.shape[3] // at.y[3])
    return at.op(kind, x.name, kernel_shape=window, strides=window)


def _windows(size: int, count: int) -> list[tuple[int, int]]:
    """(first, end) of `count` windows that cover `size` elements, as PyTorch chooses them."""
    return [(place * size // count, -(-(place + 1) * size // count)) for place in range(count)]


def _means(size: int, count: int) -> np.ndarray:
    """The matrix (count, size) that takes `size` elements to the means of the windows."""
    matrix = np.zeros((count, size))
    for row, (first, end) in zip(matrix, _windows(size, count), strict=True):
        row[first:end] = 1 / (end - first)
    return matrix


def _largest(at: At, name: str, size: int, count: int, axis: int) -> str:
    """The largest of each window along one axis."""
    axes, parts = at.integers("axis", [axis]), []
    for first, end in _windows(size, count):
        ends = at.integers("first", [first]), at.integers("end", [end])
        part = at.op("Slice", name, *ends, axes, part="window")
        parts.append(at.op("ReduceMax", part, axes=[axis], keepdims=1, part="largest"))
    return at.op("Concat", *parts, axis=axis)
