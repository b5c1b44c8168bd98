"""Darknet-53: Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, the classifier of section 2.4.
It must be made of layers alone, with timm's names."""

from typing import Unpack

from ..layers import Add, BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Graph, Layer, LeakyReLU, Linear, Sequential
from .weights import Start, finished

# Table 1 of the paper: (channels, residual blocks) of each stage, which begins with a convolution of stride 2.
TABLE = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))


def darknet53(num_classes: int = 1000, *, negative_slope: float = 0.1, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 41.6 million weights, 14.2 GFLOPs at 224x224.

    `negative_slope` of its LeakyReLU is 0.1 in Darknet, 0.01 in the weights that timm trained.
    """
    return finished(lambda: _darknet53(num_classes, negative_slope), **start)


def _darknet53(num_classes: int, slope: float) -> Sequential:
    stages = []
    channels = 32
    for width, depth in TABLE:
        blocks = Sequential(*(_residual(width, slope) for _ in range(depth)))
        stages.append(Sequential({"conv_down": _convolution(channels, width, 3, slope, stride=2), "blocks": blocks}))
        channels = width
    return Sequential(
        {
            "stem": Sequential({"conv1": _convolution(3, 32, 3, slope)}),
            "stages": Sequential(*stages),
            "head": Sequential(
                {"global_pool": GlobalAvgPool2d(), "flatten": Flatten(), "fc": Linear(channels, num_classes)}
            ),
        }
    )


def _convolution(channels: int, width: int, kernel_size: int, slope: float, stride: int = 1) -> Sequential:
    layers: dict[str, Layer] = {
        "conv": Conv2d(channels, width, kernel_size, stride, kernel_size // 2, bias=False),
        "bn": BatchNorm2d(width),
        "act": LeakyReLU(slope),
    }
    return Sequential(layers)


def _residual(channels: int, slope: float) -> Graph:
    return Graph(
        [
            ("conv1", _convolution(channels, channels // 2, 1, slope), "x"),
            ("conv2", _convolution(channels // 2, channels, 3, slope), "conv1"),
            ("sum", Add(), ("conv2", "x")),
        ]
    )
