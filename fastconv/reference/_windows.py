"""Where pooling windows lie and what they hold, in plain NumPy on channels-first arrays of any number of
spatial axes. A window's taps are visited in row-major order; it never calls a kernel."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from . import _arguments as read


@dataclass(frozen=True)
class Pool:
    """The windows of a pooling over inputs of these spatial sizes."""

    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: read.Pairs
    dilation: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, spatial: tuple, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> "Pool":
        """Reads a pooling's arguments; stride None is the kernel's size."""
        axes = len(spatial)
        kernel = read.sizes(kernel_size, axes, "kernel_size", 1)
        steps = kernel if stride is None else read.sizes(stride, axes, "stride", 1)
        spread, pads = read.sizes(dilation, axes, "dilation", 1), read.pairs(padding, axes)
        counts = []
        for size, k, s, pad, d in zip(spatial, kernel, steps, pads, spread, strict=True):
            if max(pad) > (d * (k - 1) + 1) // 2:
                raise ValueError(f"padding: expected at most half of the window of {d * (k - 1) + 1}, got {pad}")
            n = read.count(size, pad, k, s, d)
            if ceil_mode and (size + sum(pad) - d * (k - 1) - 1) % s and n * s < size + pad[0]:
                n += 1  # PyTorch's rule: the extra window starts inside the input or the padding before it
            counts.append(n)
        return cls(spatial, kernel, steps, pads, spread, tuple(counts))

    def taps(self):
        """Yields (positions, inside) a tap: for each axis where its windows look, clipped to the input; and
        for each window whether that is inside the input."""
        for tap in np.ndindex(*self.kernel):
            inside, positions = np.ones(self.counts, bool), []
            for axis, t in enumerate(tap):
                at = np.arange(self.counts[axis]) * self.stride[axis] - self.pads[axis][0] + t * self.dilation[axis]
                good = (at >= 0) & (at < self.spatial[axis])
                inside &= good.reshape(-1, *(1,) * (len(tap) - axis - 1))
                positions.append(np.clip(at, 0, self.spatial[axis] - 1))
            yield positions, inside

    def divisors(self, count_include_pad: bool, divisor_override: int | None) -> np.ndarray:
        """By what each window's sum is divided: its taps inside the input, or inside the input and its
        padding, never those beyond, where only ceil_mode reaches; or the override."""
        if divisor_override is not None:
            return np.full(self.counts, read.integer(divisor_override, "divisor_override", 1))
        total = np.ones(self.counts, np.int64)
        for axis, (size, k, s, pad) in enumerate(zip(self.spatial, self.kernel, self.stride, self.pads, strict=True)):
            start = np.arange(self.counts[axis]) * s - pad[0]
            before, after = (pad[0], pad[1]) if count_include_pad else (0, 0)
            taps = np.minimum(start + k, size + after) - np.maximum(start, -before)
            total = total * taps.reshape(-1, *(1,) * (len(self.counts) - axis - 1))
        return total


def flat(positions: list[np.ndarray], spatial: tuple[int, ...]) -> np.ndarray:
    """Flat index in the plane or volume of each combination of positions."""
    return np.ravel_multi_index(np.ix_(*positions), spatial).astype(np.int64)


def maxima(x: np.ndarray, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """(largest value, its flat index) of each window; a NaN is larger than any number, the first of equals
    stays."""
    shape = (*x.shape[:2], *pool.counts)
    best, index = np.zeros(shape, x.dtype), np.zeros(shape, np.int64)
    found = np.zeros(pool.counts, bool)
    for positions, inside in pool.taps():
        value = x[(..., *np.ix_(*positions))]
        takes = inside & (~found | (value > best) | (np.isnan(value) & ~np.isnan(best)))
        best, index = np.where(takes, value, best), np.where(takes, flat(positions, pool.spatial), index)
        found |= inside
    if not found.all():
        raise ValueError(f"a window holds no input at all: {pool}")
    return best, index


def sums(x: np.ndarray, pool: Pool) -> np.ndarray:
    """The sum of each window."""
    y = np.zeros((*x.shape[:2], *pool.counts), x.dtype)
    for positions, inside in pool.taps():
        y += np.where(inside, x[(..., *np.ix_(*positions))], x.dtype.type(0))
    return y


def spread_sums(dy: np.ndarray, pool: Pool) -> np.ndarray:
    """The transpose of `sums`: adds each window's dy to all inputs of the window."""
    dx = np.zeros((*dy.shape[:2], prod(pool.spatial)), dy.dtype)
    for positions, inside in pool.taps():
        where = np.broadcast_to(flat(positions, pool.spatial), pool.counts)[inside]
        np.add.at(dx, (..., where), dy[..., inside])
    return dx.reshape(*dy.shape[:2], *pool.spatial)


def spread_maxima(dy: np.ndarray, indices: np.ndarray, spatial: tuple[int, ...]) -> np.ndarray:
    """Adds each dy to the input that `indices` names; every index is checked first."""
    if indices.dtype != np.int64:
        raise TypeError(f"indices: expected int64, got {indices.dtype}")
    read.expect(indices, "indices", dy.shape)
    plane = prod(spatial)
    if indices.size and not 0 <= indices.min() <= indices.max() < plane:
        raise ValueError(f"indices: expected 0 to {plane - 1}, got {indices.min()} to {indices.max()}")
    rows = dy.shape[0] * dy.shape[1]
    dx = np.zeros((rows, plane), dy.dtype)
    count = prod(dy.shape[2:])
    np.add.at(dx, (np.arange(rows)[:, None], indices.reshape(rows, count)), dy.reshape(rows, count))
    return dx.reshape(*dy.shape[:2], *spatial)
