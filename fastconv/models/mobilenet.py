"""MobileNetV2: Sandler, Howard, Zhu, Zhmoginov and Chen, "Inverted Residuals and Linear Bottlenecks", 2018.
It must be made of layers alone, with torchvision's names."""

from typing import Unpack

from ..layers import (
    Add,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    Layer,
    Linear,
    ReLU6,
    Sequential,
)
from .weights import Start, finished

# Table 2 of the paper: (expansion t, channels c, repetitions n, stride s of the first).
TABLE = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 3.5 million weights, 0.6 GFLOPs at 224x224."""
    return finished(lambda: _mobilenet_v2(num_classes), **start)


def _mobilenet_v2(num_classes: int) -> Sequential:
    features: list[Layer] = [_convolution(3, 32, 3, stride=2)]
    channels = 32
    for expansion, width, repetitions, first_stride in TABLE:
        for position in range(repetitions):
            features.append(_inverted_residual(channels, width, expansion, first_stride if position == 0 else 1))
            channels = width
    features.append(_convolution(channels, 1280, 1))
    return Sequential(
        {
            "features": Sequential(*features),
            "avgpool": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "classifier": Sequential(Dropout(0.2), Linear(1280, num_classes)),
        }
    )


def _convolution(channels: int, width: int, kernel_size: int, stride: int = 1, groups: int = 1) -> Sequential:
    padding = kernel_size // 2
    convolution = Conv2d(channels, width, kernel_size, stride, padding, groups=groups, bias=False)
    return Sequential(convolution, BatchNorm2d(width), ReLU6())


def _inverted_residual(channels: int, width: int, expansion: int, stride: int) -> Graph:
    """Table 1 of the paper: expand by a 1x1 convolution, filter each channel by a 3x3 one, project without ReLU;
    plus x where the shapes are equal."""
    hidden = channels * expansion
    layers: list[Layer] = [_convolution(channels, hidden, 1)] if expansion > 1 else []
    layers += [
        _convolution(hidden, hidden, 3, stride, groups=hidden),
        Conv2d(hidden, width, 1, bias=False),
        BatchNorm2d(width),
    ]
    nodes = [("conv", Sequential(*layers), "x")]
    return Graph([*nodes, ("sum", Add(), ("conv", "x"))] if (channels, stride) == (width, 1) else nodes)
