"""ONNX's operators with weights, and its activations, as layers: a function `(at)` each.
Every attribute is read or its usual value is what is meant; what cannot be done is refused, never guessed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers as L
from .onnx_padding import window_padding
from .onnx_read_graph import product
from .onnx_read_node import At
from .onnx_read_pool import padding_of

_CONV = (L.Conv1d, L.Conv2d, L.Conv3d)
_TRANSPOSED = (L.ConvTranspose1d, L.ConvTranspose2d, L.ConvTranspose3d)
_NORM = {2: L.BatchNorm1d, 3: L.BatchNorm1d, 4: L.BatchNorm2d, 5: L.BatchNorm3d}


def _weight(at: At) -> tuple[np.ndarray, tuple[int, ...], dict[str, Any]]:
    """(weight, its kernel, strides, dilations and groups) of a convolution."""
    weight = at.floats(1, "weight")
    axes = weight.ndim - 2
    if not 1 <= axes <= 3 or 0 in weight.shape:
        raise at.refuse(f"weight of shape {weight.shape}", "3 to 5 dimensions, none of size 0")
    kernel = weight.shape[2:]
    if at.wholes("kernel_shape", kernel) != kernel:
        raise at.refuse(f"kernel_shape {at.wholes('kernel_shape')}", f"that of the weight, {kernel}")
    ones = (1,) * axes
    settings = {"stride": at.wholes("strides", ones), "dilation": at.wholes("dilations", ones)}
    return weight, kernel, settings | {"groups": at.whole("group", 1)}


def _bias(at: At, place: int, count: int) -> dict[str, np.ndarray]:
    return {"bias": np.broadcast_to(at.floats(place, "bias"), (count,))} if at.has(place) else {}


def conv(at: At) -> None:
    weight, kernel, settings = _weight(at)
    filters, channels = weight.shape[0], weight.shape[1] * settings["groups"]
    reach = tuple(d * (k - 1) + 1 for d, k in zip(settings["dilation"], kernel, strict=True))
    pads = padding_of(at, reach, settings["stride"])
    bias = _bias(at, 2, filters)
    layer = at.layer(
        lambda: _CONV[len(kernel) - 1](channels, filters, kernel, padding=pads, bias=bool(bias), **settings),
        weight=weight,
        **bias,
    )
    at.add(layer, at.x(), weight=1)


def conv_transpose(at: At) -> None:
    weight, kernel, settings = _weight(at)
    channels, filters = weight.shape[0], weight.shape[1] * settings["groups"]
    axes = len(kernel)
    extra, given = at.wholes("output_padding", (0,) * axes), at.wholes("pads", (0,) * (2 * axes))
    sizes = at.wholes("output_shape")
    how = at.word("auto_pad", "NOTSET", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"))
    stride, dilation = settings["stride"], settings["dilation"]
    if sizes is None and how in ("NOTSET", "VALID"):
        pads = window_padding(how, given, (None,) * axes, kernel, stride)
    else:
        spatial = at.spatial("output_shape")
        wanted = tuple(size * s for size, s in zip(spatial, stride, strict=True)) if sizes is None else sizes[-axes:]
        pads = ()
        for i in range(axes):
            total = stride[i] * (spatial[i] - 1) + extra[i] + (kernel[i] - 1) * dilation[i] + 1 - wanted[i]
            if total < 0:  # larger than all windows reach
                extra = (*extra[:i], extra[i] - total, *extra[i + 1 :])
                total = 0
            less = total // 2
            before, after = (less, total - less) if how == "SAME_UPPER" else (total - less, less)
            pads += ((before, after),)
    if any(p < 0 for pair in pads for p in pair):
        raise at.refuse(f"pads {pads}", "pads of at least 0")
    bias = _bias(at, 2, filters)
    layer = at.layer(
        lambda: _TRANSPOSED[axes - 1](
            channels, filters, kernel, padding=pads, output_padding=extra, bias=bool(bias), **settings
        ),
        weight=weight,
        **bias,
    )
    at.add(layer, at.x(), weight=1)


def gemm(at: At) -> None:
    transposed = bool(at.whole("transA", 0)), bool(at.whole("transB", 0))
    alpha, beta = at.real("alpha", 1.0), at.real("beta", 1.0)
    if transposed[0] or at.is_constant(0) or not at.is_constant(1) or not _is_row(at, 2):
        _general_gemm(at, transposed, alpha, beta)
        return
    weight = at.floats(1, "B", 2)
    weight = weight if transposed[1] else weight.T
    kind = weight.dtype.type
    weight = weight * kind(alpha) if alpha != 1 else weight
    bias = {}
    if at.has(2):
        c = at.floats(2, "C")
        bias = {"bias": np.broadcast_to(c.reshape(-1) * kind(beta), (weight.shape[0],))}
    layer = at.layer(lambda: L.Linear(weight.shape[1], weight.shape[0], bias=bool(bias)), weight=weight, **bias)
    at.add(layer, at.x(), weight=1)
    at.set_shape((None, weight.shape[0]))


def _is_row(at: At, place: int) -> bool:
    return not at.has(place) or (at.is_constant(place) and product(at.floats(place, "C").shape[:-1]) == 1)


def _general_gemm(at: At, transposed: tuple[bool, bool], alpha: float, beta: float) -> None:
    """alpha * A' * B' + beta * C, step by step."""
    factors = []
    for place, name in enumerate("AB"):
        x = at.x(place)
        factors.append(at.add(L.Permute((1, 0)), x, part=name) if transposed[place] else x)
    result = _times(at, at.add(L.MatMul(), *factors, part="product"), "alpha", alpha)
    if at.has(2):
        at.add(L.Add(), result, _times(at, at.x(2), "beta", beta))
    else:
        at.add(L.Identity(), result)


def _times(at: At, x: str, name: str, factor: float) -> str:
    if factor == 1:
        return x
    held = at.layer(lambda: L.Constant(()), value=np.array(factor, at.wiring.dtype))
    return at.add(L.Mul(), x, at.add(held, part=name), part=f"by_{name}")


def matmul(at: At) -> None:
    if not at.is_constant(1) or at.floats(1, "the second factor").ndim != 2:
        at.add(L.MatMul(), at.x(0), at.x(1))
        return
    weight = at.floats(1, "the second factor").T
    layer = at.layer(lambda: L.Linear(weight.shape[1], weight.shape[0], bias=False), weight=weight)
    shape = at.shape()
    if shape is None or len(shape) == 2:
        at.add(layer, at.x(), weight=1)
        return
    if len(shape) < 2 or None in shape[1:-1]:
        raise at.refuse(f"a first factor of shape {shape}", "at least 2 axes, all but the first of known size")
    rows = at.add(L.Reshape((-1, weight.shape[1])), at.x(), part="rows")
    product_ = at.add(layer, rows, part="product")
    at.add(L.Reshape((-1, *shape[1:-1], weight.shape[0])), product_)


def batch_normalization(at: At) -> None:
    if at.whole("training_mode", 0) or not at.whole("spatial", 1):
        raise at.refuse("training_mode=1 or spatial=0", "inference, one mean and variance a channel")
    at.only_first_output("a statistic")
    names = ("weight", "bias", "running_mean", "running_var")
    values = {name: at.floats(place, name, 1) for place, name in enumerate(names, 1)}
    shape = at.shape()
    kind = _NORM.get(4 if shape is None else len(shape))
    if kind is None:
        raise at.refuse(f"x of shape {shape}", "2 to 5 dimensions")
    eps, momentum = at.real("epsilon", 1e-5), 1 - at.real("momentum", 0.9)
    layer = at.layer(lambda: kind(values["weight"].size, eps, round(momentum, 9)), **values)
    layer.num_batches_tracked = np.zeros((), np.int64)
    at.add(layer, at.x(), weight=1)


def lrn(at: At) -> None:
    size = at.whole("size", 1)
    if size % 2 == 0:
        raise at.refuse(f"size={size}", "an odd size, whose window is the same on both sides")
    at.add(L.LocalResponseNorm(size, at.real("alpha", 1e-4), at.real("beta", 0.75), at.real("bias", 1.0)), at.x())


def prelu(at: At) -> None:
    slope = at.floats(1, "slope")
    shape = at.known_shape()
    wanted = (shape[1], *(1,) * (len(shape) - 2)) if len(shape) > 1 else ()
    if slope.size != 1 and slope.shape not in (wanted, (1, *wanted)):
        raise at.refuse(f"slope of shape {slope.shape}", f"one number, or one a channel: {wanted}")
    at.add(at.layer(lambda: L.PReLU(slope.size), weight=slope.reshape(-1)), at.x())


def clip(at: At) -> None:
    if at.opset < 11:
        low, high = at.real("min", -np.inf), at.real("max", np.inf)
    else:
        low = float(at.floats(1, "min").reshape(-1)[0]) if at.has(1) else -np.inf
        high = float(at.floats(2, "max").reshape(-1)[0]) if at.has(2) else np.inf
    # ONNX: where min is above max the result is max.
    low = min(low, high)
    ends = tuple(None if np.isinf(end) else end for end in (low, high))
    layer = L.ReLU() if ends == (0, None) else L.ReLU6() if ends == (0, 6) else L.Hardtanh(*ends)
    at.add(layer, at.x())


def hard_sigmoid(at: At) -> None:
    alpha, beta = at.real("alpha", 0.2), at.real("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
        at.add(L.Hardsigmoid(), at.x())
        return
    x = at.x()
    for kind, part, value in ((L.Mul, "sloped", alpha), (L.Add, "shifted", beta)):
        array = np.array(value, at.wiring.dtype)
        held = at.add(at.layer(lambda: L.Constant(()), value=array), part=f"{part}.by")
        x = at.add(kind(), x, held, part=part)
    at.add(L.Hardtanh(0, 1), x)


# Activations that are a layer and at most one number: operator, layer, (attribute, its usual value).
SIMPLE: dict[str, tuple[Callable[..., L.Layer], tuple[str, float] | None]] = {
    "Relu": (L.ReLU, None),
    "LeakyRelu": (L.LeakyReLU, ("alpha", 0.01)),
    "Elu": (L.ELU, ("alpha", 1.0)),
    "Sigmoid": (L.Sigmoid, None),
    "Tanh": (L.Tanh, None),
    "Softplus": (L.Softplus, None),
    "HardSwish": (L.Hardswish, None),
    "Celu": (L.CELU, ("alpha", 1.0)),
    "ThresholdedRelu": (L.Threshold, ("alpha", 1.0)),
    "Mish": (L.Mish, None),
    "Softsign": (L.Softsign, None),
    "Erf": (L.Erf, None),
}


def simple(at: At) -> None:
    make, number = SIMPLE[at.kind]
    at.add(make() if number is None else make(at.real(*number)), at.x())


def selu(at: At) -> None:
    at.add(L.SELU(at.real("alpha", 1.67326319217681884765625), at.real("gamma", 1.05070102214813232421875)), at.x())


def gelu(at: At) -> None:
    at.add(L.GELU(at.word("approximate", "none", ("none", "tanh"))), at.x())


def softmax(at: At) -> None:
    _softmax(at, L.Softmax)


def log_softmax(at: At) -> None:
    _softmax(at, L.LogSoftmax)


def _softmax(at: At, kind: type[L.Softmax]) -> None:
    """Before opset 13 over all axes from `axis` on as one, 1 if it is not given."""
    if at.opset >= 13:
        at.add(kind(at.whole("axis", -1)), at.x())
        return
    shape, axis = at.known_shape(), at.whole("axis", 1)
    axis += len(shape) if axis < 0 else 0
    if product(shape[axis + 1 :]) == 1:
        at.add(kind(axis), at.x())
        return
    if None in shape[axis:]:
        raise at.refuse(f"x of shape {shape}", "axes of known size from axis on")
    flat = at.add(L.Flatten(axis), at.x(), part="flat")
    scores = at.add(kind(-1), flat, part="scores")
    at.add(L.Reshape((*(0,) * axis, *shape[axis:])), scores)


def dropout(at: At) -> None:
    """Nothing in inference; trained again, it drops."""
    at.only_first_output("the mask")
    at.pass_over("seed")
    if at.opset >= 12 and at.has(2) and bool(at.constant(2, "training_mode")):
        raise at.refuse("training_mode=true", "inference")
    ratio = at.real("ratio", 0.5) if at.opset < 12 else float(at.constant(1, "ratio")) if at.has(1) else 0.5
    if at.is_constant(0):
        at.pass_on()
        return
    at.add(L.Dropout(ratio), at.x())


def identity(at: At) -> None:
    at.pass_on()


def cast(at: At) -> None:
    at.pass_over("saturate", "round_mode")  # of casts to floats of 8 bits
    if at.wiring.tensors.float_dtype(at.whole("to", 0)) != at.wiring.dtype:
        raise at.refuse(f"a cast to data type {at.whole('to', 0)}", f"{at.wiring.dtype}, as the rest")
    at.pass_on()
