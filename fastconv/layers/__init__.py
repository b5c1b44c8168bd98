"""Layers, as PyTorch's, on NumPy arrays: `y, back = layer.forward(x)`, `dx = back(dy)`, and `layer(x)`.
Nothing here reaches a kernel but through fastconv.functional."""

from .activation import Identity, LeakyReLU, LogSoftmax, ReLU, ReLU6, Sigmoid, SiLU, Softmax, Tanh
from .base import Layer
from .containers import Concat, Residual, Sequential
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .curves import ELU, Hardsigmoid, Hardswish, Hardtanh, PReLU, Softplus, Threshold
from .dropout import Dropout
from .graph import Graph, Node
from .join import Add, Cat, Constant, Div, Join, MatMul, Mul, Sub
from .linear import Linear
from .lp_pool import LpPool
from .norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, LocalResponseNorm
from .parameter import Parameter
from .pool import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool2d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .reduce import Amax, Mean, Sum
from .resize import Resize
from .shape import Flatten, Pad, Permute, Reshape, Slice, Upsample
from .smooth_curves import CELU, GELU, SELU, Erf, Mish, Softsign
from .summary import summarize
from .yolo import YoloHead

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "Add",
    "Amax",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Cat",
    "Concat",
    "Constant",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Div",
    "Dropout",
    "Erf",
    "Flatten",
    "GlobalAvgPool2d",
    "Graph",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "Join",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "LpPool",
    "MatMul",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Mean",
    "Mish",
    "Mul",
    "Node",
    "PReLU",
    "Pad",
    "Parameter",
    "Permute",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "Resize",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sub",
    "Sum",
    "Tanh",
    "Threshold",
    "Upsample",
    "YoloHead",
    "summarize",
]
