"""From layers to nodes: containers are opened, layers with a kernel become a node of its kind, all others are called
as they are. It must never change a layer nor copy a weight."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _program
from .. import layers as L
from .nodes import Network, Node, Value

Rule = Callable[["_Lowering", Any, str, list[Value]], Value]


def lowered(model: L.Layer, shapes: list[tuple[int, ...]], dtype: np.dtype) -> Network:
    """The network of a model for inputs of these shapes; ValueError or TypeError in the name of the layer that does
    not fit."""
    names = model.inputs if isinstance(model, L.Graph) else tuple(f"x{i}" if i else "x" for i in range(len(shapes)))
    inputs = [Value(name, shape) for name, shape in zip(names, shapes, strict=True)]
    lowering = _Lowering(dtype)
    whole = isinstance(model, L.Graph)
    outputs = lowering.graph(model, "", inputs) if whole else [lowering.lower(model, "", inputs)]
    return Network(inputs, lowering.nodes, outputs, dtype)


class _Lowering:
    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.nodes: list[Node] = []

    def lower(self, layer: L.Layer, name: str, inputs: list[Value]) -> Value:
        """What the layer makes of `inputs`."""
        if type(layer) in _CONTAINERS:
            return _CONTAINERS[type(layer)](self, layer, name, inputs)
        try:
            rule = None if any(value.constant is not None for value in inputs) else _RULES.get(type(layer))
            value = rule(self, layer, name, inputs) if rule else None
            return self.call(layer, name, inputs) if value is None else value
        except (ValueError, TypeError) as error:
            if len(error.args) == 1 and not str(error).startswith("optimize"):
                error.args = (f"optimize: layer {name or type(layer).__name__}: {error}",)
            raise

    def add(self, kind: str, name: str, inputs: list[Value], shape: tuple[int, ...], **settings: Any) -> Value:
        """The result of a new node."""
        layer = settings.pop("layer", None)
        output = Value(name, tuple(shape))
        self.nodes.append(Node(kind, name, list(inputs), output, settings, layer))
        return output

    def call(self, layer: L.Layer, name: str, inputs: list[Value]) -> Value:
        """A layer as it is: its result's shape is that for zeros. What depends on constants alone is one."""
        constant = all(value.constant is not None for value in inputs)
        arrays = [np.zeros(v.shape, self.dtype) if v.constant is None else v.constant for v in inputs]
        y = layer(*arrays)
        if not isinstance(y, np.ndarray):
            which = name or type(layer).__name__
            raise TypeError(f"optimize: layer {which}: expected one array, got {type(y).__name__}")
        if constant:
            return Value(name, y.shape, None, y)
        if y.dtype != self.dtype:
            raise TypeError(f"optimize: layer {name}: gives {y.dtype}, the network's arrays are {self.dtype}")
        return self.add("call", name, inputs, y.shape, layer=layer)

    def graph(self, graph: L.Graph, name: str, inputs: list[Value]) -> list[Value]:
        """The outputs of a Graph."""
        values = dict(zip(graph.inputs, inputs, strict=True))
        for node in graph.order:
            values[node.name] = self.lower(node.layer, _inside(name, node.name), [values[read] for read in node.inputs])
        return [values[output] for output in graph.outputs]


def _inside(name: str, child: str) -> str:
    return f"{name}.{child}" if name else child


# ---- containers


def _sequential(lowering: _Lowering, layer: L.Sequential, name: str, inputs: list[Value]) -> Value:
    (value,) = inputs
    for child_name, child in layer.children():
        value = lowering.lower(child, _inside(name, child_name), [value])
    return value


def _residual(lowering: _Lowering, layer: L.Residual, name: str, inputs: list[Value]) -> Value:
    y = lowering.lower(layer.body, _inside(name, "body"), inputs)
    other = inputs[0]
    if layer.shortcut is not None:
        other = lowering.lower(layer.shortcut, _inside(name, "shortcut"), inputs)
    if y.shape != other.shape:
        raise ValueError(f"optimize: layer {name}: body gives shape {y.shape}, shortcut {other.shape}")
    return lowering.lower(L.Add(), _inside(name, "add"), [y, other])


def _branches(lowering: _Lowering, layer: L.Concat, name: str, inputs: list[Value]) -> Value:
    parts = [lowering.lower(child, _inside(name, child_name), inputs) for child_name, child in layer.children()]
    return lowering.lower(L.Cat(layer.axis), _inside(name, "cat"), parts)


def _graph(lowering: _Lowering, layer: L.Graph, name: str, inputs: list[Value]) -> Value:
    outputs = lowering.graph(layer, name, inputs)
    if len(outputs) != 1:
        raise ValueError(f"optimize: layer {name}: a Graph inside another layer must have one output")
    return outputs[0]


_CONTAINERS: dict[type, Rule] = {
    L.Sequential: _sequential,
    L.Residual: _residual,
    L.Concat: _branches,
    L.Graph: _graph,
}

# ---- layers with a kernel; None where this one has none


def _same(lowering: _Lowering, layer: L.Layer, name: str, inputs: list[Value]) -> Value:
    return inputs[0]


def _require_dtype(lowering: _Lowering, weight: np.ndarray) -> None:
    if weight.dtype != lowering.dtype:
        raise TypeError(f"weight is {weight.dtype}, the network's arrays are {lowering.dtype}")


def _conv(lowering: _Lowering, layer: Any, name: str, inputs: list[Value]) -> Value | None:
    (x,), weight = inputs, _program.array("optimize", "weight", layer.weight.data)
    if len(x.shape) != weight.ndim:
        return None  # the layer's own message
    _require_dtype(lowering, weight)
    how = (layer.stride, layer.padding, layer.dilation, layer.groups)
    geometry = conv_geometry(x.shape, weight.shape, *how)
    bias = None if layer.bias is None else layer.bias.data
    return lowering.add("conv", name, inputs, geometry.y_shape, geometry=geometry, how=how, weight=weight, bias=bias)


def conv_geometry(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *how: Any) -> Any:
    """The geometry of a convolution; how: stride, padding, dilation, groups."""
    return _program.conv_geometry(f"conv{len(x_shape) - 2}d", x_shape, weight_shape, *how, "NCHW", "auto")


def _linear(lowering: _Lowering, layer: L.Linear, name: str, inputs: list[Value]) -> Value | None:
    (x,), weight = inputs, _program.array("optimize", "weight", layer.weight.data)
    if len(x.shape) != 2 or x.shape[1] != weight.shape[1]:
        return None
    _require_dtype(lowering, weight)
    bias = None if layer.bias is None else layer.bias.data
    return lowering.add("linear", name, inputs, (x.shape[0], weight.shape[0]), weight=weight, bias=bias)


def _batch_norm(lowering: _Lowering, layer: Any, name: str, inputs: list[Value]) -> Value | None:
    (x,) = inputs
    if not layer.track_running_stats or len(x.shape) not in layer.ndims or x.shape[1] != layer.num_features:
        return None
    _require_dtype(lowering, layer.running_mean)
    weight, bias = (layer.weight.data, layer.bias.data) if layer.affine else (None, None)
    statistics = {"mean": layer.running_mean.copy(), "var": layer.running_var.copy(), "eps": layer.eps}
    return lowering.add("batch_norm", name, inputs, x.shape, weight=weight, bias=bias, relu=False, **statistics)


def _activation(lowering: _Lowering, layer: Any, name: str, inputs: list[Value]) -> Value:
    kinds = {L.ReLU: "relu", L.ReLU6: "relu6", L.LeakyReLU: "leaky_relu"}
    slope = float(getattr(layer, "negative_slope", 0.0))
    return lowering.add("activation", name, inputs, inputs[0].shape, function=kinds[type(layer)], slope=slope)


def _add(lowering: _Lowering, layer: L.Add, name: str, inputs: list[Value]) -> Value | None:
    if len(inputs) < 2 or any(value.shape != inputs[0].shape for value in inputs):
        return None
    y = inputs[0]
    for number, other in enumerate(inputs[1:]):
        y = lowering.add("add", name if number == 0 else f"{name}.{number}", [y, other], y.shape, function="add")
    return y


def _cat(lowering: _Lowering, layer: L.Cat, name: str, inputs: list[Value]) -> Value | None:
    shape = inputs[0].shape
    if len(shape) < 2 or layer.dim not in (1, 1 - len(shape)):
        return None
    if any(len(v.shape) != len(shape) or v.shape[:1] + v.shape[2:] != shape[:1] + shape[2:] for v in inputs):
        return None
    channels = sum(value.shape[1] for value in inputs)
    return lowering.add("concat", name, inputs, (shape[0], channels, *shape[2:]))


def _pool(kind: str, name: str, lowering: _Lowering, inputs: list[Value], *window: Any) -> Value:
    x = inputs[0]
    geometry = _program.pool_geometry(f"{kind}{len(x.shape) - 2}d", x.shape, *window)
    return lowering.add(kind, name, inputs, geometry.y_shape, geometry=geometry)


def _max_pool(lowering: _Lowering, layer: Any, name: str, inputs: list[Value]) -> Value | None:
    if len(inputs[0].shape) != layer.axes + 2:
        return None
    window = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, "NCHW")
    return _pool("max_pool", name, lowering, inputs, *window)


def _avg_pool(lowering: _Lowering, layer: Any, name: str, inputs: list[Value]) -> Value | None:
    if len(inputs[0].shape) != layer.axes + 2:
        return None
    window = (layer.kernel_size, layer.stride, layer.padding, 1, layer.ceil_mode, "NCHW")
    return _pool("avg_pool", name, lowering, inputs, *window, layer.count_include_pad, layer.divisor_override)


def _adaptive(lowering: _Lowering, layer: Any, name: str, inputs: list[Value]) -> Value | None:
    """Where the windows are equal; others are the layer's own."""
    shape = inputs[0].shape
    if len(shape) != 4:
        return None
    wanted = (1, 1) if isinstance(layer, L.GlobalAvgPool2d) else layer.output_size
    wanted = tuple(size if out is None else out for size, out in zip(shape[2:], wanted, strict=True))
    if any(size % out for size, out in zip(shape[2:], wanted, strict=True)):
        return None
    kernel = tuple(size // out for size, out in zip(shape[2:], wanted, strict=True))
    kind = "max_pool" if isinstance(layer, L.AdaptiveMaxPool2d) else "avg_pool"
    return _pool(kind, name, lowering, inputs, kernel, kernel, 0, 1, False, "NCHW")


def _upsample(lowering: _Lowering, layer: L.Upsample, name: str, inputs: list[Value]) -> Value | None:
    shape = inputs[0].shape
    if layer.mode != "nearest" or len(shape) != 4:
        return None
    large = layer.scale_factor or tuple(b // a for a, b in zip(shape[2:], layer.size, strict=True))
    result = (*shape[:2], *(size * factor for size, factor in zip(shape[2:], large, strict=True)))
    if layer.size is not None and result[2:] != layer.size:
        return None
    return lowering.add("upsample", name, inputs, result, factors=large)


def _response_norm(lowering: _Lowering, layer: L.LocalResponseNorm, name: str, inputs: list[Value]) -> Value | None:
    numbers = (layer.alpha / layer.size, layer.beta, layer.k)
    return lowering.add("response_norm", name, inputs, inputs[0].shape, size=layer.size, numbers=numbers)


def _view(lowering: _Lowering, layer: L.Layer, name: str, inputs: list[Value]) -> Value | None:
    shape = layer(np.empty(inputs[0].shape, lowering.dtype)).shape
    return lowering.add("view", name, inputs, shape) if shape[0] == inputs[0].shape[0] else None


def _pad(lowering: _Lowering, layer: L.Pad, name: str, inputs: list[Value]) -> Value:
    value = lowering.call(layer, name, inputs)
    lowering.nodes[-1].kind = "pad"
    return value


_RULES: dict[type, Rule] = {
    **dict.fromkeys((L.Identity, L.Dropout, L.YoloHead), _same),
    **dict.fromkeys((L.Conv1d, L.Conv2d, L.Conv3d), _conv),
    **dict.fromkeys((L.BatchNorm1d, L.BatchNorm2d, L.BatchNorm3d), _batch_norm),
    **dict.fromkeys((L.ReLU, L.ReLU6, L.LeakyReLU), _activation),
    **dict.fromkeys((L.MaxPool1d, L.MaxPool2d, L.MaxPool3d), _max_pool),
    **dict.fromkeys((L.AvgPool1d, L.AvgPool2d, L.AvgPool3d), _avg_pool),
    **dict.fromkeys((L.AdaptiveAvgPool2d, L.AdaptiveMaxPool2d, L.GlobalAvgPool2d), _adaptive),
    **dict.fromkeys((L.Flatten, L.Reshape), _view),
    L.Linear: _linear,
    L.Add: _add,
    L.Cat: _cat,
    L.Upsample: _upsample,
    L.LocalResponseNorm: _response_norm,
    L.Pad: _pad,
}
