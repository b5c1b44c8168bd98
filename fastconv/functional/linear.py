"""The fully connected layer's product and its gradients: a 1x1 convolution over the batch, on the same kernels and
threads (a BLAS would bring a second pool of threads to fight for the cores)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv import _validate as check
from fastconv._geometry import Conv
from fastconv._memory import empty
from fastconv.functional._convolve import gradients, needed

FEW = 16
"""Batches up to this size go to the kernels that read every weight once, where it lies."""


def _operands(op: str, x: Any, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    x, weight = check.array(op, "x", x), check.array(op, "weight", weight)
    check.dimensions(op, "x", x, 2, "(N, in)")
    check.dimensions(op, "weight", weight, 2, "(out, in)")
    check.same_dtype(op, "x", x, "weight", weight)
    check.no_empty_axis(op, "x", x.shape)
    check.no_empty_axis(op, "weight", weight.shape, 0)
    if x.shape[1] != weight.shape[1]:
        check.reject(op, f"x has {x.shape[1]} features; weight has shape {weight.shape}, so expected {weight.shape[1]}")
    return x, weight


def _as_convolution(n: int, c: int, k: int) -> Conv:
    """One row of n pixels with c channels, channels last, under a 1x1 kernel."""
    one = (1, 1, 1)
    return Conv((1, c, k, 1, 1, 1, n, *one, 1, 1, n, *one, 0, 0, 0, *one, 1, 1), (n, c), (k, c), (n, k))


def linear(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, *, out: np.ndarray | None = None
) -> np.ndarray:
    """y (N, out) = x (N, in) times the transpose of weight (out, in), plus bias (out,): PyTorch's linear."""
    x, weight = _operands("linear", x, weight)
    n, c, k = *x.shape, weight.shape[0]
    if bias is not None:
        bias = check.array("linear", "bias", bias)
        check.same_dtype("linear", "x", x, "bias", bias)
        check.shaped("linear", "bias", bias, (k,))
    check.fits("linear", "the output", (n, k))
    y = empty((n, k), x.dtype) if out is None else check.output("linear", out, (n, k), x.dtype, x, weight, bias)
    if n == 0:
        return y
    if n <= FEW:
        _kernels.linear_few(n, k, c, x, weight, bias, y)
    else:
        _kernels.conv_forward(_as_convolution(n, c, k).fields, x, weight, None, bias, None, 0, 0.0, y)
    return y


def linear_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, *, needs: tuple[bool, bool, bool] = (True, True, True)
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(dx, dweight, dbias) of linear for the gradient dy (N, out) of its result; None for those `needs` leaves out."""
    op = "linear_backward"
    wanted = needed(op, needs)
    x, weight = _operands(op, x, weight)
    n, c, k = *x.shape, weight.shape[0]
    dy = check.array(op, "dy", dy)
    check.same_dtype(op, "dy", dy, "x", x)
    check.shaped(op, "dy", dy, (n, k))
    if n == 0:
        empties = (np.zeros(x.shape, x.dtype), np.zeros(weight.shape, x.dtype), np.zeros(k, x.dtype))
        return tuple(e if need else None for e, need in zip(empties, wanted, strict=True))
    if n > FEW:
        return gradients(op, _as_convolution(n, c, k), dy, x, weight, wanted)
    dx = empty(x.shape, x.dtype) if wanted[0] else None
    dweight = empty(weight.shape, x.dtype) if wanted[1] else None
    _kernels.linear_few_backward(n, k, c, dy, x, weight, dx, dweight)
    return dx, dweight, dy.sum(0) if wanted[2] else None
