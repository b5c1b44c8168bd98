"""How well a classifier does, class by class: the confusion matrix and what follows from it.
It must never divide by zero: what was not measured is NaN."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["ClassScore", "class_scores", "confusion_matrix"]


class ClassScore(NamedTuple):
    """Of one class: `precision`, the share of right ones among the pictures said to be of it, NaN if there are none;
    `recall`, the share that was found of the `count` pictures that are of it, NaN if there are none."""

    precision: float
    recall: float
    count: int


def confusion_matrix(labels: Any, predictions: Any, num_classes: int) -> np.ndarray:
    """(K, K) int64: how many samples of class row were taken for class column.

    `labels` are integers (N,), `predictions` integers (N,) or scores (N, K); ValueError where one is not from 0 to
    num_classes - 1.
    """
    found = np.asarray(predictions)
    found = found.argmax(axis=1) if found.ndim == 2 else found
    true = np.asarray(labels)
    if true.ndim != 1 or true.shape != found.shape:
        raise ValueError(f"confusion_matrix: labels and predictions do not fit: {true.shape} and {found.shape}")
    for name, values in (("labels", true), ("predictions", found)):
        if values.dtype.kind not in "iu":
            raise TypeError(f"confusion_matrix: {name} must be integers, got {values.dtype}")
        if values.size and not (values.min() >= 0 and values.max() < num_classes):
            raise ValueError(f"confusion_matrix: {name} must be from 0 to {num_classes - 1}")
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (true, found), 1)
    return matrix


def class_scores(matrix: np.ndarray) -> list[ClassScore]:
    """Precision, recall and count of each class, from a confusion matrix."""
    right, said, true = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    return [
        ClassScore(r / s if s else float("nan"), r / t if t else float("nan"), t)
        for r, s, t in zip(right.tolist(), said.tolist(), true.tolist(), strict=True)
    ]
