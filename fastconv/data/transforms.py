"""Changes of whole batches of pictures (N, C, H, W): normalising, cropping, flipping.
They must never write into their input, nor draw random numbers but from the Generator given with the call."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _arguments as check
from .dataset import Dataset, scale_bytes

Transform = Callable[[np.ndarray, np.random.Generator | None], np.ndarray]


class Compose:
    """Apply `transforms` one after the other; all draw from the same generator, in order."""

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self.transforms = tuple(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose: every transform must be callable, got {transform!r}")

    def __call__(self, x: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        for transform in self.transforms:
            x = transform(x, generator)
        return x

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


@dataclass(frozen=True)
class RandomHorizontalFlip:
    """Mirror each picture left to right with probability `p`. Draws N uniform numbers a call."""

    p: float = 0.5

    def __post_init__(self) -> None:
        check.fraction("RandomHorizontalFlip", "p", self.p, open_ends=False)

    def __call__(self, x: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        x = check.pictures("RandomHorizontalFlip", x)
        flipped = check.generator("RandomHorizontalFlip", generator).random(len(x)) < self.p
        y = _copy(x)
        y[flipped] = x[flipped, :, :, ::-1]
        return y


@dataclass(frozen=True)
class RandomCrop:
    """Cut a window of `size` at a random place of each picture, padded by `padding` zeros on every side.

    `size` and `padding` are an int or (vertical, horizontal), in pixels. Draws N row and N column offsets a
    call. Put it before `Normalize` for black borders, after it for borders of the mean colour. (N, C, H, W)
    -> (N, C, *size); ValueError where the padded picture is smaller than `size`.
    """

    size: int | tuple[int, int]
    padding: int | tuple[int, int] = 0

    def __post_init__(self) -> None:
        check.pair("RandomCrop", "size", self.size, 1)
        check.pair("RandomCrop", "padding", self.padding, 0)

    def __call__(self, x: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        x = check.pictures("RandomCrop", x)
        source = check.generator("RandomCrop", generator)
        height, width = check.pair("RandomCrop", "size", self.size, 1)
        above, left = check.pair("RandomCrop", "padding", self.padding, 0)
        rows, columns = x.shape[2] + 2 * above - height, x.shape[3] + 2 * left - width
        if rows < 0 or columns < 0:
            raise ValueError(
                f"RandomCrop: size {(height, width)} is larger than the padded picture "
                f"{(x.shape[2] + 2 * above, x.shape[3] + 2 * left)}"
            )
        tops = source.integers(0, rows + 1, size=len(x))
        lefts = source.integers(0, columns + 1, size=len(x))
        padded = np.pad(x, ((0, 0), (0, 0), (above, above), (left, left))) if above or left else x
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        return _copy(windows[np.arange(len(x)), :, tops, lefts])


@dataclass(frozen=True)
class CenterCrop:
    """Cut the window of `size`, an int or (vertical, horizontal), in the middle; odd rests go at the end.

    (N, C, H, W) -> (N, C, *size); ValueError where the picture is smaller than `size`.
    """

    size: int | tuple[int, int]

    def __post_init__(self) -> None:
        check.pair("CenterCrop", "size", self.size, 1)

    def __call__(self, x: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        x = check.pictures("CenterCrop", x)
        height, width = check.pair("CenterCrop", "size", self.size, 1)
        if height > x.shape[2] or width > x.shape[3]:
            raise ValueError(f"CenterCrop: size {(height, width)} is larger than the picture {x.shape[2:]}")
        top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
        return _copy(x[:, :, top : top + height, left : left + width])


@dataclass(frozen=True)
class Normalize:
    """(x - mean) / std, computed in the dtype of x; `mean` and `std` are one number, or one a channel.

    ValueError for a std that is not positive, for numbers that are not finite, and for a count of channels
    that does not fit the pictures.
    """

    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]
    _columns: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mean, std = (_per_channel(name, getattr(self, name)) for name in ("mean", "std"))
        if not (std > 0).all():
            raise ValueError(f"Normalize: std must be positive, got {self.std!r} (is a channel constant?)")
        # Plain floats, so that the object compares, prints and pickles simply.
        for name, values in (("mean", mean), ("std", std)):
            object.__setattr__(self, name, values.item() if values.ndim == 0 else tuple(values.tolist()))
        object.__setattr__(self, "_columns", (mean.reshape(-1, 1, 1), std.reshape(-1, 1, 1)))

    def __call__(self, x: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        x = check.pictures("Normalize", x)
        dtype = x.dtype.newbyteorder("=")
        mean, std = self._columns
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, x.shape[1]):
                raise ValueError(f"Normalize: {name} has {len(values)} channels, x has {x.shape[1]}")
        y = np.subtract(x, mean.astype(dtype), dtype=dtype, order="C")
        y /= std.astype(dtype)
        return y


def channel_mean_std(data: np.ndarray | Dataset, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all pictures and pixels: two float64 arrays (C,).

    `data` is an array (N, C, H, W), float or uint8 (taken as 0..1), or a data set, which is read in batches
    of `batch_size`. The standard deviation is the population's. A constant channel gives 0, which `Normalize`
    refuses. Batches are joined by the update of Chan, Golub and LeVeque (1979), exact in exact arithmetic.
    """
    batch_size = check.integer("channel_mean_std", "batch_size", batch_size, 1)
    if not len(data):
        raise ValueError("channel_mean_std: data must hold at least one picture, got none")
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for start in range(0, len(data), batch_size):
        chosen = np.arange(start, min(start + batch_size, len(data)))
        x = data[chosen] if isinstance(data, np.ndarray) else data.batch(chosen)[0]
        if x.dtype == np.uint8:
            x = scale_bytes(x)
        values = np.moveaxis(check.pictures("channel_mean_std", x), 1, 0).reshape(x.shape[1], -1).astype(np.float64)
        part, part_mean = values.shape[1], values.mean(axis=1)
        part_squares = ((values - part_mean[:, None]) ** 2).sum(axis=1)
        delta, total = part_mean - mean, count + part
        mean = mean + delta * (part / total)
        squares = squares + part_squares + delta**2 * (count * part / total)
        count = total
    return mean, np.sqrt(squares / count)


def _copy(x: np.ndarray) -> np.ndarray:
    """A new array in C order and native byte order."""
    return np.array(x, dtype=x.dtype.newbyteorder("="), order="C", copy=True)


def _per_channel(name: str, value: Any) -> np.ndarray:
    values = np.asarray(value)
    if values.dtype.kind not in "iuf" or values.ndim > 1 or values.size == 0:
        raise TypeError(f"Normalize: {name} must be a number or one number a channel, got {value!r}")
    if not np.isfinite(values).all():
        raise ValueError(f"Normalize: {name} must be finite, got {value!r}")
    return values.astype(np.float64)
