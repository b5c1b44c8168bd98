"""The functional API: NumPy arrays in, NumPy arrays out, no state. Each function has a plain NumPy twin in
fastconv.reference."""

from fastconv.functional.conv import (
    conv1d,
    conv1d_backward,
    conv1d_grad_input,
    conv1d_grad_weight,
    conv2d,
    conv2d_backward,
    conv2d_grad_input,
    conv2d_grad_weight,
    conv3d,
    conv3d_backward,
    conv3d_grad_input,
    conv3d_grad_weight,
)
from fastconv.functional.conv_transpose import (
    conv_transpose1d,
    conv_transpose1d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose3d,
    conv_transpose3d_backward,
)
from fastconv.functional.linear import linear, linear_backward
from fastconv.functional.packing import PackedWeight, pack

__all__ = [
    "PackedWeight",
    "conv1d",
    "conv1d_backward",
    "conv1d_grad_input",
    "conv1d_grad_weight",
    "conv2d",
    "conv2d_backward",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "conv3d",
    "conv3d_backward",
    "conv3d_grad_input",
    "conv3d_grad_weight",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "linear",
    "linear_backward",
    "pack",
]
