"""Inception v1 (Szegedy et al. 2014, "Going deeper with convolutions", table 1) without its auxiliary classifiers.
It must hold the network alone."""

from typing import Any

import numpy as np

from fastconv import layers as L

# Filters of the branches: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; behind pooling. "M" is a 3x3/2 max pooling.
_BLOCKS = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    "M",
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    "M",
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def inception_v1(num_classes: int = 1000, *, seed: int = 0) -> L.Sequential:
    """x (N, 3, 224, 224) -> scores (N, num_classes)."""
    generator = np.random.default_rng(seed)

    def conv(C: int, K: int, R: int, stride: int = 1) -> list[L.Layer]:
        return [L.Conv2d(C, K, R, stride=stride, padding=R // 2, generator=generator), L.ReLU()]

    def pool(stride: int) -> L.MaxPool2d:
        return L.MaxPool2d(3, stride, padding=1 if stride == 1 else 0, ceil_mode=stride == 2)

    stack: list[Any] = [*conv(3, 64, 7, 2), pool(2), L.LocalResponseNorm(5), *conv(64, 64, 1), *conv(64, 192, 3)]
    stack += [L.LocalResponseNorm(5), pool(2)]
    C = 192
    for block in _BLOCKS:
        if block == "M":
            stack.append(pool(2))
            continue
        one, three_in, three, five_in, five, pooled = block
        branches = (
            L.Sequential(*conv(C, one, 1)),
            L.Sequential(*conv(C, three_in, 1), *conv(three_in, three, 3)),
            L.Sequential(*conv(C, five_in, 1), *conv(five_in, five, 5)),
            L.Sequential(pool(1), *conv(C, pooled, 1)),
        )
        stack.append(L.Concat(branches))
        C = one + three + five + pooled
    return L.Sequential(*stack, L.GlobalAvgPool2d(), L.Flatten(), L.Linear(C, num_classes, generator=generator))
