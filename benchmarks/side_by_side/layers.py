"""The convolutions of VGG-16, ResNet-50, DenseNet-121, YOLOv3 and MobileNet-V2, in the order in which a picture meets
them, written as the papers' tables are. It holds shapes alone: batches and operations are chosen in cases.py."""

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Layer(NamedTuple):
    """C channels of H x H pixels to K, kernel R x R, padded by R // 2 as all of these networks do."""

    C: int
    H: int
    K: int
    R: int
    stride: int = 1
    groups: int = 1

    @property
    def P(self) -> int:
        """Height of the output."""
        return (self.H + 2 * (self.R // 2) - self.R) // self.stride + 1

    @property
    def flops(self) -> int:
        """Operations of the direct method for one picture."""
        return 2 * self.K * self.P**2 * (self.C // self.groups) * self.R**2


def vgg16() -> Iterator[Layer]:
    """Simonyan and Zisserman 2014, configuration D, 224 x 224."""
    C, H = 3, 224
    for K, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            yield Layer(C, H, K, 3)
            C = K
        H //= 2


def resnet50() -> Iterator[Layer]:
    """He et al. 2015, 224 x 224, in the form of today's libraries (v1.5): the 3x3 of a block has its stride."""
    yield Layer(3, 224, 64, 7, 2)
    C, H = 64, 56
    for width, depth, first_stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(depth):
            stride = first_stride if block == 0 else 1
            yield Layer(C, H, width, 1)
            yield Layer(width, H, width, 3, stride)
            if block == 0:
                yield Layer(C, H, 4 * width, 1, stride)
            H //= stride
            yield Layer(width, H, 4 * width, 1)
            C = 4 * width


def densenet121() -> Iterator[Layer]:
    """Huang et al. 2016, growth 32, 224 x 224."""
    yield Layer(3, 224, 64, 7, 2)
    C, H = 64, 56
    for depth in (6, 12, 24, 16):
        for _ in range(depth):
            yield Layer(C, H, 128, 1)
            yield Layer(128, H, 32, 3)
            C += 32
        if H > 7:
            yield Layer(C, H, C // 2, 1)
            C, H = C // 2, H // 2


def yolov3() -> Iterator[Layer]:
    """Redmon and Farhadi 2018, 416 x 416: Darknet-53, then a head for each of three sizes."""
    H = 416
    yield Layer(3, H, 32, 3)
    for K, depth in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        yield Layer(K // 2, H, K, 3, 2)
        H //= 2
        for _ in range(depth):
            yield Layer(K, H, K // 2, 1)
            yield Layer(K // 2, H, K, 3)
    for C, K in ((1024, 512), (768, 256), (384, 128)):  # C: what comes from below, joined with Darknet's own
        if K < 512:
            yield Layer(2 * K, H, K, 1)  # on the way to the next size, before it is doubled
            H *= 2
        for _ in range(3):
            yield Layer(C, H, K, 1)
            yield Layer(K, H, 2 * K, 3)
            C = 2 * K
        yield Layer(C, H, 255, 1)


def mobilenet_v2() -> Iterator[Layer]:
    """Sandler et al. 2018, 224 x 224."""
    yield Layer(3, 224, 32, 3, 2)
    C, H = 32, 112
    for expand, K, depth, first_stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for block in range(depth):
            stride, wide = first_stride if block == 0 else 1, expand * C
            if expand > 1:
                yield Layer(C, H, wide, 1)
            yield Layer(wide, H, wide, 3, stride, wide)
            H //= stride
            yield Layer(wide, H, K, 1)
            C = K
    yield Layer(C, H, 1280, 1)


NETWORKS: dict[str, Callable[[], Iterator[Layer]]] = {
    "vgg": vgg16,
    "resnet": resnet50,
    "yolo": yolov3,
    "mobilenet": mobilenet_v2,
    "densenet": densenet121,
}


def distinct(network: str) -> list[Layer]:
    """Its layers, each once."""
    return list(dict.fromkeys(NETWORKS[network]()))
