"""Losses with their gradient: CrossEntropyLoss and MSELoss.
They must never compute anything themselves: fastconv.functional does."""

import numpy as np

from . import functional as F


class CrossEntropyLoss:
    """Mean cross entropy of logits (N, K) against integer labels (N,), as PyTorch's.

    With `label_smoothing` s the target is (1 - s) on the label plus s / K everywhere. A label outside 0..K-1
    is a ValueError that names its place.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if isinstance(label_smoothing, bool) or not isinstance(label_smoothing, (int, float)):
            raise TypeError(f"CrossEntropyLoss: label_smoothing must be a number, got {label_smoothing!r}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing must be from 0 to 1, got {label_smoothing}")
        self.label_smoothing = float(label_smoothing)

    def forward(self, prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """(loss, gradient of the prediction)."""
        return F.cross_entropy(prediction, target, label_smoothing=self.label_smoothing)

    def __call__(self, prediction: np.ndarray, target: np.ndarray) -> float:
        return self.forward(prediction, target)[0]

    def __repr__(self) -> str:
        return f"CrossEntropyLoss(label_smoothing={self.label_smoothing:g})"


class MSELoss:
    """Mean over all elements of (prediction - target) squared; both of one shape and dtype."""

    def forward(self, prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """(loss, gradient of the prediction)."""
        return F.mse_loss(prediction, target)

    def __call__(self, prediction: np.ndarray, target: np.ndarray) -> float:
        return self.forward(prediction, target)[0]

    def __repr__(self) -> str:
        return "MSELoss()"
