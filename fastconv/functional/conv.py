"""Convolution and its gradients, in one, two and three dimensions, on the same kernels.

Array shapes below are those of layout "NCHW"; with layout "NHWC" the channels are the last axis of x, y and their
gradients. Weights are always (K, C / groups, *kernel)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.functional import _convolve
from fastconv.functional.packing import PackedWeight


def conv1d(
    x: np.ndarray,
    weight: np.ndarray | PackedWeight,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolution of x (N, C, W) with weight (K, C / groups, S): as conv2d, in one dimension."""
    return _convolve.forward(1, x, weight, bias, stride, padding, dilation, groups, layout, algorithm, out)


def conv1d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(dx, dweight, dbias) of conv1d for the gradient dy of its result; None for those `needs` leaves out."""
    return _convolve.backward(1, dy, x, weight, stride, padding, dilation, groups, layout, algorithm, needs)


def conv1d_grad_input(
    dy: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> np.ndarray:
    """dx of conv1d, of shape input_shape, from dy alone (ValueError where dy does not belong to that shape)."""
    return _convolve.grad_input(1, dy, weight, input_shape, stride, padding, dilation, groups, layout, algorithm)


def conv1d_grad_weight(
    dy: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> np.ndarray:
    """dweight of conv1d, of shape weight_shape (ValueError where dy does not belong to it)."""
    return _convolve.grad_weight(1, dy, x, weight_shape, stride, padding, dilation, groups, layout, algorithm)


def conv2d(
    x: np.ndarray,
    weight: np.ndarray | PackedWeight,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolution of x (N, C, H, W) with weight (K, C / groups, R, S) and bias (K,), or None: y (N, K, P, Q).

    y[n, k, p, q] = bias[k] + sum over c, r, s of weight[k, c, r, s] * x[n, c, p * stride - padding + r * dilation, ..],
    the cross-correlation of every network; x counts as 0 outside its bounds. stride, dilation: an int or one for each
    axis. padding: the same, or ((before, after), ...), or "same" (stride 1 only), or "valid" (none). groups: input and
    output channels fall into so many independent parts. weight may be a PackedWeight. algorithm "direct" sums the
    products as the formula says; "auto" may use a faster one within the stated error. out: where to put y (exact shape
    and dtype, C-contiguous, no overlap).

    Raises TypeError for dtypes other than float32 and float64 or for mixed ones, ValueError for shapes that do not
    fit."""
    return _convolve.forward(2, x, weight, bias, stride, padding, dilation, groups, layout, algorithm, out)


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(dx, dweight, dbias) of conv2d for the gradient dy of its result; None for those `needs` leaves out."""
    return _convolve.backward(2, dy, x, weight, stride, padding, dilation, groups, layout, algorithm, needs)


def conv2d_grad_input(
    dy: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> np.ndarray:
    """dx of conv2d, of shape input_shape, from dy alone (ValueError where dy does not belong to that shape)."""
    return _convolve.grad_input(2, dy, weight, input_shape, stride, padding, dilation, groups, layout, algorithm)


def conv2d_grad_weight(
    dy: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> np.ndarray:
    """dweight of conv2d, of shape weight_shape (ValueError where dy does not belong to it)."""
    return _convolve.grad_weight(2, dy, x, weight_shape, stride, padding, dilation, groups, layout, algorithm)


def conv3d(
    x: np.ndarray,
    weight: np.ndarray | PackedWeight,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolution of x (N, C, D, H, W) with weight (K, C / groups, T, R, S): as conv2d, in three dimensions."""
    return _convolve.forward(3, x, weight, bias, stride, padding, dilation, groups, layout, algorithm, out)


def conv3d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(dx, dweight, dbias) of conv3d for the gradient dy of its result; None for those `needs` leaves out."""
    return _convolve.backward(3, dy, x, weight, stride, padding, dilation, groups, layout, algorithm, needs)


def conv3d_grad_input(
    dy: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> np.ndarray:
    """dx of conv3d, of shape input_shape, from dy alone (ValueError where dy does not belong to that shape)."""
    return _convolve.grad_input(3, dy, weight, input_shape, stride, padding, dilation, groups, layout, algorithm)


def conv3d_grad_weight(
    dy: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, ...],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> np.ndarray:
    """dweight of conv3d, of shape weight_shape (ValueError where dy does not belong to it)."""
    return _convolve.grad_weight(3, dy, x, weight_shape, stride, padding, dilation, groups, layout, algorithm)
