"""Cross entropy and mean squared error, each with its gradient, in plain NumPy. It never calls a kernel.
The loss of nothing (N = 0) is 0."""

import numpy as np

from . import _arguments as read
from .pointwise import log_softmax


def cross_entropy(logits, labels, *, label_smoothing=0.0):
    """(loss, dlogits) of logits (N, K) against integer labels (N,), averaged over N. With smoothing s the
    target is 1 - s on the label plus s / K everywhere (Szegedy et al. 2016, as PyTorch)."""
    a, wanted = read.array(logits, "logits", 2), np.asarray(labels)
    if not np.issubdtype(wanted.dtype, np.integer):
        raise TypeError(f"labels: expected integers, got {wanted.dtype}")
    (N, K), smoothing = a.shape, float(label_smoothing)
    read.expect(wanted, "labels", (N,))
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing: expected 0 to 1, got {label_smoothing}")
    for i, label in enumerate(wanted):
        if not 0 <= label < K:
            raise ValueError(f"labels: expected 0 to {K - 1}, got {label} at {i}")
    target = np.full((N, K), smoothing / K, a.dtype)
    target[np.arange(N), wanted] += a.dtype.type(1 - smoothing)
    log_p = log_softmax(a, axis=1)
    terms = np.where(target == 0, a.dtype.type(0), target * log_p)  # 0 * -inf of an impossible class is nothing
    return float(0 - terms.sum() / max(N, 1)), (np.exp(log_p) - target) / a.dtype.type(max(N, 1))


def mse_loss(prediction, target):
    """(loss, dprediction): the mean over all elements of (prediction - target) squared."""
    a, b = read.array(prediction, "prediction"), read.array(target, "target")
    read.alike(a.dtype, b, "target")
    read.expect(b, "target", a.shape)
    difference, count = a - b, a.dtype.type(max(a.size, 1))
    return float((difference * difference).sum() / count), read.deliver(2 * difference / count)
