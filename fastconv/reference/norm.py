"""Batch normalisation (Ioffe and Szegedy 2015) and local response normalisation (Krizhevsky et al. 2012) with
their gradients in plain NumPy. It never calls a kernel."""

import numpy as np

from . import _arguments as read


def _input(x, name="x"):
    a = read.array(x, name)
    if a.ndim < 2:
        raise ValueError(f"{name}: expected (N, C, *spatial), got shape {a.shape}")
    return a


def _column(v, x, name, default=None):
    """A vector of one value a channel, shaped to broadcast over x."""
    v = np.full(x.shape[1], default, x.dtype) if v is None and default is not None else v
    return read.vector(v, name, x.shape[1], x.dtype).reshape(-1, *(1,) * (x.ndim - 2))


def _eps(eps):
    if not eps >= 0:
        raise ValueError(f"eps: expected at least 0, got {eps}")
    return eps


def _all_but_channels(x):
    return (0, *range(2, x.ndim))


def batch_norm(x, mean, var, weight=None, bias=None, *, eps=1e-5, relu=False, out=None):
    """(x - mean) / sqrt(var + eps) * weight + bias, each vector one value a channel of x (N, C, *spatial); of it
    the relu, if asked for."""
    a = _input(x)
    scale = _column(weight, a, "weight", 1) / np.sqrt(_column(var, a, "var") + a.dtype.type(_eps(eps)))
    y = (a - _column(mean, a, "mean")) * scale + _column(bias, a, "bias", 0)
    return read.deliver(np.where(y <= 0, y.dtype.type(0), y) if relu else y, out=out)


def batch_norm_train(x, weight=None, bias=None, *, eps=1e-5, relu=False, out=None):
    """(y, mean, var): normalised by the mean and the biased variance of each channel of x itself; of it the relu,
    if asked for."""
    a = _input(x)
    axes = _all_but_channels(a)
    if a.size // a.shape[1] < 2:
        raise ValueError(f"x: training needs more than one value a channel, got shape {a.shape}")
    mean, var = a.mean(axis=axes), a.var(axis=axes)
    return batch_norm(a, mean, var, weight, bias, eps=eps, relu=relu, out=out), mean, var


def batch_norm_backward(dy, x, mean, var, weight=None, bias=None, *, eps=1e-5, training=True, relu=False, out=None):
    """(dx, dweight, dbias). In training mean and var are functions of x; otherwise they are constants. Behind a
    relu dy is that of its result."""
    a, d = _input(x), _input(dy, "dy")
    read.alike(a.dtype, d, "dy")
    read.expect(d, "dy", a.shape)
    axes = _all_but_channels(a)
    scale = 1 / np.sqrt(_column(var, a, "var") + a.dtype.type(_eps(eps)))
    normal = (a - _column(mean, a, "mean")) * scale
    if relu:
        d = np.where(normal * _column(weight, a, "weight", 1) + _column(bias, a, "bias", 0) <= 0, d.dtype.type(0), d)
    dbias, dweight = d.sum(axis=axes), (d * normal).sum(axis=axes)
    dx = d
    if training:
        count = a.dtype.type(max(a.size // a.shape[1], 1))
        dx = d - _column(dbias, a, "dbias") / count - normal * _column(dweight, a, "dweight") / count
    return read.deliver(dx * scale * _column(weight, a, "weight", 1), out=out), dweight, dbias


def _across(x, size, before):
    """Sum over `size` neighbouring channels, of which `before` come before the channel itself."""
    padded = np.pad(x, ((0, 0), (before, size - 1 - before), *((0, 0),) * (x.ndim - 2)))
    return sum(padded[:, i : i + x.shape[1]] for i in range(size))


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha / size * sum of squares over `size` channels around) ** beta; of an even size one more
    before."""
    a, n = _input(x), read.integer(size, "size", 1)
    divisor = a.dtype.type(k) + a.dtype.type(alpha) * (_across(a * a, n, n // 2) / a.dtype.type(n))
    return read.deliver(a / divisor ** a.dtype.type(beta))


def local_response_norm_backward(dy, x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Gradient of local_response_norm in x."""
    a, d, n = _input(x), _input(dy, "dy"), read.integer(size, "size", 1)
    read.alike(a.dtype, d, "dy")
    read.expect(d, "dy", a.shape)
    alpha, beta = a.dtype.type(alpha), a.dtype.type(beta)
    divisor = a.dtype.type(k) + alpha * (_across(a * a, n, n // 2) / a.dtype.type(n))
    through = _across(d * a * divisor ** (-beta - 1), n, n - 1 - n // 2)
    return read.deliver(d * divisor**-beta - 2 * alpha * beta / a.dtype.type(n) * a * through)
