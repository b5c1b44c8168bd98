"""Convolution and its two gradients as a sum over kernel taps, in plain NumPy on channels-first arrays of any
number of spatial axes. One matrix product a tap; every multiplication of the definition is done, padding's
zeros included."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from . import _arguments as read


@dataclass(frozen=True)
class Windows:
    """Where the windows of a convolution lie: spatial sizes in the order of the axes."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: read.Pairs
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, kernel: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: Any) -> "Windows":
        """Reads the arguments of a convolution whose kernel has these spatial sizes."""
        axes = len(kernel)
        steps, spread = read.sizes(stride, axes, "stride", 1), read.sizes(dilation, axes, "dilation", 1)
        pads = read.conv_pairs(padding, kernel, steps, spread)
        return cls(kernel, steps, pads, spread, read.integer(groups, "groups", 1))

    def counts(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        """Output sizes for an input of these spatial sizes."""
        parts = zip(spatial, self.pads, self.kernel, self.stride, self.dilation, strict=True)
        return tuple(read.count(*part) for part in parts)

    def taps(self, counts: tuple[int, ...]):
        """Yields (tap, slices): the padded input seen through that tap by each of `counts` windows."""
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            parts = zip(starts, counts, self.stride, strict=True)
            yield tap, (..., *(slice(a, a + (n - 1) * s + 1, s) for a, n, s in parts))


def forward(x: np.ndarray, weight: np.ndarray, windows: Windows, counts: tuple[int, ...]) -> np.ndarray:
    """y[n, k, p] = sum over c and taps r of weight[k, c, r] * padded x[n, c, p * stride + r * dilation]."""
    padded = np.pad(x, ((0, 0), (0, 0), *windows.pads))
    w = _grouped(weight, windows.groups)
    y = np.zeros((x.shape[0], *w.shape[:2], prod(counts)), x.dtype)
    for tap, seen in windows.taps(counts):
        y += w[(..., *tap)] @ _rows(padded[seen], windows.groups)
    return y.reshape(x.shape[0], weight.shape[0], *counts)


def grad_input(dy: np.ndarray, weight: np.ndarray, windows: Windows, spatial: tuple[int, ...]) -> np.ndarray:
    """The transpose of `forward` in x: every dy is added, times the weight, where its window took its
    inputs."""
    counts, w, d = dy.shape[2:], _grouped(weight, windows.groups), _rows(dy, windows.groups)
    padded = [size + sum(pad) for size, pad in zip(spatial, windows.pads, strict=True)]
    dx = np.zeros((dy.shape[0], windows.groups * w.shape[2], *padded), dy.dtype)
    for tap, seen in windows.taps(counts):
        term = w[(..., *tap)].swapaxes(-1, -2) @ d
        dx[seen] += term.reshape(*dx.shape[:2], *counts)
    inside = (slice(b, b + size) for size, (b, _) in zip(spatial, windows.pads, strict=True))
    return dx[(..., *inside)]


def grad_weight(dy: np.ndarray, x: np.ndarray, windows: Windows) -> np.ndarray:
    """The gradient of `forward` in weight: the sum over images and windows of dy times the input seen by the
    tap."""
    padded, d = np.pad(x, ((0, 0), (0, 0), *windows.pads)), _rows(dy, windows.groups)
    per_group = x.shape[1] // windows.groups
    dw = np.zeros((*d.shape[1:3], per_group, *windows.kernel), dy.dtype)
    for tap, seen in windows.taps(dy.shape[2:]):
        dw[(..., *tap)] = (d @ _rows(padded[seen], windows.groups).swapaxes(-1, -2)).sum(axis=0)
    return dw.reshape(dy.shape[1], per_group, *windows.kernel)


def _grouped(weight: np.ndarray, groups: int) -> np.ndarray:
    """(K, C/G, *kernel) as (G, K/G, C/G, *kernel)."""
    return weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])


def _rows(x: np.ndarray, groups: int) -> np.ndarray:
    """(N, C, *spatial) as (N, G, C/G, positions)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, prod(x.shape[2:]))
