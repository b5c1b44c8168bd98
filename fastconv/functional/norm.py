"""Batch normalisation (Ioffe and Szegedy 2015) on the kernels, and local response normalisation (Krizhevsky
et al. 2012) in NumPy, with their gradients. x is (N, C, *spatial), of two dimensions or more; one value a
channel is a vector (C,)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv import _validate as check
from fastconv import _validate_values as values
from fastconv._memory import empty


def batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
    relu: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Inference: (x - mean) / sqrt(var + eps) * weight + bias; with `relu` the relu of it, with out=x in place.
    TypeError or ValueError where an argument does not fit x."""
    op = "batch_norm"
    x, eps, relu = _operand(op, "x", x), values.number(op, "eps", eps, 0), check.flag(op, "relu", relu)
    vectors = _vectors(op, x, mean=mean, var=var, weight=weight, bias=bias)
    y = _result(op, out, x, *vectors) if out is not x else check.output(op, out, x.shape, x.dtype, *vectors)
    _kernels.batch_norm(*_sizes(x), x, *vectors, eps, relu, y)
    return y


def batch_norm_train(
    x: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
    relu: bool = False,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, mean, var): x normalised by the mean and the biased variance of each of its channels, which hold
    two values or more; with `relu` y is the relu of it."""
    op = "batch_norm_train"
    x, eps, relu = _operand(op, "x", x), values.number(op, "eps", eps, 0), check.flag(op, "relu", relu)
    n, c, inner = _sizes(x)
    if n * inner < 2:
        check.reject(op, f"x has shape {x.shape}; training needs more than one value a channel")
    weight, bias = _vectors(op, x, weight=weight, bias=bias)
    y = _result(op, out, x, weight, bias)
    mean, var = np.empty(c, x.dtype), np.empty(c, x.dtype)
    _kernels.batch_norm_train(n, c, inner, x, weight, bias, eps, relu, y, mean, var)
    return y, mean, var


def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
    training: bool = True,
    relu: bool = False,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dweight, dbias). While training, mean and var are those of x (biased) and depend on it; else
    they are constants. With `relu` dy is the gradient of what the ReLU gave, and bias is needed too. `out`
    is for dx and may be dy itself."""
    op = "batch_norm_backward"
    x, eps = _operand(op, "x", x), values.number(op, "eps", eps, 0)
    dy = _like(op, "dy", dy, "x", x)
    training, relu = check.flag(op, "training", training), check.flag(op, "relu", relu)
    vectors = _vectors(op, x, mean=mean, var=var, weight=weight, bias=bias)
    dx = _result(op, out, x, *vectors, dy if dy is not out else None)
    n, c, inner = _sizes(x)
    dweight, dbias = np.empty(c, x.dtype), np.empty(c, x.dtype)
    _kernels.batch_norm_backward(n, c, inner, dy, x, *vectors, eps, training, relu, dx, dweight, dbias)
    return dx, dweight, dbias


def _operand(op: str, name: str, x: Any) -> np.ndarray:
    x = check.array(op, name, x)
    if x.ndim < 2:
        check.reject(op, f"{name} has {x.ndim} dimensions; expected 2 or more (N, C, *spatial)")
    check.no_empty_axis(op, name, x.shape)
    return x


def _like(op: str, name: str, value: Any, other_name: str, other: np.ndarray) -> np.ndarray:
    value = check.array(op, name, value)
    check.same_dtype(op, name, value, other_name, other)
    check.shaped(op, name, value, other.shape)
    return value


def _vectors(op: str, x: np.ndarray, **given: Any) -> list[np.ndarray | None]:
    """One value a channel, each; weight and bias may be None."""
    vectors = []
    for name, value in given.items():
        if value is not None or name not in ("weight", "bias"):
            value = check.array(op, name, value)
            check.same_dtype(op, "x", x, name, value)
            check.shaped(op, name, value, (x.shape[1],))
        vectors.append(value)
    return vectors


def _result(op: str, out: Any, x: np.ndarray, *others: np.ndarray | None) -> np.ndarray:
    return empty(x.shape, x.dtype) if out is None else check.output(op, out, x.shape, x.dtype, x, *others)


def _sizes(x: np.ndarray) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1], math.prod(x.shape[2:])


# ---- local response normalisation


def local_response_norm(
    x: np.ndarray, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """x / (k + alpha / size * sum of squares over the `size` channels around) ** beta; of an even size one
    more lies before."""
    op = "local_response_norm"
    x, size, alpha, beta, k = _lrn_arguments(op, x, size, alpha, beta, k)
    divisor = _divisor(x, size, alpha, k)
    with np.errstate(all="ignore"):
        np.power(divisor, x.dtype.type(beta), out=divisor)
        return np.divide(x, divisor, out=divisor)


def local_response_norm_backward(
    dy: np.ndarray, x: np.ndarray, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """The gradient of local_response_norm to x."""
    op = "local_response_norm_backward"
    x, size, alpha, beta, k = _lrn_arguments(op, x, size, alpha, beta, k)
    dy = _like(op, "dy", dy, "x", x)
    divisor = _divisor(x, size, alpha, k)
    with np.errstate(all="ignore"):
        dx = dy * divisor ** x.dtype.type(-beta)
        np.divide(dx, divisor, out=divisor)
        divisor *= x
        through = _across(divisor, size, size - 1 - size // 2)
        through *= x
        through *= x.dtype.type(2 * alpha * beta / size)
        dx -= through
    return dx


def _lrn_arguments(op: str, x: Any, size: Any, alpha: Any, beta: Any, k: Any) -> tuple:
    return (
        _operand(op, "x", x),
        check.size(op, "size", size, 1),
        values.number(op, "alpha", alpha),
        values.number(op, "beta", beta),
        values.number(op, "k", k),
    )


def _divisor(x: np.ndarray, size: int, alpha: float, k: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        divisor = _across(x * x, size, size // 2)
        divisor *= x.dtype.type(alpha / size)
        divisor += x.dtype.type(k)
    return divisor


def _across(x: np.ndarray, size: int, before: int) -> np.ndarray:
    """The sum over `size` neighbouring channels, of which `before` come before the channel itself."""
    channels, sums = x.shape[1], x.copy()
    for shift in range(max(-before, 1 - channels), min(size - before, channels)):
        if shift > 0:
            sums[:, :-shift] += x[:, shift:]
        elif shift < 0:
            sums[:, -shift:] += x[:, :shift]
    return sums
