"""DenseNet: Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2017.
It must be made of layers alone, with torchvision's names."""

import re
from collections.abc import Mapping
from typing import Unpack

import numpy as np

from ..layers import (
    AvgPool2d,
    BatchNorm2d,
    Cat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from .weights import Start, finished


def densenet121(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 8.0 million weights, 5.7 GFLOPs at 224x224."""
    return finished(lambda: _densenet(32, (6, 12, 24, 16), 64, num_classes), _renamed, **start)


def densenet161(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 28.7 million weights, 15.5 GFLOPs at 224x224."""
    return finished(lambda: _densenet(48, (6, 12, 36, 24), 96, num_classes), _renamed, **start)


def densenet169(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 14.1 million weights, 6.7 GFLOPs at 224x224."""
    return finished(lambda: _densenet(32, (6, 12, 32, 32), 64, num_classes), _renamed, **start)


def densenet201(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 20.0 million weights, 8.6 GFLOPs at 224x224."""
    return finished(lambda: _densenet(32, (6, 12, 48, 32), 64, num_classes), _renamed, **start)


def _densenet(growth: int, depths: tuple[int, ...], channels: int, num_classes: int) -> Sequential:
    """Table 1 of the paper, DenseNet-BC with a compression of one half."""
    features: dict[str, Layer] = {
        "conv0": Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
        "norm0": BatchNorm2d(channels),
        "relu0": ReLU(),
        "pool0": MaxPool2d(3, 2, padding=1),
    }
    for number, depth in enumerate(depths, 1):
        block = {f"denselayer{place + 1}": _dense_layer(channels + place * growth, growth) for place in range(depth)}
        features[f"denseblock{number}"] = Sequential(block)
        channels += depth * growth
        if number < len(depths):
            features[f"transition{number}"] = _transition(channels)
            channels //= 2
    features["norm5"] = BatchNorm2d(channels)
    return Sequential(
        {
            "features": Sequential(features),
            "relu": ReLU(),
            "avgpool": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "classifier": Linear(channels, num_classes),
        }
    )


def _dense_layer(channels: int, growth: int) -> Graph:
    """x and behind it `growth` new channels, made by way of a bottleneck of 4 times as many."""
    return Graph(
        [
            ("norm1", BatchNorm2d(channels), "x"),
            ("relu1", ReLU(), "norm1"),
            ("conv1", Conv2d(channels, 4 * growth, 1, bias=False), "relu1"),
            ("norm2", BatchNorm2d(4 * growth), "conv1"),
            ("relu2", ReLU(), "norm2"),
            ("conv2", Conv2d(4 * growth, growth, 3, padding=1, bias=False), "relu2"),
            ("cat", Cat(), ("x", "conv2")),
        ]
    )


def _transition(channels: int) -> Sequential:
    return Sequential(
        {
            "norm": BatchNorm2d(channels),
            "relu": ReLU(),
            "conv": Conv2d(channels, channels // 2, 1, bias=False),
            "pool": AvgPool2d(2),
        }
    )


def _renamed(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The published files have names of an older PyTorch: denselayer1.norm.1 is denselayer1.norm1."""
    return {re.sub(r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name): x for name, x in state.items()}
