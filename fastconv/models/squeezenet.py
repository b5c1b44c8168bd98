"""SqueezeNet 1.1: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016, in the
authors' later version. It must be made of layers alone, with torchvision's names."""

from typing import Unpack

from ..layers import Cat, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Graph, MaxPool2d, ReLU, Sequential
from .weights import Start, finished


def squeezenet1_1(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 17x17 -> (N, num_classes); 1.2 million weights, 0.7 GFLOPs at 224x224."""
    return finished(lambda: _squeezenet(num_classes), **start)


def _squeezenet(num_classes: int) -> Sequential:
    features = Sequential(
        Conv2d(3, 64, 3, stride=2),
        ReLU(),
        MaxPool2d(3, 2, ceil_mode=True),
        _fire(64, 16, 64),
        _fire(128, 16, 64),
        MaxPool2d(3, 2, ceil_mode=True),
        _fire(128, 32, 128),
        _fire(256, 32, 128),
        MaxPool2d(3, 2, ceil_mode=True),
        _fire(256, 48, 192),
        _fire(384, 48, 192),
        _fire(384, 64, 256),
        _fire(512, 64, 256),
    )
    classifier = Sequential(Dropout(), Conv2d(512, num_classes, 1), ReLU(), GlobalAvgPool2d())
    return Sequential({"features": features, "classifier": classifier, "flatten": Flatten()})


def _fire(channels: int, squeezed: int, expanded: int) -> Graph:
    """Figure 1 of the paper: half of the result is from 1x1 filters, half from 3x3."""
    return Graph(
        [
            ("squeeze", Conv2d(channels, squeezed, 1), "x"),
            ("squeeze_relu", ReLU(), "squeeze"),
            ("expand1x1", Conv2d(squeezed, expanded, 1), "squeeze_relu"),
            ("expand1x1_relu", ReLU(), "expand1x1"),
            ("expand3x3", Conv2d(squeezed, expanded, 3, padding=1), "squeeze_relu"),
            ("expand3x3_relu", ReLU(), "expand3x3"),
            ("cat", Cat(), ("expand1x1_relu", "expand3x3_relu")),
        ]
    )
