"""Arrays for results. Large ones lie in memory that is recycled when the array is gone: fresh pages cost a fault each,
which for a ReLU or a pooling takes longer than the arithmetic. The pool is bounded; free_scratch empties it."""

from __future__ import annotations

import math

import numpy as np

from fastconv import _kernels

RECYCLED_FROM = 1 << 17
"""Bytes; below this NumPy's allocator serves from the heap, without fresh pages."""


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised C-contiguous array. MemoryError where there is no memory for it."""
    size = math.prod(shape) * dtype.itemsize
    if size < RECYCLED_FROM:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, _kernels.Memory(size))


def free_scratch() -> int:
    """Give the memory kept for reuse back to the system; returns the number of bytes."""
    return _kernels.free_pool()
