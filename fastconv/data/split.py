"""A data set divided into a training and a test part, and how that division is drawn.
The division must never depend on anything but labels, fraction and seed, nor change with the NumPy
version."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _arguments as check
from .dataset import Dataset


@dataclass(frozen=True)
class Split:
    """A data set ready for training: `train` and `test` have `len()` and `batch(indices) -> (x, y)`.

    `classes` are the class names in the order of the labels, `name` says what was loaded, `shape` is (C, H,
    W) of one picture.
    """

    train: Dataset
    test: Dataset
    classes: tuple[str, ...]
    name: str
    shape: tuple[int, int, int]

    @property
    def channels(self) -> int:
        """C, 1 for grey and 3 for colour."""
        return self.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.shape[1:]


def stratified_split(labels: Any, test_fraction: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Divide samples so that each class keeps its share: sorted indices `(train, test)`, int64.

    Of a class of m >= 2 samples round(m * test_fraction), at least 1 and at most m - 1, go to the test part;
    a class of one stays in training. Each sample gets a 64-bit key from PCG64(seed) in order, and the
    smallest keys of each class are taken: raw PCG64 output is frozen by NumPy, so the split is the same for
    every version.
    """
    y = check.array("stratified_split", "labels", labels)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise TypeError(f"stratified_split: labels must be 1-d integers, got {y.dtype} of shape {y.shape}")
    share = check.fraction("stratified_split", "test_fraction", test_fraction, open_ends=True)
    keys = np.random.PCG64(check.integer("stratified_split", "seed", seed, 0)).random_raw(len(y))
    in_test = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        if len(members) > 1:
            count = min(max(int(len(members) * share + 0.5), 1), len(members) - 1)
            in_test[members[np.argsort(keys[members], kind="stable")[:count]]] = True
    if not in_test.any():
        raise ValueError("stratified_split: labels must have a class of at least 2 samples to divide, got none")
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
