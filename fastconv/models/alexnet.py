"""AlexNet as it is trained on one GPU: Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", 2014. It must be made of layers alone, with torchvision's names."""

from typing import Unpack

from ..layers import AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from .weights import Start, finished


def alexnet(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 63x63 -> (N, num_classes): 61.1 million weights, 1.4 GFLOPs at 224x224."""
    return finished(lambda: _alexnet(num_classes), **start)


def _alexnet(num_classes: int) -> Sequential:
    features = Sequential(
        Conv2d(3, 64, 11, stride=4, padding=2),
        ReLU(),
        MaxPool2d(3, 2),
        Conv2d(64, 192, 5, padding=2),
        ReLU(),
        MaxPool2d(3, 2),
        Conv2d(192, 384, 3, padding=1),
        ReLU(),
        Conv2d(384, 256, 3, padding=1),
        ReLU(),
        Conv2d(256, 256, 3, padding=1),
        ReLU(),
        MaxPool2d(3, 2),
    )
    classifier = Sequential(
        Dropout(),
        Linear(256 * 6 * 6, 4096),
        ReLU(),
        Dropout(),
        Linear(4096, 4096),
        ReLU(),
        Linear(4096, num_classes),
    )
    return Sequential(
        {"features": features, "avgpool": AdaptiveAvgPool2d(6), "flatten": Flatten(), "classifier": classifier}
    )
