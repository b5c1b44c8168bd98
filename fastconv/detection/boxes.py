"""Boxes as corners (x1, y1, x2, y2): how much they overlap, and which of several on one object stays.
It must never depend on the order of equal scores beyond this: the first one wins."""

import numpy as np


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Area of the intersection over that of the union, (M, N), of boxes (M, 4) and (N, 4); 0 where both are empty."""
    with np.errstate(all="ignore"):
        low = np.maximum(a[:, None, :2], b[None, :, :2])
        high = np.minimum(a[:, None, 2:], b[None, :, 2:])
        both = np.clip(high - low, 0, None).prod(axis=2)
        areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (a, b)]
        union = areas[0][:, None] + areas[1][None, :] - both
        return np.where(union > 0, both / union, 0)


def non_maximum_suppression(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the boxes (M, 4) that stay, best score first.

    Greedily: the best one stays, all that overlap it by more than `threshold` go, and so on with what is left.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        kept.append(left[0])
        left = left[1:][iou(boxes[left[:1]], boxes[left[1:]])[0] <= threshold]
    return np.array(kept, np.int64)
