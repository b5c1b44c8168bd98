"""Residual networks: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015, those of
section 4.2 for 32x32 pictures too. They must be made of layers alone, with torchvision's names."""

from collections.abc import Callable
from typing import Unpack

from ..layers import (
    AdaptiveAvgPool2d,
    Add,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    Pad,
    ReLU,
    Sequential,
    Slice,
)
from .weights import Start, finished

# A block of a residual network by its channels before, its width and its stride.
Block = Callable[[int, int, int], Graph]


def resnet18(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 11.7 million weights, 3.6 GFLOPs at 224x224."""
    return finished(lambda: _imagenet(_basic, (2, 2, 2, 2), 512, num_classes), **start)


def resnet34(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 21.8 million weights, 7.3 GFLOPs at 224x224."""
    return finished(lambda: _imagenet(_basic, (3, 4, 6, 3), 512, num_classes), **start)


def resnet50(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 25.6 million weights, 8.2 GFLOPs at 224x224."""
    return finished(lambda: _imagenet(_bottleneck, (3, 4, 6, 3), 2048, num_classes), **start)


def resnet101(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 44.5 million weights, 15.6 GFLOPs at 224x224."""
    return finished(lambda: _imagenet(_bottleneck, (3, 4, 23, 3), 2048, num_classes), **start)


def resnet152(num_classes: int = 1000, **start: Unpack[Start]) -> Sequential:
    """(N, 3, H, W) of at least 32x32 -> (N, num_classes); 60.2 million weights, 23.0 GFLOPs at 224x224."""
    return finished(lambda: _imagenet(_bottleneck, (3, 8, 36, 3), 2048, num_classes), **start)


def cifar_resnet18(num_classes: int = 10, **start: Unpack[Start]) -> Sequential:
    """resnet18 for pictures (N, 3, 32, 32): a stem of one 3x3 convolution; 11.2 million weights, 1.1 GFLOPs."""

    def build() -> Sequential:
        stages = _stages(_basic, 64, (64, 128, 256, 512), (2, 2, 2, 2))
        return Sequential(_stem(64) | stages | _head(512, num_classes))

    return finished(build, **start)


def cifar_resnet20(num_classes: int = 10, **start: Unpack[Start]) -> Sequential:
    """Section 4.2 with n = 3, for pictures (N, 3, 32, 32): 0.27 million weights, 82 MFLOPs."""
    return finished(lambda: _cifar(3, num_classes), **start)


def cifar_resnet56(num_classes: int = 10, **start: Unpack[Start]) -> Sequential:
    """Section 4.2 with n = 9, for pictures (N, 3, 32, 32): 0.85 million weights, 251 MFLOPs."""
    return finished(lambda: _cifar(9, num_classes), **start)


def cifar_resnet110(num_classes: int = 10, **start: Unpack[Start]) -> Sequential:
    """Section 4.2 with n = 18, for pictures (N, 3, 32, 32): 1.7 million weights, 506 MFLOPs."""
    return finished(lambda: _cifar(18, num_classes), **start)


def _imagenet(block: Block, depths: tuple[int, ...], features: int, num_classes: int) -> Sequential:
    """Table 1 of the paper."""
    stem = {
        "conv1": Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        "bn1": BatchNorm2d(64),
        "relu": ReLU(),
        "maxpool": MaxPool2d(3, 2, padding=1),
    }
    return Sequential(stem | _stages(block, 64, (64, 128, 256, 512), depths) | _head(features, num_classes))


def _cifar(n: int, num_classes: int) -> Sequential:
    """6 n + 2 layers with weights; shortcuts have none."""
    return Sequential(_stem(16) | _stages(_plain, 16, (16, 32, 64), (n, n, n)) | _head(64, num_classes))


def _stem(width: int) -> dict[str, Layer]:
    return {"conv1": Conv2d(3, width, 3, padding=1, bias=False), "bn1": BatchNorm2d(width), "relu": ReLU()}


def _stages(block: Block, channels: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> dict[str, Layer]:
    """Blocks of equal width; the first of each stage but the first halves the picture."""
    stages: dict[str, Layer] = {}
    for number, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        blocks = []
        for position in range(depth):
            blocks.append(block(channels, width, 2 if number > 1 and position == 0 else 1))
            channels = 4 * width if block is _bottleneck else width
        stages[f"layer{number}"] = Sequential(*blocks)
    return stages


def _head(features: int, num_classes: int) -> dict[str, Layer]:
    return {"avgpool": AdaptiveAvgPool2d(1), "flatten": Flatten(), "fc": Linear(features, num_classes)}


def _basic(channels: int, width: int, stride: int) -> Graph:
    """Figure 5, left."""
    return _joined(_two_convolutions(channels, width, stride), channels, width, stride)


def _bottleneck(channels: int, width: int, stride: int) -> Graph:
    """Figure 5, right; the 3x3 convolution strides, as in torchvision, not the first."""
    nodes = [
        ("conv1", Conv2d(channels, width, 1, bias=False), "x"),
        ("bn1", BatchNorm2d(width), "conv1"),
        ("relu1", ReLU(), "bn1"),
        ("conv2", Conv2d(width, width, 3, stride, padding=1, bias=False), "relu1"),
        ("bn2", BatchNorm2d(width), "conv2"),
        ("relu2", ReLU(), "bn2"),
        ("conv3", Conv2d(width, 4 * width, 1, bias=False), "relu2"),
        ("bn3", BatchNorm2d(4 * width), "conv3"),
    ]
    return _joined(nodes, channels, 4 * width, stride)


def _plain(channels: int, width: int, stride: int) -> Graph:
    """The block of section 4.2: where it halves the picture, its shortcut drops every other pixel and has zeros
    as new channels ("option A")."""
    nodes = _two_convolutions(channels, width, stride)
    shortcut = "x"
    if stride == 2:
        more = width - channels
        halved = Sequential(
            Slice(step=2, dim=2), Slice(step=2, dim=3), Pad(((more // 2, more - more // 2), (0, 0), (0, 0)))
        )
        nodes.append(("shortcut", halved, "x"))
        shortcut = "shortcut"
    return Graph([*nodes, ("sum", Add(), ("bn2", shortcut)), ("relu", ReLU(), "sum")])


def _two_convolutions(channels: int, width: int, stride: int) -> list[tuple[str, Layer, str]]:
    return [
        ("conv1", Conv2d(channels, width, 3, stride, padding=1, bias=False), "x"),
        ("bn1", BatchNorm2d(width), "conv1"),
        ("relu1", ReLU(), "bn1"),
        ("conv2", Conv2d(width, width, 3, padding=1, bias=False), "relu1"),
        ("bn2", BatchNorm2d(width), "conv2"),
    ]


def _joined(nodes: list[tuple[str, Layer, str]], channels: int, width: int, stride: int) -> Graph:
    """The last node plus x, which a 1x1 convolution brings to the same shape where that differs."""
    body, shortcut = nodes[-1][0], "x"
    if (channels, stride) != (width, 1):
        projection = Sequential(Conv2d(channels, width, 1, stride, bias=False), BatchNorm2d(width))
        nodes.append(("downsample", projection, "x"))
        shortcut = "downsample"
    return Graph([*nodes, ("sum", Add(), (body, shortcut)), ("relu", ReLU(), "sum")])
