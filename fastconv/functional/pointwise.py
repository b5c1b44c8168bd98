"""Activations, softmax and addition with their gradients. ReLU, its kin and addition run on the kernels,
the others in NumPy on fresh buffers. Arrays may have any shape whose first size alone may be 0. A NaN
passes every one of them. out= may be an input itself (in place), but must not overlap one in part."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv import _validate as check
from fastconv import _validate_values as values
from fastconv._memory import empty


def _operand(op: str, name: str, x: Any) -> np.ndarray:
    x = check.array(op, name, x)
    check.no_empty_axis(op, name, x.shape)
    return x


def _pair(op: str, name: str, x: Any, other_name: str, other: Any) -> tuple[np.ndarray, np.ndarray]:
    x, other = _operand(op, name, x), _operand(op, other_name, other)
    check.same_dtype(op, name, x, other_name, other)
    check.shaped(op, name, x, other.shape)
    return x, other


def _result(op: str, out: Any, *inputs: np.ndarray) -> np.ndarray:
    x = inputs[0]
    if out is None:
        return empty(x.shape, x.dtype)
    others = [other for other in inputs if other is not out]
    return check.output(op, out, x.shape, x.dtype, *others)


def _one(op: str, x: Any, out: Any, slope: float = 0.0) -> np.ndarray:
    x = _operand(op, "x", x)
    y = _result(op, out, x)
    _kernels.pointwise(_kernels.POINTWISE[op], x.size, slope, x, None, y)
    return y


def _two(op: str, pair: tuple[np.ndarray, np.ndarray], out: Any = None, slope: float = 0.0) -> np.ndarray:
    y = _result(op.removesuffix("_relu"), out, *pair)
    _kernels.pointwise(_kernels.POINTWISE[op], y.size, slope, *pair, y)
    return y


def relu(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """max(x, 0)."""
    return _one("relu", x, out)


def relu_backward(dy: np.ndarray, y: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """dy where y > 0, else 0; y is what relu gave (or its x, which has the same sign)."""
    return _two("relu_backward", _pair("relu_backward", "dy", dy, "y", y), out)


def relu6(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """min(max(x, 0), 6)."""
    return _one("relu6", x, out)


def relu6_backward(dy: np.ndarray, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """dy where 0 < x < 6, else 0."""
    return _two("relu6_backward", _pair("relu6_backward", "dy", dy, "x", x), out)


def leaky_relu(x: np.ndarray, negative_slope: float = 0.01, *, out: np.ndarray | None = None) -> np.ndarray:
    """x where x > 0, else negative_slope * x."""
    return _one("leaky_relu", x, out, values.number("leaky_relu", "negative_slope", negative_slope))


def leaky_relu_backward(
    dy: np.ndarray, x: np.ndarray, negative_slope: float = 0.01, *, out: np.ndarray | None = None
) -> np.ndarray:
    """dy where x > 0, else negative_slope * dy."""
    op = "leaky_relu_backward"
    slope = values.number(op, "negative_slope", negative_slope)
    return _two(op, _pair(op, "dy", dy, "x", x), out, slope)


def add(x: np.ndarray, y: np.ndarray, *, relu: bool = False, out: np.ndarray | None = None) -> np.ndarray:
    """x + y, of one shape; with `relu` the relu of it."""
    pair = _pair("add", "x", x, "y", y)
    return _two("add_relu" if check.flag("add", "relu", relu) else "add", pair, out)


# ---- in NumPy


def _logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) into y, written so that exp never overflows: with t = exp(-|x|), 1 / (1 + t) or t /
    (1 + t)."""
    positive = x >= 0  # before y, which may be x, is written
    t = np.abs(x)
    np.negative(t, out=t)
    np.exp(t, out=t)
    np.copyto(y, t)
    np.copyto(y, 1, where=positive)
    t += 1
    return np.divide(y, t, out=y)


def sigmoid(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    x = _operand("sigmoid", "x", x)
    with np.errstate(all="ignore"):
        return _logistic(x, _result("sigmoid", out, x))


def sigmoid_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy * y * (1 - y), y = sigmoid(x)."""
    dy, y = _pair("sigmoid_backward", "dy", dy, "y", y)
    with np.errstate(all="ignore"):
        dx = np.subtract(1, y, out=empty(y.shape, y.dtype))
        dx *= y
        dx *= dy
    return dx


def tanh(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """The hyperbolic tangent."""
    x = _operand("tanh", "x", x)
    with np.errstate(all="ignore"):
        return np.tanh(x, out=_result("tanh", out, x))


def tanh_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy * (1 - y * y), y = tanh(x)."""
    dy, y = _pair("tanh_backward", "dy", dy, "y", y)
    with np.errstate(all="ignore"):
        dx = np.multiply(y, y, out=empty(y.shape, y.dtype))
        np.subtract(1, dx, out=dx)
        dx *= dy
    return dx


def silu(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """x * sigmoid(x)."""
    x = _operand("silu", "x", x)
    y = _result("silu", out, x)
    with np.errstate(all="ignore"):
        s = _logistic(x, empty(x.shape, x.dtype) if y is x else y)
        return np.multiply(x, s, out=y)


def silu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dy * s * (1 + x * (1 - s)), s = sigmoid(x)."""
    dy, x = _pair("silu_backward", "dy", dy, "x", x)
    with np.errstate(all="ignore"):
        s = _logistic(x, empty(x.shape, x.dtype))
        dx = np.subtract(1, s, out=empty(x.shape, x.dtype))
        dx *= x
        dx += 1
        dx *= s
        dx *= dy
    return dx


def softmax(x: np.ndarray, axis: int = -1, *, out: np.ndarray | None = None) -> np.ndarray:
    """exp(x) over the sum of exp(x) along one axis. A row of -inf alone, like one that holds a NaN or +inf,
    gives NaN."""
    x = _operand("softmax", "x", x)
    axis = values.axis("softmax", axis, x.ndim)
    y = _result("softmax", out, x)
    with np.errstate(all="ignore"):
        np.subtract(x, x.max(axis=axis, keepdims=True, initial=-np.inf), out=y)
        np.exp(y, out=y)
        y /= y.sum(axis=axis, keepdims=True)
    return y


def softmax_backward(dy: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """y * (dy - sum of dy * y along the axis), y = softmax(x)."""
    dy, y = _pair("softmax_backward", "dy", dy, "y", y)
    axis = values.axis("softmax_backward", axis, y.ndim)
    with np.errstate(all="ignore"):
        dx = np.multiply(dy, y, out=empty(y.shape, y.dtype))
        np.subtract(dy, dx.sum(axis=axis, keepdims=True), out=dx)
        dx *= y
    return dx


def log_softmax(x: np.ndarray, axis: int = -1, *, out: np.ndarray | None = None) -> np.ndarray:
    """x - log of the sum of exp(x) along one axis."""
    x = _operand("log_softmax", "x", x)
    axis = values.axis("log_softmax", axis, x.ndim)
    y = _result("log_softmax", out, x)
    with np.errstate(all="ignore"):
        np.subtract(x, x.max(axis=axis, keepdims=True, initial=-np.inf), out=y)
        y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y


def log_softmax_backward(dy: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """dy - exp(y) * sum of dy along the axis, y = log_softmax(x)."""
    dy, y = _pair("log_softmax_backward", "dy", dy, "y", y)
    axis = values.axis("log_softmax_backward", axis, y.ndim)
    with np.errstate(all="ignore"):
        dx = np.exp(y, out=empty(y.shape, y.dtype))
        dx *= dy.sum(axis=axis, keepdims=True)
        np.subtract(dy, dx, out=dx)
    return dx
