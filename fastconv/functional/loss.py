"""Cross entropy and mean squared error, each with its gradient, in NumPy. The loss of nothing (N = 0) is
0."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _validate as check
from fastconv import _validate_values as values


def cross_entropy(logits: np.ndarray, labels: Any, *, label_smoothing: float = 0.0) -> tuple[float, np.ndarray]:
    """(loss, dlogits) of logits (N, K) against integer labels (N,), the mean over N. With smoothing s the
    target is 1 - s on the label plus s / K everywhere (Szegedy et al. 2016). A label outside 0 .. K - 1 is
    a ValueError that names its place."""
    op = "cross_entropy"
    logits = check.array(op, "logits", logits)
    check.dimensions(op, "logits", logits, 2, "(N, K)")
    check.no_empty_axis(op, "logits", logits.shape)
    n, k = logits.shape
    labels = values.labels(op, labels, n, k)
    smoothing = values.probability(op, "label_smoothing", label_smoothing, below_one=False)
    if n == 0:
        return 0.0, np.empty_like(logits)
    rows, wide = np.arange(n), np.float64
    with np.errstate(all="ignore"):
        shifted = logits - logits.max(axis=1, keepdims=True)
        gradient = np.exp(shifted)
        total = gradient.sum(axis=1, keepdims=True)
        shifted -= np.log(total)
        loss = 0.0
        if smoothing < 1:
            loss -= (1 - smoothing) * float(shifted[rows, labels].sum(dtype=wide))
        if smoothing > 0:
            loss -= smoothing / k * float(shifted.sum(dtype=wide))
        gradient /= total
        gradient -= logits.dtype.type(smoothing / k)
        gradient[rows, labels] -= logits.dtype.type(1 - smoothing)
        gradient /= logits.dtype.type(n)
    return loss / n, gradient


def mse_loss(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """(loss, dprediction): the mean over all elements of (prediction - target) squared. Both have one shape
    and dtype."""
    op = "mse_loss"
    prediction, target = check.array(op, "prediction", prediction), check.array(op, "target", target)
    check.same_dtype(op, "prediction", prediction, "target", target)
    check.shaped(op, "target", target, prediction.shape)
    check.no_empty_axis(op, "prediction", prediction.shape)
    count = max(prediction.size, 1)
    with np.errstate(all="ignore"):
        difference = np.asarray(prediction - target)
        loss = float(np.square(difference).sum(dtype=np.float64)) / count
        difference *= prediction.dtype.type(2 / count)
    return loss, difference
