"""VGG: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015, and
its variant for 32x32 pictures. It must be made of layers alone, with torchvision's names."""

from collections.abc import Mapping
from typing import Unpack

import numpy as np

from ..layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from .weights import Start, finished

# The columns of the paper's table 1: 3x3 convolutions of so many channels, "M" is 2x2 max pooling.
A = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
B = (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
D = (64, 64, "M", 128, 128, "M", *3 * (256,), "M", *3 * (512,), "M", *3 * (512,), "M")
E = (64, 64, "M", 128, 128, "M", *4 * (256,), "M", *4 * (512,), "M", *4 * (512,), "M")


def vgg11(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """Column A: (N, 3, H, W) of at least 32x32 -> (N, num_classes); 132.9 million weights."""
    return finished(lambda: _vgg(A, num_classes), _renamed, **start)


def vgg13(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """Column B: (N, 3, H, W) of at least 32x32 -> (N, num_classes); 133.0 million weights."""
    return finished(lambda: _vgg(B, num_classes), _renamed, **start)


def vgg16(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """Column D: (N, 3, H, W) of at least 32x32 -> (N, num_classes); 138.4 million weights."""
    return finished(lambda: _vgg(D, num_classes), _renamed, **start)


def vgg19(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """Column E: (N, 3, H, W) of at least 32x32 -> (N, num_classes); 143.7 million weights."""
    return finished(lambda: _vgg(E, num_classes), _renamed, **start)


def vgg11_bn(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """vgg11 with batch norm after each convolution."""
    return finished(lambda: _vgg(A, num_classes, norm=True), _renamed, **start)


def vgg13_bn(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """vgg13 with batch norm after each convolution."""
    return finished(lambda: _vgg(B, num_classes, norm=True), _renamed, **start)


def vgg16_bn(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """vgg16 with batch norm after each convolution."""
    return finished(lambda: _vgg(D, num_classes, norm=True), _renamed, **start)


def vgg19_bn(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """vgg19 with batch norm after each convolution."""
    return finished(lambda: _vgg(E, num_classes, norm=True), _renamed, **start)


def cifar_vgg11(num_classes: int = 10, **start: Unpack[Start]) -> Sequential:
    """vgg11_bn for pictures (N, 3, 32, 32), with one fully connected layer: 9.2 million weights."""
    return finished(lambda: _cifar(A, num_classes), **start)


def cifar_vgg16(num_classes: int = 10, **start: Unpack[Start]) -> Sequential:
    """vgg16_bn for pictures (N, 3, 32, 32), with one fully connected layer: 14.7 million weights."""
    return finished(lambda: _cifar(D, num_classes), **start)


def _vgg(table: tuple[int | str, ...], num_classes: int, norm: bool = False) -> Sequential:
    classifier = Sequential(
        Linear(512 * 7 * 7, 4096),
        ReLU(),
        Dropout(),
        Linear(4096, 4096),
        ReLU(),
        Dropout(),
        Linear(4096, num_classes),
    )
    return Sequential(
        {
            "features": _features(table, norm),
            "avgpool": AdaptiveAvgPool2d(7),
            "flatten": Flatten(),
            "classifier": classifier,
        }
    )


def _cifar(table: tuple[int | str, ...], num_classes: int) -> Sequential:
    return Sequential(
        {"features": _features(table, norm=True), "flatten": Flatten(), "classifier": Linear(512, num_classes)}
    )


def _features(table: tuple[int | str, ...], norm: bool) -> Sequential:
    layers, channels = [], 3
    for entry in table:
        if entry == "M":
            layers.append(MaxPool2d(2))
            continue
        layers.append(Conv2d(channels, entry, 3, padding=1))
        layers += [BatchNorm2d(entry), ReLU()] if norm else [ReLU()]
        channels = entry
    return Sequential(*layers)


def _renamed(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """timm keeps the fully connected layers as convolutions, under names of their own."""
    layers = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3", "head.fc": "classifier.6"}
    renamed = {}
    for name, value in state.items():
        layer, _, entry = name.rpartition(".")
        if layer in layers:
            name = f"{layers[layer]}.{entry}"
            value = value.reshape(len(value), -1) if value.ndim == 4 else value
        renamed[name] = value
    return renamed
