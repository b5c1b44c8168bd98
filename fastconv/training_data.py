"""Batches for the trainer, from arrays or from a data set, and what is counted of them.
It must never draw random numbers but from the generator given with each batch."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .data import ArrayDataset

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Source:
    """Batches of arrays or of a data set, with the transform of the training."""

    def __init__(self, op: str, x: Any, y: Any = None, transform: Transform | None = None) -> None:
        if transform is not None and not callable(transform):
            raise TypeError(f"{op}: transform must be callable, got {transform!r}")
        if hasattr(x, "batch") and y is not None:
            raise TypeError(f"{op}: x is a data set, which has its own targets; y must be None")
        if not hasattr(x, "batch"):
            if y is None:
                raise TypeError(f"{op}: y is missing: x is an array, not a data set")
            x = ArrayDataset(x, y)
        self._dataset, self._transform = x, transform
        self._takes_generator = "generator" in inspect.signature(x.batch).parameters
        if len(x) == 0:
            raise ValueError(f"{op}: x holds no samples")

    def __len__(self) -> int:
        return len(self._dataset)

    def batch(self, indices: np.ndarray, generator: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of the samples at `indices`; random changes draw from `generator`."""
        if self._takes_generator:
            x, y = self._dataset.batch(indices, generator)
        else:
            x, y = self._dataset.batch(indices)
        return (x if self._transform is None else self._transform(x, generator)), y


def validation_source(data: Any) -> Source | None:
    if data is None or hasattr(data, "batch"):
        return None if data is None else Source("Trainer.fit", data)
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError("Trainer.fit: validation_data must be (x, y) or a data set")
    return Source("Trainer.fit", *data)


def count_correct(prediction: np.ndarray | tuple[np.ndarray, ...], target: np.ndarray) -> int | None:
    """How many rows are largest at their label; None where that makes no sense."""
    if isinstance(prediction, tuple) or prediction.ndim != 2 or target.ndim != 1 or target.dtype.kind not in "iu":
        return None
    return int((prediction.argmax(axis=1) == target).sum())
