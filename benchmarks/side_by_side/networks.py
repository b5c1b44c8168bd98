"""The three networks of the training cases, written once: `nn` is torch.nn or fastconv.layers, whose names agree.
A worker adds `Residual(body, shortcut)` to its `nn` where the library has none."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def mnist_cnn(nn: Any) -> Any:
    """conv32 - pool - conv64 - pool - fc128 - fc10, 28 x 28 pictures."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def vgg_cifar(nn: Any) -> Any:
    """Five pairs of 3x3 convolutions with batch norm, 64 to 512 channels, halved by max pooling; 32 x 32 pictures."""
    layers, C = [], 3
    for K in (64, 128, 256, 512, 512):
        for _ in range(2):
            layers += [nn.Conv2d(C, K, 3, padding=1, bias=False), nn.BatchNorm2d(K), nn.ReLU()]
            C = K
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def resnet18_cifar(nn: Any) -> Any:
    """ResNet-18 with a 3x3 stem and no pooling before the blocks; 32 x 32 pictures."""
    layers, C = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for K, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first_stride, 1):
            body = nn.Sequential(
                nn.Conv2d(C, K, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(K),
                nn.ReLU(),
                nn.Conv2d(K, K, 3, padding=1, bias=False),
                nn.BatchNorm2d(K),
            )
            shortcut = None
            if stride != 1 or C != K:
                shortcut = nn.Sequential(nn.Conv2d(C, K, 1, stride=stride, bias=False), nn.BatchNorm2d(K))
            layers += [nn.Residual(body, shortcut), nn.ReLU()]
            C = K
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


MODELS: dict[str, Callable[[Any], Any]] = {
    "mnist_cnn": mnist_cnn,
    "vgg_cifar": vgg_cifar,
    "resnet18_cifar": resnet18_cifar,
}

LEARNING_RATE, MOMENTUM = 0.01, 0.9


def initial_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The same weights for every library, by the names they share: He's, biases 0. Vectors of batch norm are left out:
    all start them at 1 and 0."""
    generator, state = np.random.default_rng(0), {}
    for name in sorted(shapes):
        shape = shapes[name]
        if len(shape) > 1:
            deviation = np.float32(np.sqrt(2 / np.prod(shape[1:])))
            state[name] = generator.standard_normal(shape, np.float32) * deviation
            bias = name.removesuffix("weight") + "bias"
            if bias in shapes:
                state[bias] = np.zeros(shapes[bias], np.float32)
    return state
