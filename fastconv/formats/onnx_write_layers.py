"""What each layer but pooling and activations is in ONNX, operators of opset 17: a function `(at, layer, *xs)` that
adds nodes and gives the name of the result. It must never depend on the size of the batch."""

from typing import Any

import numpy as np

from ..layers import Constant
from .onnx_write_graph import At, Value
from .onnx_write_pool import onnx_pads, padding_pairs

_END = np.iinfo(np.int64).max


def conv(at: At, layer: Any, x: Value) -> str:
    reach = [d * (k - 1) for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
    if layer.padding == "same":
        pairs = tuple((r // 2, r - r // 2) for r in reach)
    elif layer.padding == "valid":
        pairs = ((0, 0),) * len(reach)
    else:
        pairs = padding_pairs(layer.padding)
    return at.op("Conv", *_operands(at, layer, x), **_geometry(layer), pads=onnx_pads(pairs))


def conv_transpose(at: At, layer: Any, x: Value) -> str:
    geometry = _geometry(layer) | {"output_padding": layer.output_padding}
    return at.op("ConvTranspose", *_operands(at, layer, x), **geometry, pads=onnx_pads(padding_pairs(layer.padding)))


def _operands(at: At, layer: Any, x: Value) -> tuple[str, ...]:
    weights = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    return (x.name, *(at.weight(weight.data) for weight in weights))


def _geometry(layer: Any) -> dict[str, Any]:
    sizes = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "dilations": layer.dilation}
    return sizes | {"group": layer.groups}


def linear(at: At, layer: Any, x: Value) -> str:
    return at.op("Gemm", *_operands(at, layer, x), transB=1)


def batch_norm(at: At, layer: Any, x: Value) -> str:
    scale, shift = (at.weight(layer.weight.data), at.weight(layer.bias.data)) if layer.affine else (None, None)
    if not layer.track_running_stats:
        return _by_the_batch(at, layer, x, scale, shift)
    scale = scale or at.floats("scale", np.ones(layer.num_features))
    shift = shift or at.floats("shift", np.zeros(layer.num_features))
    statistics = at.weight(layer.running_mean), at.weight(layer.running_var)
    return at.op("BatchNormalization", x.name, scale, shift, *statistics, epsilon=layer.eps)


def _by_the_batch(at: At, layer: Any, x: Value, scale: str | None, shift: str | None) -> str:
    """Without running statistics those of the batch count in inference too; ONNX has no operator for that."""
    axes = [axis for axis in range(len(x.shape)) if axis != 1]
    centred = at.op("Sub", x.name, at.op("ReduceMean", x.name, axes=axes, keepdims=1, part="mean"), part="centred")
    squares = at.op("Mul", centred, centred, part="squares")
    variance = at.op("ReduceMean", squares, axes=axes, keepdims=1, part="variance")
    widened = at.op("Add", variance, at.floats("eps", layer.eps), part="widened")
    y = at.op("Div", centred, at.op("Sqrt", widened, part="deviation"), part="normal")
    if scale is None or shift is None:
        return y
    shape = at.integers("channels", [layer.num_features, *(1,) * (len(x.shape) - 2)])
    scaled = at.op("Mul", y, at.op("Reshape", scale, shape, part="scale"), part="scaled")
    return at.op("Add", scaled, at.op("Reshape", shift, shape, part="shift"))


def local_response_norm(at: At, layer: Any, x: Value) -> str:
    if layer.size % 2 and len(x.shape) == 4 and at.dtype == np.float32:
        return at.op("LRN", x.name, size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)
    # ONNX's window of an even size lies the other way, and runtimes have the operator for float32 pictures alone.
    flat = at.integers("flat", [0, 1, x.shape[1], -1])
    squares = at.op("Reshape", at.op("Mul", x.name, x.name, part="squares"), flat, part="plane")
    pads = (layer.size // 2, 0, layer.size - 1 - layer.size // 2, 0)
    window = {"kernel_shape": (layer.size, 1), "pads": pads, "count_include_pad": 1}
    mean = at.op("AveragePool", squares, **window, part="across")
    mean = at.op("Reshape", mean, at.integers("shape", [0, *x.shape[1:]]), part="mean")
    scaled = at.op("Mul", mean, at.floats("alpha", layer.alpha), part="scaled")
    sum_ = at.op("Add", scaled, at.floats("k", layer.k), part="sum")
    return at.op("Div", x.name, at.op("Pow", sum_, at.floats("beta", layer.beta), part="divisor"))


def mean(at: At, layer: Any, x: Value) -> str:
    return at.op("ReduceMean", x.name, axes=layer.dim, keepdims=int(layer.keepdim))


def sum_(at: At, layer: Any, x: Value) -> str:
    return at.op("ReduceSum", x.name, at.integers("axes", layer.dim), keepdims=int(layer.keepdim))


def amax(at: At, layer: Any, x: Value) -> str:
    return at.op("ReduceMax", x.name, axes=layer.dim, keepdims=int(layer.keepdim))


def passed_on(at: At, layer: Any, x: Value) -> str:
    """Identity; dropout, which does nothing in inference; a YOLO head, whose result is x as it is."""
    return x.name


def flatten(at: At, layer: Any, x: Value) -> str:
    ndim = len(x.shape)
    start, end = (axis % ndim for axis in (layer.start_dim, layer.end_dim))
    if (start, end) == (1, ndim - 1):
        return at.op("Flatten", x.name, axis=1)
    shape = at.integers("shape", [*(0,) * start, -1])  # 0 keeps the axis, whatever its size
    if end < ndim - 1:
        shape = at.op("Concat", shape, at.op("Shape", x.name, start=end + 1, part="after"), axis=0, part="sizes")
    return at.op("Reshape", x.name, shape)


def reshape(at: At, layer: Any, x: Value) -> str:
    return at.op("Reshape", x.name, at.integers("shape", layer.shape))


def permute(at: At, layer: Any, x: Value) -> str:
    return at.op("Transpose", x.name, perm=layer.dims)


def slice_(at: At, layer: Any, x: Value) -> str:
    start, stop = layer.start or 0, _END if layer.stop is None else layer.stop
    parts = {"start": start, "stop": stop, "dim": layer.dim, "step": layer.step}
    return at.op("Slice", x.name, *(at.integers(name, [value]) for name, value in parts.items()))


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def pad(at: At, layer: Any, x: Value) -> str:
    first = len(x.shape) - len(layer.padding)
    if layer.mode == "circular":
        return _wrapped(at, layer, x.name, first)
    pads = at.integers("pads", onnx_pads(((0, 0),) * first + layer.padding))
    value = [at.floats("value", layer.value)] if layer.mode == "constant" else []
    return at.op("Pad", x.name, pads, *value, mode=_PAD_MODES[layer.mode])


def _wrapped(at: At, layer: Any, name: str, first: int) -> str:
    """Slices before and behind x, one axis after the other: Pad has no such mode before opset 19."""
    for axis, (before, after) in enumerate(layer.padding, first):
        parts = [name]
        for part, count, ends, place in (("before", before, (-before, _END), 0), ("after", after, (0, after), 2)):
            if count:
                start, end = (
                    at.integers(f"{part}.{what}", [value]) for what, value in zip(("start", "end"), ends, strict=True)
                )
                sliced = at.op("Slice", name, start, end, at.integers("axis", [axis]), part=part)
                parts.insert(place, sliced)
        name = at.op("Concat", *parts, axis=axis, part="wrapped") if len(parts) > 1 else name
    return name


def upsample(at: At, layer: Any, x: Value) -> str:
    scales = at.scales("scales", (b / a for a, b in zip((1, 1, *x.shape[2:]), (1, 1, *at.y[2:]), strict=True)))
    if layer.mode == "nearest":
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        how = {"coordinate_transformation_mode": "half_pixel"}
    return at.op("Resize", x.name, "", scales, mode={"bilinear": "linear"}.get(layer.mode, layer.mode), **how)


def resize(at: At, layer: Any, x: Value) -> str:
    if layer.antialias or layer.coordinates == "half_pixel_symmetric" or None not in (layer.size, layer.scale_factor):
        raise ValueError(f"save: opset 17 has no antialias, half_pixel_symmetric or size with scale_factor: {layer!r}")
    sizes = layer.size or layer.scale_factor
    kept, roi = len(x.shape) - len(sizes), ""
    if layer.region is not None:
        starts, ends = zip(*layer.region, strict=True)
        roi = at.floats("roi", [*(0,) * kept, *starts, *(1,) * kept, *ends])
    how = {"mode": layer.mode, "coordinate_transformation_mode": layer.coordinates}
    if layer.mode == "nearest":
        how["nearest_mode"] = layer.rounding
    if layer.mode == "cubic":  # linear by what is inside alone is the same as by the edge
        how |= {"cubic_coeff_a": layer.cubic_coeff_a, "exclude_outside": int(layer.exclude_outside)}
    if layer.outside:
        how["extrapolation_value"] = layer.outside
    if layer.size is None:
        return at.op("Resize", x.name, roi, at.scales("scales", [*(1,) * kept, *layer.scale_factor]), **how)
    kept += next(place for place, size in enumerate((*sizes, 1)) if size is not None)
    large = at.integers("size", at.y[kept:])
    if kept:  # the batch among them
        large = at.op("Concat", at.op("Shape", x.name, end=kept, part="kept"), large, axis=0, part="sizes")
    return at.op("Resize", x.name, roi, "", large, **how)


def add(at: At, layer: Any, *xs: Value) -> str:
    return _joined(at, "Add", xs)


def sub(at: At, layer: Any, *xs: Value) -> str:
    return _joined(at, "Sub", xs)


def mul(at: At, layer: Any, *xs: Value) -> str:
    return _joined(at, "Mul", xs)


def div(at: At, layer: Any, *xs: Value) -> str:
    return _joined(at, "Div", xs)


def _joined(at: At, kind: str, xs: tuple[Value, ...]) -> str:
    """From left to right, two at a time."""
    name = xs[0].name
    for place, x in enumerate(xs[1:], 2):
        name = at.op(kind, name, x.name, part="" if place == len(xs) else "joined")
    return name


def matmul(at: At, layer: Any, *xs: Value) -> str:
    return at.op("MatMul", *(x.name for x in xs))


def cat(at: At, layer: Any, *xs: Value) -> str:
    return at.op("Concat", *(x.name for x in xs), axis=layer.dim)


def constant(at: At, layer: Constant) -> str:
    return at.weight(layer.value.data)
