"""YOLOv3: Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, and its small sister YOLOv3-tiny.
They must be made of layers alone, numbered and named as those of Darknet's .cfg files are."""

from collections.abc import Callable
from typing import Unpack

from ..data.labels import load_labels
from ..data.preprocess import Preprocess
from ..formats.darknet_layers import EPS, MOMENTUM, SLOPE
from ..layers import (
    Add,
    BatchNorm2d,
    Cat,
    Conv2d,
    Graph,
    Identity,
    Layer,
    LeakyReLU,
    MaxPool2d,
    Sequential,
    Upsample,
    YoloHead,
)
from .darknet import TABLE
from .weights import Start, finished

# (width, height) in pixels of the input, by k-means over COCO (section 2.3); the smallest belong to the finest head.
ANCHORS = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
TINY_ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
_IGNORE = 0.7


def yolov3(num_classes: int = 80, **start: Unpack[Start]) -> Graph:
    """(N, 3, H, W) of multiples of 32 -> heads of H/32, H/16 and H/8; 61.9 million weights, 65.9 GFLOPs at 416x416.

    Each head is (N, 3 * (5 + num_classes), P, Q), which fastconv.detection decodes. `weights` may be a .weights file of
    Darknet's, such as yolov3.weights.
    """
    return _finished(_yolov3, num_classes, start)


def yolov3_tiny(num_classes: int = 80, **start: Unpack[Start]) -> Graph:
    """(N, 3, H, W) of multiples of 32 -> heads of H/32 and H/16; 8.9 million weights, 5.6 GFLOPs at 416x416."""
    return _finished(_tiny, num_classes, start)


class _Sections:
    """The nodes so far, each named by its number; every method adds one and returns its name."""

    def __init__(self, num_classes: int) -> None:
        self.nodes: list[tuple[str, Layer, str | tuple[str, ...]]] = []
        self.channels = {"x": 3}
        self.num_classes = num_classes
        self.heads: list[str] = []

    def add(self, layer: Layer, reads: str | tuple[str, ...], channels: int) -> str:
        name = str(len(self.nodes))
        self.nodes.append((name, layer, reads))
        self.channels[name] = channels
        return name

    def conv(self, x: str, width: int, kernel_size: int, stride: int = 1) -> str:
        """Convolution, batch norm, leaky ReLU."""
        layers: dict[str, Layer] = {
            "conv": Conv2d(self.channels[x], width, kernel_size, stride, kernel_size // 2, bias=False),
            "norm": BatchNorm2d(width, EPS, MOMENTUM),
            "activation": LeakyReLU(SLOPE),
        }
        return self.add(Sequential(layers), x, width)

    def head(self, x: str, anchors: tuple[tuple[int, int], ...], mask: tuple[int, ...]) -> None:
        """A 1x1 convolution to what the boxes of `mask` are described by."""
        head = YoloHead(anchors, self.num_classes, mask, _IGNORE)
        conv = Sequential({"conv": Conv2d(self.channels[x], head.channels, 1)})
        x = self.add(conv, x, head.channels)
        self.heads.append(self.add(head, x, head.channels))

    def finer(self, x: str, width: int, other: str) -> str:
        """`x` through a 1x1 convolution to twice the size, with the features of `other` behind it (section 2.3)."""
        x = self.conv(self.add(Identity(), x, self.channels[x]), width, 1)
        x = self.add(Upsample(scale_factor=2), x, width)
        return self.add(Cat(), (x, other), width + self.channels[other])

    def graph(self) -> Graph:
        return Graph(self.nodes, outputs=self.heads)


def _yolov3(net: _Sections) -> None:
    """Darknet-53 (table 1) without its classifier, and three heads on its last three stages."""
    x = net.conv("x", 32, 3)
    stages = []
    for width, depth in TABLE:
        x = net.conv(x, width, 3, stride=2)
        for _ in range(depth):
            y = net.conv(net.conv(x, width // 2, 1), width, 3)
            x = net.add(Add(), (y, x), width)
        stages.append(x)
    for width, mask, other in ((512, (6, 7, 8), stages[3]), (256, (3, 4, 5), stages[2]), (128, (0, 1, 2), None)):
        for _ in range(2):
            x = net.conv(net.conv(x, width, 1), 2 * width, 3)
        x = net.conv(x, width, 1)
        net.head(net.conv(x, 2 * width, 3), ANCHORS, mask)
        if other is not None:
            x = net.finer(x, width // 2, other)


def _tiny(net: _Sections) -> None:
    """Six convolutions, each but the last before pooling, and two heads. The last pooling keeps the size."""
    x, sizes = "x", []
    for width in (16, 32, 64, 128, 256, 512):
        sizes.append(net.conv(x, width, 3))
        x = net.add(MaxPool2d(2, 1 if width == 512 else 2, ((0, 1), (0, 1))), sizes[-1], width)
    x = net.conv(net.conv(x, 1024, 3), 256, 1)
    net.head(net.conv(x, 512, 3), TINY_ANCHORS, (3, 4, 5))
    x = net.finer(x, 128, sizes[4])
    net.head(net.conv(x, 256, 3), TINY_ANCHORS, (0, 1, 2))


def _finished(build: Callable[[_Sections], None], num_classes: int, start: Start) -> Graph:
    def graph() -> Graph:
        net = _Sections(num_classes)
        build(net)
        return net.graph()

    model = finished(graph, **start)
    model.preprocess = Preprocess((416, 416), "letterbox", antialias=False)
    model.labels = load_labels("coco") if num_classes == 80 else ()
    return model
