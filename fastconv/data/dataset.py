"""Data sets in memory and the order in which batches visit them.
It must never draw random numbers but from the Generator given: that is what makes training resumable."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from . import _arguments as check


class Dataset(Protocol):
    """What the trainer needs: a length, labels `y`, and batches `(x, y)` for an array of indices."""

    y: np.ndarray

    def __len__(self) -> int: ...

    def batch(
        self, indices: np.ndarray, generator: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]: ...


def scale_bytes(x: np.ndarray) -> np.ndarray:
    """uint8 0..255 -> float32 0..1 (x / 255, rounded once)."""
    return np.divide(x, np.float32(255), dtype=np.float32)


class ArrayDataset:
    """Samples `x` (N, ...) and targets `y` (N, ...) held as arrays, without a copy where the dtype allows.

    `x` is float32, float64, or uint8; uint8 is kept as it is (a quarter of the memory) and each batch is
    scaled to float32 0..1. `y` is integer labels, which become int64, or float32/float64 targets.
    `transform(x, generator)` is applied to each batch. TypeError for other dtypes, ValueError for unequal
    lengths.
    """

    def __init__(self, x: Any, y: Any, transform: Callable | None = None) -> None:
        x, y = check.array("ArrayDataset", "x", x), check.array("ArrayDataset", "y", y)
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
            raise ValueError(f"ArrayDataset: x and y must have the same first dimension, got {x.shape} and {y.shape}")
        if x.dtype != np.uint8 and x.dtype.newbyteorder("=") not in check.FLOATS:
            raise TypeError(
                f"ArrayDataset: x must be float32, float64 or uint8, got {x.dtype}; use x.astype(numpy.float32)"
            )
        if y.dtype.kind in "iu":
            y = y.astype(np.int64, copy=False)
        elif y.dtype.newbyteorder("=") not in check.FLOATS:
            raise TypeError(f"ArrayDataset: y must be integers, float32 or float64, got {y.dtype}")
        if transform is not None and not callable(transform):
            raise TypeError(f"ArrayDataset: transform must be callable, got {transform!r}")
        self.x = x
        self.y = y
        self.transform = transform

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"ArrayDataset({len(self)} samples of shape {self.x.shape[1:]})"

    def batch(self, indices: Any, generator: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`(x, y)` of the samples at `indices` (1-d integers from 0 to N-1) as new arrays.

        `generator` goes to the transform; a random transform without one is a TypeError.
        """
        chosen = check.indices("ArrayDataset.batch", indices, len(self))
        x, y = self.x[chosen], self.y[chosen]
        if x.dtype == np.uint8:
            x = scale_bytes(x)
        elif not x.dtype.isnative:
            x = x.astype(x.dtype.newbyteorder("="))
        if self.transform is not None:
            x = self.transform(x, generator)
        return x, y


def batches(
    n: int,
    batch_size: int,
    generator: np.random.Generator | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Iterator[np.ndarray]:
    """Index arrays (int64) that visit 0..n-1 once, `batch_size` at a time; the last may be shorter.

    The order is one `generator.permutation(n)`, drawn when `batches` is called, so the same Generator state
    gives the same batches; without a generator a fresh, unpredictable one is used. `shuffle=False` draws
    nothing. `drop_last` leaves out a last batch that is shorter.
    """
    n = check.integer("batches", "n", n, 0)
    batch_size = check.integer("batches", "batch_size", batch_size, 1)
    if not shuffle:
        order = np.arange(n, dtype=np.int64)
    else:
        source = np.random.default_rng() if generator is None else check.generator("batches", generator)
        order = source.permutation(n).astype(np.int64, copy=False)
    stop = n - n % batch_size if drop_last else n
    return (order[start : start + batch_size] for start in range(0, stop, batch_size))
