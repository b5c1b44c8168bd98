"""Activations, softmax and addition with their gradients in plain NumPy. It never calls a kernel."""

import numpy as np

from . import _arguments as read


def _same(dy, x, name):
    """(dy, x), which must agree in dtype and shape."""
    d, a = _input(dy, "dy"), _input(x, name)
    read.alike(a.dtype, d, "dy")
    read.expect(d, "dy", a.shape)
    return d, a


def _input(x, name="x"):
    return read.array(x, name)


def relu(x, *, out=None):
    """max(x, 0); a NaN stays."""
    a = _input(x)
    return read.deliver(np.where(a <= 0, a.dtype.type(0), a), out=out)


def relu_backward(dy, y, *, out=None):
    """dy where y > 0, else 0."""
    d, a = _same(dy, y, "y")
    return read.deliver(np.where(a <= 0, d.dtype.type(0), d), out=out)


def relu6(x, *, out=None):
    """min(max(x, 0), 6); a NaN stays."""
    a = _input(x)
    return read.deliver(np.clip(a, a.dtype.type(0), a.dtype.type(6)), out=out)


def relu6_backward(dy, x, *, out=None):
    """dy where 0 < x < 6, else 0."""
    d, a = _same(dy, x, "x")
    return read.deliver(np.where((a <= 0) | (a >= 6), d.dtype.type(0), d), out=out)


def leaky_relu(x, negative_slope=0.01, *, out=None):
    """x where x > 0, else negative_slope * x."""
    a = _input(x)
    return read.deliver(np.where(a > 0, a, a * a.dtype.type(negative_slope)), out=out)


def leaky_relu_backward(dy, x, negative_slope=0.01, *, out=None):
    """dy where x > 0, else negative_slope * dy."""
    d, a = _same(dy, x, "x")
    return read.deliver(np.where(a > 0, d, d * d.dtype.type(negative_slope)), out=out)


def _logistic(a):
    """1 / (1 + exp(-a)), written so that exp never overflows."""
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, a.dtype.type(1), small) / (1 + small)


def sigmoid(x, *, out=None):
    """1 / (1 + exp(-x))."""
    return read.deliver(_logistic(_input(x)), out=out)


def sigmoid_backward(dy, y):
    """dy * y * (1 - y) for y = sigmoid(x)."""
    d, a = _same(dy, y, "y")
    return read.deliver(d * a * (1 - a))


def tanh(x, *, out=None):
    """The hyperbolic tangent."""
    return read.deliver(np.tanh(_input(x)), out=out)


def tanh_backward(dy, y):
    """dy * (1 - y * y) for y = tanh(x)."""
    d, a = _same(dy, y, "y")
    return read.deliver(d * (1 - a * a))


def silu(x, *, out=None):
    """x * sigmoid(x)."""
    a = _input(x)
    return read.deliver(a * _logistic(a), out=out)


def silu_backward(dy, x):
    """dy * (s + x * s * (1 - s)) for s = sigmoid(x)."""
    d, a = _same(dy, x, "x")
    s = _logistic(a)
    return read.deliver(d * (s + a * s * (1 - s)))


def _axis(axis, ndim):
    axis = read.integer(axis, "axis", -ndim)
    if axis >= ndim:
        raise ValueError(f"axis: expected -{ndim} to {ndim - 1}, got {axis}")
    return axis


def softmax(x, axis=-1, *, out=None):
    """exp(x) / sum of exp(x) along one axis; rows of -inf alone give NaN."""
    a = _input(x)
    axis = _axis(axis, a.ndim)
    powers = np.exp(a - a.max(axis=axis, keepdims=True, initial=-np.inf))
    return read.deliver(powers / powers.sum(axis=axis, keepdims=True), out=out)


def softmax_backward(dy, y, axis=-1):
    """y * (dy - sum of dy * y along the axis) for y = softmax(x)."""
    d, a = _same(dy, y, "y")
    return read.deliver(a * (d - (d * a).sum(axis=_axis(axis, a.ndim), keepdims=True)))


def log_softmax(x, axis=-1, *, out=None):
    """x - log of the sum of exp(x) along one axis."""
    a = _input(x)
    axis = _axis(axis, a.ndim)
    shifted = a - a.max(axis=axis, keepdims=True, initial=-np.inf)
    return read.deliver(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)), out=out)


def log_softmax_backward(dy, y, axis=-1):
    """dy - exp(y) * sum of dy along the axis for y = log_softmax(x)."""
    d, a = _same(dy, y, "y")
    return read.deliver(d - np.exp(a) * d.sum(axis=_axis(axis, a.ndim), keepdims=True))


def add(x, y, *, relu=False, out=None):
    """x + y, of one shape; of it the relu, if asked for."""
    a, b = _input(x), _input(y, "y")
    read.alike(a.dtype, b, "y")
    read.expect(b, "y", a.shape)
    s = a + b
    return read.deliver(np.where(s <= 0, s.dtype.type(0), s) if relu else s, out=out)
