"""Layers that change shapes or sizes: Flatten and Upsample.
They must never copy where a view will do."""

import math
from typing import Any

import numpy as np

from .. import functional as F
from . import _arguments as read
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
