"""Correlation and convolution of two pictures with the arguments and results of `scipy.signal`.
It must never import SciPy, nor compute in another precision than its operands have."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _validate as check
from fastconv.functional import conv2d

__all__ = ["convolve2d", "correlate2d"]

_MODES = ("full", "valid", "same")
# np.pad's word for each of SciPy's.
_BOUNDARIES = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def correlate2d(
    in1: np.ndarray, in2: np.ndarray, mode: str = "full", boundary: str = "fill", fillvalue: float = 0
) -> np.ndarray:
    """Cross-correlation of two 2-d arrays: z[i, j] = sum over r, s of in1[i + r, j + s] * in2[r, s].

    mode "full": every i, j at which they meet; "valid": only those at which one lies inside the other; "same": the
    middle of "full", as large as in1. in1 goes on beyond its edges with fillvalue, periodically ("wrap") or mirrored
    ("symm"). float32 and float64, a mixture is float64; TypeError for other dtypes, ValueError where "valid" finds
    neither inside the other."""
    in1, in2 = _pictures("correlate2d", in1, in2)
    _choices("correlate2d", mode, boundary)
    if mode == "valid" and _swapped("correlate2d", in1, in2):
        return np.ascontiguousarray(_slide(in2, in1, mode, boundary, fillvalue, middle=1)[::-1, ::-1])
    return _slide(in1, in2, mode, boundary, fillvalue, middle=1)


def convolve2d(
    in1: np.ndarray, in2: np.ndarray, mode: str = "full", boundary: str = "fill", fillvalue: float = 0
) -> np.ndarray:
    """Convolution of two 2-d arrays: correlate2d with in2 turned by 180 degrees; arguments and errors are its."""
    in1, in2 = _pictures("convolve2d", in1, in2)
    _choices("convolve2d", mode, boundary)
    if mode == "valid" and _swapped("convolve2d", in1, in2):
        in1, in2 = in2, in1
    return _slide(in1, in2[::-1, ::-1], mode, boundary, fillvalue, middle=0)


def _pictures(op: str, in1: Any, in2: Any) -> list[np.ndarray]:
    arrays = [check.array(op, "in1", in1), check.array(op, "in2", in2)]
    for name, array in zip(("in1", "in2"), arrays, strict=True):
        check.dimensions(op, name, array, 2, "(H, W)")
        if array.size == 0:
            check.reject(op, f"{name} has shape {array.shape}; expected no axis of size 0")
    dtype = np.result_type(*arrays)
    return [array.astype(dtype, copy=False) for array in arrays]


def _choices(op: str, mode: str, boundary: str) -> None:
    check.choice(op, "mode", mode, _MODES)
    check.choice(op, "boundary", boundary, tuple(_BOUNDARIES))


def _swapped(op: str, in1: np.ndarray, in2: np.ndarray) -> bool:
    """Whether in1 lies inside in2 instead of in2 inside in1."""
    inside = [size >= other for size, other in zip(in1.shape, in2.shape, strict=True)]
    if any(inside) and not all(inside):
        check.reject(op, f'mode "valid" with in1 {in1.shape} and in2 {in2.shape}; expected one to fit inside the other')
    return not all(inside)


def _slide(
    picture: np.ndarray, kernel: np.ndarray, mode: str, boundary: str, fillvalue: float, middle: int
) -> np.ndarray:
    """The sums over the kernel at each place. middle: which of two is the middle of a kernel of even size."""
    padding = [(0, 0) if mode == "valid" else (size - 1, size - 1) for size in kernel.shape]
    if mode == "same":
        padding = [(size - middle) // 2 for size in kernel.shape]
        padding = [(before, size - 1 - before) for before, size in zip(padding, kernel.shape, strict=True)]
    if boundary != "fill" or fillvalue != 0:
        how = {"constant_values": fillvalue} if boundary == "fill" else {}
        picture, padding = np.pad(picture, padding, _BOUNDARIES[boundary], **how), 0
    return conv2d(picture[None, None], kernel[None, None], padding=padding, algorithm="direct")[0, 0]
