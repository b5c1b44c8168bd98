"""Mean, Sum and Amax over any axes, for nodes that reduce something else than whole planes.
What averages planes is GlobalAvgPool2d, which is faster."""

import math

import numpy as np

from . import _arguments as read
from .base import Back, Layer


class _Reduction(Layer):
    arguments = ("dim", "keepdim")
    result = "new"

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        kind = type(self).__name__
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        self.dim = tuple(read.size(kind, "dim", axis, -32) for axis in dims)
        self.keepdim = read.flag(kind, "keepdim", keepdim)

    def reduced(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """y, without these axes, or with `keepdim` with their size 1."""
        raise NotImplementedError

    def shares(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """dy / dx of each element of x, in any shape that broadcasts to it."""
        raise NotImplementedError

    def _axes(self, x: np.ndarray) -> tuple[int, ...]:
        axes = tuple(axis + x.ndim if axis < 0 else axis for axis in self.dim)
        if not axes or len(set(axes)) != len(axes) or not all(0 <= axis < x.ndim for axis in axes):
            raise ValueError(f"{type(self).__name__}: axes {self.dim} do not fit x of shape {x.shape}")
        return axes

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            return self.reduced(x, self._axes(x))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        x = np.asarray(x)
        axes, shape = self._axes(x), x.shape

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            if not needs_input:
                return None
            kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
            with np.errstate(all="ignore"):
                return np.broadcast_to(dy.reshape(kept) * self.shares(x, axes), shape).copy()

        return self(x), back

    def describe(self) -> str:
        return f"dim={self.dim}, keepdim={self.keepdim}"


class Mean(_Reduction):
    """The mean of x over the axes `dim`; with `keepdim` they stay, of size 1."""

    def reduced(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x.mean(axis=axes, keepdims=self.keepdim)

    def shares(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x.dtype.type(1) / x.dtype.type(math.prod(x.shape[axis] for axis in axes))


class Sum(_Reduction):
    """The sum of x over the axes `dim`; with `keepdim` they stay, of size 1."""

    def reduced(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x.sum(axis=axes, keepdims=self.keepdim)

    def shares(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x.dtype.type(1)


class Amax(_Reduction):
    """The largest of x over the axes `dim`, a NaN if there is one; with `keepdim` they stay, of size 1. Those that are
    equally large share the gradient, as of PyTorch's amax."""

    def reduced(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x.max(axis=axes, keepdims=self.keepdim)

    def shares(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        largest = (x == x.max(axis=axes, keepdims=True)).astype(x.dtype)
        return largest / largest.sum(axis=axes, keepdims=True)
