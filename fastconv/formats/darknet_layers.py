"""The sections of a Darknet .cfg as layers: one node a section, named by its number, as routes speak of it.
It must never make a layer before its sizes are checked."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..layers import (
    Add,
    BatchNorm1d,
    BatchNorm2d,
    Cat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Pad,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Slice,
    Softmax,
    Upsample,
    YoloHead,
)
from .darknet_cfg import Section

# As OpenCV. Darknet itself adds 1e-6 to the root of the variance on a CPU, and 1e-5 to the variance on a GPU: on
# YOLOv3-tiny all heads agree to 1e-4 of their largest value.
EPS = 1e-6
# Of the running statistics, per batch.
MOMENTUM = 0.01
SLOPE = 0.1
MAX_CHANNELS = 1 << 16

_ACTIVATIONS: dict[str, Callable[[], Layer] | None] = {
    "linear": None,
    "leaky": lambda: LeakyReLU(SLOPE),
    "relu": ReLU,
    "logistic": Sigmoid,
}

# (C, H, W), of vectors (C,).
Shape = tuple[int, ...]
Names = str | tuple[str, ...]


@dataclass
class Wiring:
    """The nodes so far, of each section the shape that it gives, and which sections are heads."""

    shape: Shape
    generator: np.random.Generator | None = None
    nodes: list[tuple[str, Layer, Names]] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    @property
    def last(self) -> str:
        """The name of the last result."""
        return str(len(self.shapes) - 1) if self.shapes else "x"

    def add(self, layer: Layer, shape: Shape, reads: Names | None = None) -> None:
        """The node of the next section, which reads the last result if nothing else is given."""
        self.nodes.append((str(len(self.shapes)), layer, self.last if reads is None else reads))
        self.shapes.append(shape)
        self.shape = shape

    def inner(self, what: str, layer: Layer, reads: Names) -> str:
        """A node that the next section needs beside its own; its name."""
        name = f"{len(self.shapes)}.{what}"
        self.nodes.append((name, layer, reads))
        return name

    def picture(self, section: Section) -> tuple[int, int, int]:
        """The last shape, which must be (C, H, W)."""
        if len(self.shape) != 3:
            raise section.refuse(f"a vector of {self.shape[0]} before it", "a picture")
        return self.shape


def _window(section: Section, wiring: Wiring, size: int, stride: int, padding: int) -> tuple[int, int]:
    """(P, Q) of windows over the last result with `padding` rows and columns in all."""
    _, height, width = wiring.picture(section)
    if size > min(height, width) + padding:
        raise section.refuse(f"a window of {size} on {height}x{width} with padding {padding}", "one that fits")
    return (height + padding - size) // stride + 1, (width + padding - size) // stride + 1


def _by(sizes: Shape) -> str:
    return "x".join(map(str, sizes))


def _activation(section: Section) -> Layer | None:
    make = _ACTIVATIONS[section.word("activation", "logistic", tuple(_ACTIVATIONS))]
    return None if make is None else make()


def _named(**layers: Layer | None) -> Sequential:
    return Sequential({name: layer for name, layer in layers.items() if layer is not None})


def _convolutional(section: Section, wiring: Wiring) -> None:
    filters = section.whole("filters", 1, 1, MAX_CHANNELS)
    size = section.whole("size", 1, 1, 255)
    stride = section.whole("stride", 1, 1, 255)
    groups = section.whole("groups", 1, 1, MAX_CHANNELS)
    padding = section.whole("padding", 0, 0, 255)
    if section.whole("pad", 0, 0, 1):
        padding = size // 2
    channels = wiring.shape[0]
    if channels % groups or filters % groups:
        raise section.refuse(f"groups={groups}", f"a divisor of {channels} and {filters} channels", "groups")
    shape = (filters, *_window(section, wiring, size, stride, 2 * padding))
    norm = BatchNorm2d(filters, EPS, MOMENTUM) if section.whole("batch_normalize", 0, 0, 1) else None
    conv = Conv2d(
        channels,
        filters,
        size,
        stride,
        padding,
        groups=groups,
        bias=norm is None,
        generator=wiring.generator,
    )
    wiring.add(_named(conv=conv, norm=norm, activation=_activation(section)), shape)


def _maxpool(section: Section, wiring: Wiring) -> None:
    """Windows of which `padding` rows and columns lie outside in all, the odd one below and on the right."""
    stride = section.whole("stride", 1, 1, 255)
    size = section.whole("size", stride, 1, 255)
    padding = section.whole("padding", size - 1, 0, size)
    pair = (padding // 2, padding - padding // 2)
    if max(pair) > size // 2:
        raise section.refuse(f"padding={padding}", f"at most {size // 2} on a side", "padding")
    P, Q = _window(section, wiring, size, stride, padding)
    wiring.add(MaxPool2d(size, stride, (pair, pair)), (wiring.shape[0], P, Q))


def _read(section: Section, wiring: Wiring, option: str, number: int) -> int:
    """The section that `number` means: counted from the start, or if it is negative back from this one."""
    here = len(wiring.shapes)
    place = number if number >= 0 else here + number
    if not 0 <= place < here:
        raise section.refuse(f"{option}={number}", f"a section before this one, which is number {here}", option)
    return place


def _route(section: Section, wiring: Wiring) -> None:
    numbers = section.wholes("layers", -10_000, 10_000)
    places = [_read(section, wiring, "layers", number) for number in numbers]
    groups = section.whole("groups", 1, 1, MAX_CHANNELS)
    group = section.whole("group_id", 0, 0, groups - 1)
    names, total, sides = [], 0, wiring.shapes[places[0]][1:]
    for at, place in enumerate(places):
        channels = wiring.shapes[place][0]
        if wiring.shapes[place][1:] != sides or channels % groups:
            found = f"{_by(wiring.shapes[place])} from section {place}"
            raise section.refuse(found, f"channels in {groups} equal parts, of size {_by(sides)}", "layers")
        part = channels // groups
        name = str(place)
        if groups > 1:
            name = wiring.inner(f"part{at}", Slice(group * part, (group + 1) * part), name)
        names.append(name)
        total += part
    if len(names) > 1:
        wiring.add(Cat(), (total, *sides), tuple(names))
    else:
        wiring.add(Identity(), (total, *sides), names[0])


def _shortcut(section: Section, wiring: Wiring) -> None:
    """The result before plus that of `from`, of which Darknet takes every stride-th pixel where it is larger, and
    the channels that both have."""
    place = _read(section, wiring, "from", section.whole("from", None, -10_000, 10_000))
    activation = _activation(section)
    C, H, W = shape = wiring.picture(section)
    other, (channels, *sides) = str(place), wiring.shapes[place]
    stride = min(sides, default=0) // min(H, W)
    if stride < 1 or [sides[0] // H, sides[1] // W] != [stride, stride]:
        raise section.refuse(f"{_by(wiring.shapes[place])} from section {place}", f"{H}x{W} or a multiple", "from")
    for what, dim, found, wanted in (("rows", 2, sides[0], H), ("columns", 3, sides[1], W)):
        if found != wanted:
            other = wiring.inner(what, Slice(0, (wanted - 1) * stride + 1, stride, dim), other)
    if channels > C:
        other = wiring.inner("channels", Slice(0, C), other)
    elif channels < C:
        other = wiring.inner("channels", Pad(((0, C - channels), (0, 0), (0, 0))), other)
    reads = (wiring.last, other)
    if activation is None:
        wiring.add(Add(), shape, reads)
    else:
        wiring.add(activation, shape, wiring.inner("sum", Add(), reads))


def _upsample(section: Section, wiring: Wiring) -> None:
    stride = section.whole("stride", 2, 1, 64)
    channels, height, width = wiring.picture(section)
    wiring.add(Upsample(scale_factor=stride), (channels, height * stride, width * stride))


def _avgpool(section: Section, wiring: Wiring) -> None:
    wiring.add(GlobalAvgPool2d(), (wiring.picture(section)[0], 1, 1))


def _dropout(section: Section, wiring: Wiring) -> None:
    wiring.add(Dropout(section.number("probability", 0.5, 0, 0.999)), wiring.shape)


def _connected(section: Section, wiring: Wiring) -> None:
    outputs = section.whole("output", 1, 1, MAX_CHANNELS)
    inputs = math.prod(wiring.shape)
    norm = BatchNorm1d(outputs, EPS, MOMENTUM) if section.whole("batch_normalize", 0, 0, 1) else None
    linear = Linear(inputs, outputs, bias=norm is None, generator=wiring.generator)
    layer = _named(flatten=Flatten(), linear=linear, norm=norm, activation=_activation(section))
    wiring.add(layer, (outputs,))


def _softmax(section: Section, wiring: Wiring) -> None:
    count = math.prod(wiring.shape)
    groups = section.whole("groups", 1, 1, MAX_CHANNELS)
    if count % groups:
        raise section.refuse(f"groups={groups}", f"a divisor of {count}", "groups")
    layers = [Flatten(), Softmax(1)]
    if groups > 1:
        layers = [Reshape((0, groups, count // groups)), Softmax(2), Flatten()]
    wiring.add(Sequential(*layers), (count,))


def _yolo(section: Section, wiring: Wiring) -> None:
    classes = section.whole("classes", 20, 1, MAX_CHANNELS)
    num = section.whole("num", 1, 1, 1000)
    sides = section.numbers("anchors", 1e-3, 1e6)
    mask = section.wholes("mask", 0, num - 1) if "mask" in section.options else tuple(range(num))
    ignore = section.number("ignore_thresh", 0.5, 0, 1)
    if section.number("truth_thresh", 1, 0, 1) < 1:
        raise section.refuse("truth_thresh below 1", "1, as in YOLOv3", "truth_thresh")
    if len(sides) != 2 * num or len(set(mask)) < len(mask):
        found = f"{len(sides)} numbers in anchors, mask {mask}"
        raise section.refuse(
            found, f"{2 * num} anchors (width and height of num={num}) and a mask that names none twice"
        )
    head = YoloHead([sides[i : i + 2] for i in range(0, 2 * num, 2)], classes, mask, ignore)
    if wiring.picture(section)[0] != head.channels:
        raise section.refuse(
            f"{wiring.shape[0]} channels before it", f"{head.channels}: {len(mask)} boxes of 5 + {classes}"
        )
    wiring.heads.append(str(len(wiring.shapes)))
    wiring.add(head, wiring.shape)


def _cost(section: Section, wiring: Wiring) -> None:
    wiring.add(Identity(), wiring.shape)


SECTIONS: dict[str, Callable[[Section, Wiring], None]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "route": _route,
    "shortcut": _shortcut,
    "upsample": _upsample,
    "avgpool": _avgpool,
    "dropout": _dropout,
    "connected": _connected,
    "softmax": _softmax,
    "yolo": _yolo,
    "cost": _cost,
}
