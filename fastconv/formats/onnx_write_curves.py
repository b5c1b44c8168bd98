"""What each activation is in ONNX, operators of opset 17; the functions are as those of onnx_write_layers.
It must never leave a number of a float64 model to an attribute, which is a float32."""

import math
from typing import Any

import numpy as np

from .onnx_write_graph import At, Value


def relu(at: At, layer: Any, x: Value) -> str:
    return at.op("Relu", x.name)


def relu6(at: At, layer: Any, x: Value) -> str:
    return at.op("Clip", x.name, at.floats("min", 0), at.floats("max", 6))


def leaky_relu(at: At, layer: Any, x: Value) -> str:
    slope = layer.negative_slope
    if at.dtype == np.float32 or slope == float(np.float32(slope)):
        return at.op("LeakyRelu", x.name, alpha=slope)
    # Attributes are float32, too coarse for a float64 model.
    zero = at.floats("zero", 0)
    below = at.op("Mul", at.op("Min", x.name, zero, part="below"), at.floats("slope", slope), part="sloped")
    return at.op("Add", at.op("Max", x.name, zero, part="above"), below)


def sigmoid(at: At, layer: Any, x: Value) -> str:
    return at.op("Sigmoid", x.name)


def tanh(at: At, layer: Any, x: Value) -> str:
    return at.op("Tanh", x.name)


def silu(at: At, layer: Any, x: Value) -> str:
    return at.op("Mul", x.name, at.op("Sigmoid", x.name, part="sigmoid"))


def hardtanh(at: At, layer: Any, x: Value) -> str:
    low = "" if layer.min_val is None else at.floats("min", layer.min_val)
    ends = [low] if layer.max_val is None else [low, at.floats("max", layer.max_val)]
    return at.op("Clip", x.name, *ends)


def hardsigmoid(at: At, layer: Any, x: Value) -> str:
    return _hard(at, x)


def hardswish(at: At, layer: Any, x: Value) -> str:
    return at.op("Mul", x.name, _hard(at, x, part="hard"))


def _hard(at: At, x: Value, part: str = "") -> str:
    """By constants of the model's dtype: HardSigmoid's attributes are float32."""
    sixth = at.op("Div", x.name, at.floats("six", 6), part="sixth")
    sloped = at.op("Add", sixth, at.floats("half", 0.5), part="sloped")
    return at.op("Clip", sloped, at.floats("min", 0), at.floats("max", 1), part=part)


def elu(at: At, layer: Any, x: Value) -> str:
    if at.dtype == np.float32:
        return at.op("Elu", x.name, alpha=layer.alpha)
    return _elu(at, x.name, layer.alpha)


def _elu(at: At, x: str, alpha: float, part: str = "") -> str:
    zero, one = at.floats("zero", 0), at.floats("one", 1)
    below = at.op("Exp", at.op("Min", x, zero, part="below"), part="exp")
    below = at.op("Mul", at.op("Sub", below, one, part="less"), at.floats("alpha", alpha), part="sloped")
    return at.op("Add", at.op("Max", x, zero, part="above"), below, part=part)


def selu(at: At, layer: Any, x: Value) -> str:
    if at.dtype == np.float32:
        return at.op("Selu", x.name, alpha=layer.alpha, gamma=layer.scale)
    return at.op("Mul", _elu(at, x.name, layer.alpha, part="elu"), at.floats("scale", layer.scale))


def celu(at: At, layer: Any, x: Value) -> str:
    if at.dtype == np.float32:
        return at.op("Celu", x.name, alpha=layer.alpha)
    alpha = at.floats("width", layer.alpha)
    return at.op("Mul", _elu(at, at.op("Div", x.name, alpha, part="narrow"), 1.0, part="elu"), alpha)


def threshold(at: At, layer: Any, x: Value) -> str:
    if at.dtype == np.float32:
        return at.op("ThresholdedRelu", x.name, alpha=layer.threshold)
    low = at.op("LessOrEqual", x.name, at.floats("threshold", layer.threshold), part="low")
    return at.op("Where", low, at.floats("zero", 0), x.name)


def mish(at: At, layer: Any, x: Value) -> str:
    return at.op("Mul", x.name, at.op("Tanh", at.op("Softplus", x.name, part="softplus"), part="tanh"))


def gelu(at: At, layer: Any, x: Value) -> str:
    if layer.approximate == "none":
        scaled = at.op("Mul", x.name, at.floats("root", math.sqrt(0.5)), part="scaled")
        gate = at.op("Erf", scaled, part="erf")
    else:
        cube = at.op("Mul", at.op("Mul", x.name, x.name, part="square"), x.name, part="cube")
        inner = at.op("Add", x.name, at.op("Mul", cube, at.floats("third", 0.044715), part="less"), part="inner")
        gate = at.op("Tanh", at.op("Mul", inner, at.floats("root", math.sqrt(2 / math.pi)), part="scaled"), part="tanh")
    gate = at.op("Add", gate, at.floats("one", 1), part="gate")
    return at.op("Mul", at.op("Mul", x.name, at.floats("half", 0.5), part="halved"), gate)


def softsign(at: At, layer: Any, x: Value) -> str:
    return at.op("Softsign", x.name)


def erf(at: At, layer: Any, x: Value) -> str:
    return at.op("Erf", x.name)


def softplus(at: At, layer: Any, x: Value) -> str:
    return at.op("Softplus", x.name)


def prelu(at: At, layer: Any, x: Value) -> str:
    shape = [layer.num_parameters, *(1,) * (len(x.shape) - 2)]
    slope = at.op("Reshape", at.weight(layer.weight.data), at.integers("channels", shape), part="slope")
    return at.op("PRelu", x.name, slope)


def softmax(at: At, layer: Any, x: Value) -> str:
    return at.op("Softmax", x.name, axis=layer.dim)


def log_softmax(at: At, layer: Any, x: Value) -> str:
    return at.op("LogSoftmax", x.name, axis=layer.dim)
