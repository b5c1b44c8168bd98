"""The loss that trains the heads of YOLOv3, with its gradient.
It must never let a prediction that nobody is responsible for move a box or a class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import functional as F
from ..layers import Layer, YoloHead
from .boxes import iou
from .decode import decode, heads_of


class _Wanted(NamedTuple):
    """What one head should say, for each picture, box of a cell and cell: (N, A, P, Q) and a last axis."""

    responsible: np.ndarray  # bool: an object belongs to this prediction
    box: np.ndarray  # sigmoid(tx), sigmoid(ty), tw, th
    weight: np.ndarray  # of the terms of the box
    classes: np.ndarray  # 0 or 1, one a class


class YoloLoss:
    """The loss of YOLOv3, of all heads of `model`, for inputs of `size` (H, W): the sum over everything, divided by N.

    The target of `forward` is (N, T, 5): for each picture up to T objects (class, x, y, width, height), where the
    centre and the sizes are fractions of the input; class -1 is none. The prediction is what the model gives, one
    array or a tuple of arrays, and so is the gradient.

    Each object belongs to the prior, of all the model's, whose shape overlaps it most, in the cell where its centre
    is (Redmon and Farhadi 2018, sections 2.1 to 2.3). With s = sigmoid and, for an object, (bx, by) the place of its
    centre in its cell (0..1), (bw, bh) its size in pixels and (pw, ph) the prior, a prediction that is responsible
    costs

        k * (H(bx, s(tx)) + H(by, s(ty)) + ((tw - ln(bw / pw))**2 + (th - ln(bh / ph))**2) / 2)
          + H(1, s(to)) + the sum over classes of H(is it the class, s(tc)),    k = 2 - width * height of the object,

    H being the binary cross entropy above its minimum over predictions. Any other costs H(0, s(to)), or nothing where
    it overlaps some object by more than the head's `ignore_thresh`. The gradient with respect to the outputs,
    k (s(tx) - bx), k (tw - ln(bw / pw)), s(to) - 1 and so on, is what Darknet's yolo layer propagates; k and the cross
    entropy for the centre are Darknet's, not the paper's.
    """

    def __init__(self, model: Layer, size: tuple[int, int]) -> None:
        self.heads = heads_of(model)
        self.size = size

    def forward(
        self, prediction: np.ndarray | Sequence[np.ndarray], target: np.ndarray
    ) -> tuple[float, np.ndarray | tuple[np.ndarray, ...]]:
        """(loss, gradient of the prediction)."""
        outputs = (prediction,) if isinstance(prediction, np.ndarray) else tuple(prediction)
        if len(outputs) != len(self.heads):
            raise ValueError(f"YoloLoss: expected the outputs of {len(self.heads)} heads, got {len(outputs)}")
        target = self._checked(target, len(outputs[0]))
        found = [self._one(head, y, target) for head, y in zip(self.heads, outputs, strict=True)]
        loss = sum(value for value, _ in found) / max(len(target), 1)
        gradients = tuple(gradient for _, gradient in found)
        return loss, gradients[0] if isinstance(prediction, np.ndarray) else gradients

    def __call__(self, prediction: np.ndarray | Sequence[np.ndarray], target: np.ndarray) -> float:
        return self.forward(prediction, target)[0]

    def __repr__(self) -> str:
        return f"YoloLoss({len(self.heads)} heads, size={self.size})"

    def _one(self, head: YoloHead, y: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """Of one head: the sum over the batch, and the gradient of the mean over N."""
        N, _, P, Q = head(y).shape
        shape = (N, len(head.mask), 5 + head.num_classes, P, Q)
        t = y.reshape(shape).transpose(0, 1, 3, 4, 2)
        wanted = self._wanted(head, target, t.shape[:4], y.dtype)
        s = F.sigmoid(np.ascontiguousarray(t))
        gradient = np.zeros(t.shape, y.dtype)
        own = wanted.responsible
        k = wanted.weight[own][:, None]
        counted = own | ~self._overlapping(head, y, target).reshape(own.shape)
        loss = _cross_entropy(t[..., 4], own.astype(y.dtype))[counted].sum(dtype=np.float64)
        gradient[..., 4] = (s[..., 4] - own) * counted
        loss += (k * _cross_entropy(t[own][:, :2], wanted.box[own][:, :2])).sum(dtype=np.float64)
        loss += (k * np.square(t[own][:, 2:4] - wanted.box[own][:, 2:]) / 2).sum(dtype=np.float64)
        loss += _cross_entropy(t[own][:, 5:], wanted.classes[own]).sum(dtype=np.float64)
        parts = (k * (s[own][:, :2] - wanted.box[own][:, :2]), k * (t[own][:, 2:4] - wanted.box[own][:, 2:]))
        gradient[own, :4] = np.concatenate(parts, axis=1)
        gradient[own, 5:] = s[own][:, 5:] - wanted.classes[own]
        gradient /= y.dtype.type(max(N, 1))
        return float(loss), np.ascontiguousarray(gradient.transpose(0, 1, 4, 2, 3)).reshape(y.shape)

    def _overlapping(self, head: YoloHead, y: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Which predicted boxes (N, M) overlap an object by more than the threshold; to the gradient a constant."""
        boxes, _ = decode([head], [y], self.size)
        H, W = self.size
        found = np.zeros(boxes.shape[:2], bool)
        for n, objects in enumerate(target):
            objects = objects[objects[:, 0] >= 0]
            centre, half = objects[:, 1:3] * (W, H), objects[:, 3:] * (W / 2, H / 2)
            if len(objects):
                corners = np.concatenate([centre - half, centre + half], axis=1)
                found[n] = iou(boxes[n], corners).max(axis=1) > head.ignore_thresh
        return found

    def _wanted(self, head: YoloHead, target: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> _Wanted:
        _, _, P, Q = shape
        wanted = _Wanted(
            np.zeros(shape, bool),
            np.zeros((*shape, 4), dtype),
            np.zeros(shape, dtype),
            np.zeros((*shape, head.num_classes), dtype),
        )
        priors = np.array(head.anchors)
        for n, t in np.argwhere(target[:, :, 0] >= 0).tolist():
            kind, x, y, width, height = target[n, t].tolist()
            sizes = np.array([width * self.size[1], height * self.size[0]])
            best = int(iou(_at_origin(sizes[None]), _at_origin(priors))[0].argmax())
            if best not in head.mask:
                continue  # it belongs to another head
            i, j = min(int(x * Q), Q - 1), min(int(y * P), P - 1)
            place = (n, head.mask.index(best), j, i)
            wanted.responsible[place] = True  # of two objects in one place both classes count, and the last box
            wanted.box[place] = (x * Q - i, y * P - j, *np.log(sizes / priors[best]))
            wanted.weight[place] = 2 - width * height
            wanted.classes[place][int(kind)] = 1
        return wanted

    def _checked(self, target: np.ndarray, batch: int) -> np.ndarray:
        target = np.asarray(target, np.float64)
        if target.ndim != 3 or target.shape[::2] != (batch, 5):
            raise ValueError(f"YoloLoss: target must be ({batch}, T, 5), got shape {target.shape}")
        objects = target[target[:, :, 0] >= 0] if np.isfinite(target).all() else np.full((1, 5), np.nan)
        kinds, centres, sizes = objects[:, 0], objects[:, 1:3], objects[:, 3:]
        classes = min(head.num_classes for head in self.heads)
        inside = (centres >= 0).all() and (centres <= 1).all() and (sizes > 0).all() and (sizes <= 1).all()
        if not inside or (kinds != np.floor(kinds)).any() or (kinds >= classes).any():
            raise ValueError(
                f"YoloLoss: an object is (class 0..{classes - 1}, x, y, width, height) with a centre from 0 to 1 and "
                "sizes above 0 and at most 1; class -1 is none"
            )
        return target


def _at_origin(sizes: np.ndarray) -> np.ndarray:
    """Corners of boxes of these widths and heights, all with one corner at 0."""
    return np.concatenate([np.zeros_like(sizes), sizes], axis=1)


def _cross_entropy(logits: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """-p ln s - (1 - p) ln(1 - s), s = sigmoid(logits), above the least it can be, which is that of s = p."""
    with np.errstate(all="ignore"):
        least = -np.where(wanted > 0, wanted * np.log(wanted), 0) - np.where(
            wanted < 1, (1 - wanted) * np.log1p(-wanted), 0
        )
        return np.maximum(logits, 0) - logits * wanted + np.log1p(np.exp(-np.abs(logits))) - least
