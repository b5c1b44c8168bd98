"""Layers that change shapes or sizes: Flatten, Reshape, Permute, Slice, Pad and Upsample.
They must never copy where a view will do."""

import math
from typing import Any

import numpy as np

from .. import functional as F
from . import _arguments as read
from .along import scattered
from .base import Back, Layer


class Flatten(Layer):
    """Join the axes from start_dim to end_dim (both included): (N, C, H, W) -> (N, C * H * W)."""

    arguments = ("start_dim", "end_dim")
    result = "input"

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = read.size("Flatten", "start_dim", start_dim, -32)
        self.end_dim = read.size("Flatten", "end_dim", end_dim, -32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        start, end = (axis + x.ndim if axis < 0 else axis for axis in (self.start_dim, self.end_dim))
        if not 0 <= start <= end < x.ndim:
            raise ValueError(f"Flatten: axes {self.start_dim} to {self.end_dim} do not fit shape {x.shape}")
        # Counted, not -1, which NumPy cannot resolve for an empty batch.
        joined = math.prod(x.shape[start : end + 1])
        return x.reshape(*x.shape[:start], joined, *x.shape[end + 1 :])

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        shape = np.shape(x)
        return self(x), lambda dy, needs_input=True: dy.reshape(shape) if needs_input else None

    def describe(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Reshape(Layer):
    """x in another shape, batch included: 0 keeps the size of that axis, one -1 is what remains."""

    arguments = ("shape",)
    result = "input"

    def __init__(self, shape: tuple[int, ...]) -> None:
        if not isinstance(shape, (tuple, list)) or not shape:
            raise ValueError(f"Reshape: shape must be a tuple of sizes, got {shape!r}")
        self.shape = tuple(read.size("Reshape", "shape", size, -1) for size in shape)
        if self.shape.count(-1) > 1:
            raise ValueError(f"Reshape: only one size can be -1, got {self.shape}")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        kept = [axis for axis, size in enumerate(self.shape) if size == 0]
        if all(axis < x.ndim for axis in kept):
            # By the axes that are not kept: NumPy cannot resolve -1 for an empty batch.
            shape = [x.shape[axis] if axis in kept else size for axis, size in enumerate(self.shape)]
            left = math.prod(size for axis, size in enumerate(x.shape) if axis not in kept)
            known = math.prod(size for size in self.shape if size > 0)
            if -1 in shape and left % known == 0:
                shape[shape.index(-1)] = left // known
            if math.prod(shape) == x.size and min(shape) >= 0:
                return x.reshape(shape)
        raise ValueError(f"Reshape: shape {self.shape} does not fit x of shape {x.shape}")

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        shape = np.shape(x)
        return self(x), lambda dy, needs_input=True: dy.reshape(shape) if needs_input else None

    def describe(self) -> str:
        return f"shape={self.shape}"


class Permute(Layer):
    """The axes of x in the order `dims`, batch included: Permute((0, 2, 3, 1)) makes NHWC of NCHW."""

    arguments = ("dims",)
    result = "input"

    def __init__(self, dims: tuple[int, ...]) -> None:
        if not isinstance(dims, (tuple, list)) or sorted(dims) != list(range(len(dims))):
            raise ValueError(f"Permute: dims must be the axes 0, 1, ... in another order, got {dims!r}")
        self.dims = tuple(dims)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if np.ndim(x) != len(self.dims):
            raise ValueError(f"Permute: dims {self.dims} do not fit x of shape {np.shape(x)}")
        return np.transpose(x, self.dims)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        inverse = np.argsort(self.dims)
        return self(x), lambda dy, needs_input=True: dy.transpose(inverse) if needs_input else None

    def describe(self) -> str:
        return f"dims={self.dims}"


class Slice(Layer):
    """x[start:stop:step] along the axis `dim`, channels by default; None is the end, as in Python."""

    arguments = ("start", "stop", "step", "dim")
    result = "input"

    def __init__(self, start: int | None = None, stop: int | None = None, step: int = 1, dim: int = 1) -> None:
        lowest = -(2**62)
        self.start = None if start is None else read.size("Slice", "start", start, lowest)
        self.stop = None if stop is None else read.size("Slice", "stop", stop, lowest)
        self.step = read.size("Slice", "step", step)
        self.dim = read.size("Slice", "dim", dim, -32)

    def _part(self, x: np.ndarray) -> tuple[slice, ...]:
        shape, part = np.shape(x), slice(self.start, self.stop, self.step)
        dim = self.dim + len(shape) if self.dim < 0 else self.dim
        if not 0 <= dim < len(shape) or not len(range(*part.indices(shape[dim]))):
            raise ValueError(f"Slice: nothing of x of shape {shape} is in {self.describe()}")
        return (*(slice(None),) * dim, part)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x)[self._part(x)]

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        part, shape = self._part(x), np.shape(x)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            if not needs_input:
                return None
            dx = np.zeros(shape, dy.dtype)
            dx[part] = dy
            return dx

        return self(x), back

    def describe(self) -> str:
        return f"start={self.start}, stop={self.stop}, step={self.step}, dim={self.dim}"


# What surrounds x in PyTorch's words, and in NumPy's.
_PADDINGS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
# By how many elements what comes of x itself must be shorter than x.
_SHORTER = {"reflect": 1, "circular": 0}


class Pad(Layer):
    """Elements around the last axes of x: `padding` is ((before, after), ...), one pair for each of them.

    `mode` "constant" puts `value` there, "reflect" x mirrored at its edge elements, "replicate" its edge elements,
    "circular" x over again; reflected padding must be smaller than x, circular at most as large.
    """

    arguments = ("padding", "value", "mode")
    result = "new"

    def __init__(self, padding: tuple[tuple[int, int], ...], value: float = 0.0, mode: str = "constant") -> None:
        pairs = padding if isinstance(padding, (tuple, list)) else ()
        if not pairs or not all(isinstance(pair, (tuple, list)) for pair in pairs):
            raise ValueError(f"Pad: padding must be pairs (before, after), got {padding!r}")
        self.padding = tuple(read.sizes("Pad", "padding", pair, 2, 0) for pair in pairs)
        self.value = read.number("Pad", "value", value)
        self.mode = read.choice("Pad", "mode", mode, _PADDINGS)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        kept = np.ndim(x) - len(self.padding)
        if kept < 0:
            raise ValueError(f"Pad: {len(self.padding)} pairs do not fit x of shape {np.shape(x)}")
        sizes = zip(np.shape(x)[kept:], self.padding, strict=True)
        shorter = _SHORTER.get(self.mode)
        if shorter is not None and any(max(pair) > size - shorter for size, pair in sizes if any(pair)):
            raise ValueError(f"Pad: {self.describe()} does not fit x of shape {np.shape(x)}")
        how = {"constant_values": self.value} if self.mode == "constant" else {}
        return np.pad(x, ((0, 0),) * kept + self.padding, _PADDINGS[self.mode], **how)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        sizes = np.shape(x)[-len(self.padding) :]
        back = self._cut_back if self.mode == "constant" else self._added_back
        return self(x), lambda dy, needs_input=True: back(dy, sizes) if needs_input else None

    def _cut_back(self, dy: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
        inner = tuple(slice(pair[0], pair[0] + size) for pair, size in zip(self.padding, sizes, strict=False))
        return dy[(..., *inner)]

    def _added_back(self, dy: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
        """Each element's gradient is the sum over all places that it is copied to."""
        first = dy.ndim - len(sizes)
        for axis, (size, pair) in enumerate(zip(sizes, self.padding, strict=True), first):
            if any(pair):
                dy = scattered(dy, axis, size, np.pad(np.arange(size), pair, _PADDINGS[self.mode])[None])
        return dy

    def describe(self) -> str:
        last = f"value={self.value:g}" if self.mode == "constant" else f"mode={self.mode!r}"
        return f"padding={self.padding}, {last}"


class Upsample(Layer):
    """x (N, C, H, W) made larger by a whole factor, "nearest" or "bilinear" (align_corners=False).

    Either `scale_factor` (an int or one per axis) or `size`, which must be a multiple of (H, W).
    """

    arguments = ("size", "scale_factor", "mode", "align_corners")
    result = "new"

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        scale_factor: int | tuple[int, int] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ValueError("Upsample: give either size or scale_factor")
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f'Upsample: mode must be "nearest" or "bilinear", got {mode!r}')
        if align_corners:
            raise ValueError("Upsample: align_corners=True is not supported")
        self.size = None if size is None else read.sizes("Upsample", "size", size, 2)
        self.scale_factor = None if scale_factor is None else self._factor(scale_factor)
        self.mode = mode
        self.align_corners = align_corners

    @staticmethod
    def _factor(value: Any) -> tuple[int, ...]:
        parts = value if isinstance(value, (tuple, list)) else (value, value)
        # PyTorch's users write 2.0 as well.
        whole = [int(part) if isinstance(part, float) and part.is_integer() else part for part in parts]
        return read.sizes("Upsample", "scale_factor", whole, 2)

    def _scale(self, x: np.ndarray) -> tuple[int, ...]:
        if self.scale_factor is not None:
            return self.scale_factor
        shape = np.shape(x)
        spatial = shape[2:]
        if len(shape) != 4 or 0 in spatial or any(b % a for a, b in zip(spatial, self.size, strict=True)):
            raise ValueError(f"Upsample: size {self.size} must be a multiple of (H, W) of x, got {shape}")
        return tuple(b // a for a, b in zip(spatial, self.size, strict=True))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return F.upsample(x, self._scale(x), self.mode)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        scale, shape = self._scale(x), np.shape(x)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return F.upsample_backward(dy, shape, scale, self.mode) if needs_input else None

        return F.upsample(x, scale, self.mode), back

    def describe(self) -> str:
        first = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{first}, mode={self.mode!r}"
