"""Resampling of pictures to any size, by ONNX's rules of where each result lies in x, in plain NumPy.
What enlarges by whole factors is Upsample, which is faster."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _arguments as read
from .along import gathered, scattered
from .base import Back, Layer

# Where result i of `count` lies among the `size` elements of x, in elements: f(i, size, count, scale, (start, end)).
_Positions = Callable[[np.ndarray, int, int, Any, tuple[float, float]], np.ndarray]


def _half_pixel(i: np.ndarray, size: int, count: int, scale: Any, region: tuple[float, float]) -> np.ndarray:
    return (i + i.dtype.type(0.5)) / scale - i.dtype.type(0.5)


def _symmetric(i: np.ndarray, size: int, count: int, scale: Any, region: tuple[float, float]) -> np.ndarray:
    return _half_pixel(i, size, count, scale, region) + i.dtype.type(size / 2) * (1 - count / (scale * size))


def _corners(i: np.ndarray, size: int, count: int, scale: Any, region: tuple[float, float]) -> np.ndarray:
    return i * (size - 1) / max(count - 1, 1)


def _cropped(i: np.ndarray, size: int, count: int, scale: Any, region: tuple[float, float]) -> np.ndarray:
    start, end = region
    if count == 1:
        return i + i.dtype.type(0.5 * (start + end) * (size - 1))
    return i.dtype.type(start * (size - 1)) + i * i.dtype.type((end - start) * (size - 1) / (count - 1))


POSITIONS: dict[str, _Positions] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda i, size, count, *rest: _half_pixel(i, size, count, *rest) if count > 1 else i * 0,
    "align_corners": _corners,
    "asymmetric": lambda i, size, count, scale, region: i / scale,
    "tf_half_pixel_for_nn": lambda i, size, count, scale, region: (i + i.dtype.type(0.5)) / scale,
    "tf_crop_and_resize": _cropped,
}
ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda x: np.ceil(x - x.dtype.type(0.5)),
    "round_prefer_ceil": lambda x: np.floor(x + x.dtype.type(0.5)),
    "floor": np.floor,
    "ceil": np.ceil,
}
MODES = ("nearest", "linear", "cubic")
# Sizes are counted in float32, which is exact up to there.
_LARGEST = 2.0**24


class Resize(Layer):
    """The last axes of x resampled, as ONNX's Resize does.

    `size` says how many elements come out (None: as many), `scale_factor` how many times as many, rounded down; one
    number for each of the last axes. Given both, `scale_factor` only says where they lie. `mode` is "nearest", "linear"
    or "cubic" (Keys's, of `cubic_coeff_a`); `coordinates` and, for "nearest", `rounding` are what ONNX calls
    coordinate_transformation_mode and nearest_mode. Beyond an edge there is the edge element, or with `exclude_outside`
    nothing. `antialias` widens linear and cubic filters where x gets smaller. `region`, for "tf_crop_and_resize", is
    (start, end) for each axis in parts of x; what lies outside of x is `outside`.
    """

    arguments = (
        "size", "scale_factor", "mode", "coordinates", "rounding", "cubic_coeff_a", "exclude_outside", "antialias",
        "region", "outside",
    )  # fmt: skip
    result = "new"

    def __init__(
        self,
        size: tuple[int | None, ...] | None = None,
        scale_factor: tuple[float, ...] | None = None,
        mode: str = "nearest",
        coordinates: str = "half_pixel",
        rounding: str = "round_prefer_floor",
        cubic_coeff_a: float = -0.75,
        exclude_outside: bool = False,
        antialias: bool = False,
        region: tuple[tuple[float, float], ...] | None = None,
        outside: float = 0.0,
    ) -> None:
        given = [numbers for numbers in (size, scale_factor, region) if numbers is not None]
        if (size is None and scale_factor is None) or not all(isinstance(n, (tuple, list)) and n for n in given):
            raise ValueError(
                f"Resize: size or scale_factor must be a number for each axis, got {size!r}, {scale_factor!r}"
            )
        axes = len(given[0])
        if any(len(numbers) != axes for numbers in given):
            raise ValueError(f"Resize: size, scale_factor and region must have as many axes, got {given}")
        self.size = None if size is None else tuple(n if n is None else read.size("Resize", "size", n) for n in size)
        self.scale_factor = None if scale_factor is None else tuple(map(_scale, scale_factor))
        self.mode = read.choice("Resize", "mode", mode, MODES)
        self.coordinates = read.choice("Resize", "coordinates", coordinates, POSITIONS)
        self.rounding = read.choice("Resize", "rounding", rounding, ROUNDINGS)
        self.cubic_coeff_a = read.number("Resize", "cubic_coeff_a", cubic_coeff_a)
        self.exclude_outside = read.flag("Resize", "exclude_outside", exclude_outside)
        self.antialias = read.flag("Resize", "antialias", antialias)
        if antialias and mode == "nearest":
            raise ValueError("Resize: antialias goes with mode linear or cubic, got 'nearest'")
        if (region is None) == (coordinates == "tf_crop_and_resize"):
            raise ValueError(f'Resize: region goes with "tf_crop_and_resize", got {region!r} and {coordinates!r}')
        self.region = None if region is None else tuple(map(_part, region))
        self.outside = read.number("Resize", "outside", outside)

    def _along(self, shape: tuple[int, ...]) -> list[tuple[int, np.ndarray, np.ndarray | None, np.ndarray | None]]:
        """(axis, places, shares, which results lie outside of the region) of each axis that changes."""
        axes = len(self.size or self.scale_factor)
        if len(shape) < axes or 0 in shape[len(shape) - axes :]:
            raise ValueError(f"Resize: {self.describe()} does not fit x of shape {shape}")
        found = []
        for number, axis in enumerate(range(len(shape) - axes, len(shape))):
            scale = None if self.scale_factor is None else self.scale_factor[number]
            # In float32, as ONNX's shape inference and runtimes count.
            count = int(np.float32(scale) * np.float32(shape[axis])) if self.size is None else self.size[number]
            count = shape[axis] if count is None else count
            if count < 1:
                raise ValueError(f"Resize: nothing of x of shape {shape} remains with {self.describe()}")
            scale = count / shape[axis] if scale is None else scale
            if count != shape[axis] or scale != 1 or self.region is not None:
                region = (0.0, 1.0) if self.region is None else self.region[number]
                found.append((axis, *self._taps(shape[axis], count, scale, region)))
        return found

    def _taps(self, size: int, count: int, scale: float, region: tuple[float, float]) -> tuple:
        # Which neighbour is nearest is a matter of rounding: runtimes compute it in float32.
        kind = np.float32 if self.mode == "nearest" else np.float64
        at = POSITIONS[self.coordinates](np.arange(count, dtype=kind), size, count, kind(scale), region)
        beyond = (at < 0) | (at > size - 1) if self.region is not None else None
        if self.mode == "nearest":
            places, shares = ROUNDINGS[self.rounding](at)[None].astype(np.int64), None
            shares = shares if beyond is None else np.ones(places.shape)
        else:
            places, shares = self._filtered(at, min(scale, 1.0) if self.antialias else 1.0)
            if self.exclude_outside:
                shares = np.where((places < 0) | (places >= size), 0, shares)
                shares = shares / shares.sum(axis=0)
        if beyond is not None:
            shares = np.where(beyond, 0, shares)
        return places.clip(0, size - 1), shares, beyond

    def _filtered(self, at: np.ndarray, shrunk: float) -> tuple[np.ndarray, np.ndarray]:
        """The neighbours of each position and their shares; a filter that is as much wider as x shrinks."""
        below = np.floor(at)
        first = math.floor(-(1 if self.mode == "linear" else 2) / shrunk) + 1
        offsets = np.arange(first, 2 - first)[:, None]
        distance = np.abs(offsets - (at - below)) * shrunk
        shares = np.maximum(1 - distance, 0) if self.mode == "linear" else _keys(distance, self.cubic_coeff_a)
        return (below + offsets).astype(np.int64), shares / shares.sum(axis=0)

    def _run(self, x: np.ndarray, steps: list) -> np.ndarray:
        y = x
        for axis, places, shares, beyond in steps:
            y = gathered(y, axis, places, shares)
            if beyond is not None:
                y[(*(slice(None),) * axis, beyond)] = self.outside
        return y if steps else x.copy()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            return self._run(x, self._along(x.shape))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        x = np.asarray(x)
        shape, steps = x.shape, self._along(x.shape)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            if not needs_input:
                return None
            with np.errstate(all="ignore"):
                for axis, places, shares, _ in reversed(steps):
                    dy = scattered(dy, axis, shape[axis], places, shares)
            return dy

        return self(x), back

    def describe(self) -> str:
        first = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{first}, mode={self.mode!r}, coordinates={self.coordinates!r}"


def _scale(value: Any) -> float:
    number = read.number("Resize", "scale_factor", value, 0, _LARGEST)
    if number == 0:
        raise ValueError(f"Resize: scale_factor must be above 0, got {value!r}")
    return number


def _part(pair: Any) -> tuple[float, float]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"Resize: region must be pairs (start, end), got {pair!r}")
    return read.number("Resize", "region", pair[0]), read.number("Resize", "region", pair[1])


def _keys(distance: np.ndarray, a: float) -> np.ndarray:
    """The cubic convolution kernel (Keys 1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
