"""Means over any axes, for nodes that average something else than whole planes.
What averages planes is GlobalAvgPool2d, which is faster."""

import math

import numpy as np

from . import _arguments as read
from .base import Back, Layer


class Mean(Layer):
    """The mean of x over the axes `dim`; with `keepdim` they stay, of size 1."""

    arguments = ("dim", "keepdim")
    result = "new"

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        self.dim = tuple(read.size("Mean", "dim", axis, -32) for axis in dims)
        self.keepdim = read.flag("Mean", "keepdim", keepdim)

    def _axes(self, x: np.ndarray) -> tuple[int, ...]:
        axes = tuple(axis + x.ndim if axis < 0 else axis for axis in self.dim)
        if not axes or len(set(axes)) != len(axes) or not all(0 <= axis < x.ndim for axis in axes):
            raise ValueError(f"Mean: axes {self.dim} do not fit x of shape {x.shape}")
        return axes

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            return x.mean(axis=self._axes(x), keepdims=self.keepdim)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        x = np.asarray(x)
        axes, shape = self._axes(x), x.shape

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            if not needs_input:
                return None
            kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
            part = dy.reshape(kept) / dy.dtype.type(math.prod(shape[axis] for axis in axes))
            return np.broadcast_to(part, shape).copy()

        return self(x), back

    def describe(self) -> str:
        return f"dim={self.dim}, keepdim={self.keepdim}"
