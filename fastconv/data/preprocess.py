"""Preprocess: how a picture becomes the input of a network. It belongs to the weights and is stored with them.
It must never guess: a network that was trained on other colours or another scale sees nonsense and says nothing."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np

Fit = Literal["crop", "stretch", "letterbox"]
_FITS = ("crop", "stretch", "letterbox")
_CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
_MAX_SIDE = 1 << 16
# What is around a picture in a letterbox: grey, of 255.
_GREY = 127.5
# Of a picture that is enlarged for "crop": a line of one pixel would need gigabytes.
_MAX_PIXELS = 1 << 27


class Placement(NamedTuple):
    """Where the whole picture lies in the input, in pixels; with "crop" its edges are outside."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Preprocess:
    """x = (picture * scale - mean) / std, (C, H, W) float32, of a picture brought to `size` (H, W).

    `fit` "crop" brings the shorter side to `shorter_side` pixels (None: so that the picture just fills `size`) and cuts
    the middle, "stretch" takes the whole picture and changes its proportions, "letterbox" takes the whole picture,
    keeps its proportions and fills the rest with grey. `channels` is "RGB", "BGR" or "L" (grey); `mean` and `std` are
    one number a channel, in that order. Sizes are changed by bilinear filtering; `antialias` averages over all pixels
    where a picture gets smaller, as Pillow and torchvision do; without it four neighbours count, as with OpenCV and
    Darknet.
    """

    size: tuple[int, int]
    fit: Fit = "crop"
    shorter_side: int | None = None
    channels: Literal["RGB", "BGR", "L"] = "RGB"
    scale: float = 1 / 255
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    antialias: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(self.size) if isinstance(self.size, (tuple, list)) else self.size)
        sides = (*self.size, self.shorter_side or 1) if isinstance(self.size, tuple) else ()
        if len(sides) != 3 or not all(type(side) is int and 1 <= side <= _MAX_SIDE for side in sides):
            raise ValueError(f"Preprocess: size must be (H, W) and shorter_side None or an int, got {self}")
        if self.fit not in _FITS or self.channels not in _CHANNELS:
            raise ValueError(f"Preprocess: fit must be one of {_FITS}, channels of {tuple(_CHANNELS)}, got {self}")
        if self.shorter_side is not None and (self.fit != "crop" or self.shorter_side < max(self.size)):
            raise ValueError(
                f"Preprocess: shorter_side goes with fit='crop' and is at least {max(self.size)}, got {self}"
            )
        for name, default in (("mean", 0.0), ("std", 1.0)):
            given = getattr(self, name)
            values = (default,) * _CHANNELS[self.channels] if given is None else given
            if not isinstance(values, (tuple, list)) or len(values) != _CHANNELS[self.channels]:
                raise ValueError(f"Preprocess: {name} must be one number for each of {self.channels}, got {given!r}")
            object.__setattr__(self, name, tuple(_number(name, value) for value in values))
        object.__setattr__(self, "scale", _number("scale", self.scale))
        if 0 in self.std or type(self.antialias) is not bool:
            raise ValueError(f"Preprocess: std must not be 0 and antialias a bool, got {self}")

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """x (C, H, W) of one picture: uint8, (height, width, 3) in RGB or (height, width, 1)."""
        pixels = np.asarray(picture)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
            raise ValueError(
                f"Preprocess: a picture is uint8 (height, width, 1 or 3), got {pixels.dtype} {pixels.shape}"
            )
        x = self._fitted(pixels).astype(np.float32).transpose(2, 0, 1)
        if self.channels == "BGR":
            x = x[::-1]
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (self.mean, self.std))
        return np.ascontiguousarray((x * np.float32(self.scale) - mean) / std)

    def placement(self, height: int, width: int) -> Placement:
        """Where a picture of `height` x `width` pixels lies in the input."""
        H, W = self.size
        if self.fit == "stretch":
            return Placement(0, 0, W, H)
        if self.fit == "letterbox":
            # As Darknet's letterbox_image: whole pixels, the odd one on the right and below.
            wide = W * height < H * width
            w, h = (W, max(1, height * W // width)) if wide else (max(1, width * H // height), H)
            return Placement((W - w) // 2, (H - h) // 2, w, h)
        # As torchvision's Resize and CenterCrop: the longer side is cut to whole pixels, the middle rounded to even.
        # Without shorter_side the picture just fills the input, also where that is not square.
        if self.shorter_side is None:
            factor = max(H / height, W / width)
            h, w = max(H, round(height * factor)), max(W, round(width * factor))
        else:
            short, long = self.shorter_side, int(self.shorter_side * max(height, width) / min(height, width))
            h, w = (long, short) if height > width else (short, long)
        if w * h > _MAX_PIXELS:
            raise ValueError(f"Preprocess: a picture of {width}x{height} pixels is too long to cut its middle out")
        return Placement(-round((w - W) / 2), -round((h - H) / 2), w, h)

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """What `to_json` gave; ValueError or TypeError for anything else."""
        if not isinstance(data, Mapping) or set(data) != {field.name for field in dataclasses.fields(cls)}:
            raise ValueError(f"Preprocess: expected an object with its fields, got {str(data)[:60]}")
        return cls(**data)

    def describe(self) -> str:
        """One line in words."""
        H, W = self.size
        fit = f"{self.fit} from {self.shorter_side}" if self.shorter_side else self.fit
        numbers = "" if not any(self.mean) and set(self.std) == {1.0} else f", mean {self.mean}, std {self.std}"
        return f"{W}x{H} {self.channels}, {fit}, scale {self.scale:.6g}{numbers}"

    def _fitted(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (H, W, C) of 0..255."""
        height, width, _ = pixels.shape
        x, y, w, h = (int(number) for number in self.placement(height, width))
        found = _resized(_coloured(pixels, grey=self.channels == "L"), h, w, self.antialias)
        H, W = self.size
        if self.fit == "letterbox":
            canvas = np.full((H, W, found.shape[2]), _GREY, np.float32)
            canvas[y : y + h, x : x + w] = found
            return canvas
        return found[-y : -y + H, -x : -x + W]


def _coloured(pixels: np.ndarray, grey: bool) -> np.ndarray:
    """One channel or three, as wanted; grey by the weights that Pillow and television (ITU-R 601) use."""
    if grey and pixels.shape[2] == 3:
        return np.rint(pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)).astype(np.uint8)
    return pixels if grey else np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def _resized(pixels: np.ndarray, height: int, width: int, antialias: bool) -> np.ndarray:
    """Bilinear, float32; pixels are squares whose values lie in their middles."""
    if pixels.shape[:2] == (height, width):
        return pixels
    if antialias:
        from PIL import Image

        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)
    values = pixels.astype(np.float32)
    for axis, size in ((0, height), (1, width)):
        last = values.shape[axis] - 1
        places = np.clip((np.arange(size) + 0.5) * ((last + 1) / size) - 0.5, 0, last)
        before = places.astype(np.int64)
        share = (places - before).astype(np.float32)
        share = share.reshape(-1, 1, 1) if axis == 0 else share.reshape(-1, 1)
        low, high = values.take(before, axis), values.take(np.minimum(before + 1, last), axis)
        values = low + share * (high - low)
    return values


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"Preprocess: {name} must be finite numbers, got {value!r}")
    return float(value)


# What torchvision's and timm's classifiers of ImageNet are trained with.
IMAGENET = Preprocess((224, 224), "crop", 256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
# The original VGG in the order of Caffe, which Keras kept ("caffe" mode): BGR, means of 0..255, no deviation.
CAFFE = Preprocess((224, 224), "crop", 256, "BGR", 1.0, (103.939, 116.779, 123.68))
