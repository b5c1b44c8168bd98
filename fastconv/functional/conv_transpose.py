"""Transposed convolution (the gradient of a convolution to its input, used forwards) and its gradients.

Array shapes below are those of layout "NCHW"; with layout "NHWC" the channels are the last axis of x, y and their
gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.functional import _convolve


def conv_transpose1d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Transposed convolution of x (N, C, W) with weight (C, K / groups, *kernel): what conv1d_grad_input does to a
    gradient, plus bias.

    Output size on each axis: (in - 1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1."""
    return _convolve.transpose(1, x, weight, bias, stride, padding, output_padding, dilation, groups, layout, out)


def conv_transpose1d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(dx, dweight, dbias) of conv_transpose1d for the gradient dy of its result; None for those `needs` leaves out."""
    return _convolve.transpose_backward(
        1, dy, x, weight, stride, padding, output_padding, dilation, groups, layout, needs
    )


def conv_transpose2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Transposed convolution of x (N, C, H, W) with weight (C, K / groups, *kernel): what conv2d_grad_input does to a
    gradient, plus bias.

    Output size on each axis: (in - 1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1."""
    return _convolve.transpose(2, x, weight, bias, stride, padding, output_padding, dilation, groups, layout, out)


def conv_transpose2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(dx, dweight, dbias) of conv_transpose2d for the gradient dy of its result; None for those `needs` leaves out."""
    return _convolve.transpose_backward(
        2, dy, x, weight, stride, padding, output_padding, dilation, groups, layout, needs
    )


def conv_transpose3d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Transposed convolution of x (N, C, D, H, W) with weight (C, K / groups, *kernel): what conv3d_grad_input does
    to a gradient, plus bias.

    Output size on each axis: (in - 1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1."""
    return _convolve.transpose(3, x, weight, bias, stride, padding, output_padding, dilation, groups, layout, out)


def conv_transpose3d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "NCHW",
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """(dx, dweight, dbias) of conv_transpose3d for the gradient dy of its result; None for those `needs` leaves out."""
    return _convolve.transpose_backward(
        3, dy, x, weight, stride, padding, output_padding, dilation, groups, layout, needs
    )
