"""What the heads of YOLOv3 say as boxes and scores, and the objects that a network finds in a picture.
It must never assume anchors, masks or the number of heads: those are the model's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import functional as F
from ..data.preprocess import Placement
from ..layers import Graph, Layer, YoloHead
from .boxes import non_maximum_suppression


@dataclass(frozen=True)
class Detection:
    """One object: its class as name and index, score 0..1, and (x, y, width, height) in pixels of the picture, x and
    y being the left upper corner."""

    label: str
    index: int
    score: float
    box: tuple[float, float, float, float]


def heads_of(model: Layer) -> tuple[YoloHead, ...]:
    """The detection heads of a Graph in the order of its outputs; ValueError for a model that has other outputs."""
    layers = [model[name] for name in model.outputs if name not in model.inputs] if isinstance(model, Graph) else []
    if not layers or not all(isinstance(layer, YoloHead) for layer in layers):
        raise ValueError(f"expected a Graph whose outputs are YoloHead layers, got {type(model).__name__}")
    return tuple(layers)


def decode(
    heads: Sequence[YoloHead], outputs: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(boxes (N, M, 4), scores (N, M, num_classes)) of all heads; corners in pixels of the input of `size` (H, W).

    In cell (i, j), counted along the width and the height, of P x Q cells, with prior (pw, ph) (Redmon and Farhadi
    2018, section 2.1): centre ((i + sigmoid(tx)) / Q, (j + sigmoid(ty)) / P) of the input, size (pw exp(tw),
    ph exp(th)) pixels; the score of a class is sigmoid(objectness) * sigmoid(its logit).
    """
    decoded = [_decode_one(head, head(np.asarray(y)), size) for head, y in zip(heads, outputs, strict=True)]
    return np.concatenate([b for b, _ in decoded], axis=1), np.concatenate([s for _, s in decoded], axis=1)


def _decode_one(head: YoloHead, y: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    N, _, P, Q = y.shape
    y = y.reshape(N, len(head.mask), 5 + head.num_classes, P, Q).transpose(0, 1, 3, 4, 2)
    priors = np.array([head.anchors[index] for index in head.mask], y.dtype)[:, None, None, :]
    cells = np.stack(np.meshgrid(np.arange(Q), np.arange(P)), axis=-1).astype(y.dtype)
    pixels = np.array([size[1] / Q, size[0] / P], y.dtype)
    with np.errstate(all="ignore"):
        centre = (cells + F.sigmoid(np.ascontiguousarray(y[..., :2]))) * pixels
        half = np.exp(y[..., 2:4]) * priors / 2
        boxes = np.concatenate([centre - half, centre + half], axis=-1)
        known = F.sigmoid(np.ascontiguousarray(y[..., 4:]))
        scores = known[..., :1] * known[..., 1:]
    count = len(head.mask) * P * Q  # counted, not -1, which NumPy cannot resolve for an empty batch
    return boxes.reshape(N, count, 4), scores.reshape(N, count, head.num_classes)


def detect(
    model: Layer,
    picture: np.ndarray,
    *,
    threshold: float = 0.25,
    nms: float = 0.45,
    fit: str | None = None,
    labels: Sequence[str] | None = None,
) -> list[Detection]:
    """The objects in a picture (height, width, 3) of uint8, best score first.

    A box counts for its best class where that score is above `threshold`; of boxes of one class that overlap by more
    than `nms` (intersection over union) the best stays. The picture becomes the input as `model.preprocess` says, with
    `fit` "letterbox" or "stretch" in place of its own where that is given. `labels` are the names of the classes, those
    of the model by default.
    """
    heads = heads_of(model)
    names = model.labels if labels is None else labels
    preprocess = model.preprocess
    if preprocess is None:
        raise ValueError("detect: model.preprocess is None: set it to a fastconv.data.Preprocess")
    preprocess = preprocess if fit is None else preprocess.replace(fit=fit, shorter_side=None)
    x = preprocess(picture)[None]
    outputs = model(x)
    boxes, scores = decode(heads, outputs if isinstance(outputs, tuple) else (outputs,), preprocess.size)
    height, width = picture.shape[:2]
    boxes = _of_picture(boxes[0], preprocess.placement(height, width), height, width)
    found = []
    for index, score, box in _best(boxes, scores[0], threshold, nms):
        x1, y1, x2, y2 = np.clip(box, 0, [width, height] * 2).tolist()
        name = names[index] if index < len(names) else f"class {index}"
        found.append(Detection(name, index, float(score), (x1, y1, x2 - x1, y2 - y1)))
    return sorted(found, key=lambda one: -one.score)


def _of_picture(boxes: np.ndarray, placement: Placement, height: int, width: int) -> np.ndarray:
    """Corners in pixels of the picture, beyond its edges too."""
    offset = np.array([placement.x, placement.y] * 2)
    factor = np.array([width / placement.width, height / placement.height] * 2)
    with np.errstate(all="ignore"):
        return (boxes - offset) * factor


def _best(boxes: np.ndarray, scores: np.ndarray, threshold: float, nms: float) -> list[tuple[int, float, np.ndarray]]:
    """(class, score, box) of what is above the threshold and survives suppression in its class."""
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    usable = (best > threshold) & np.isfinite(boxes).all(axis=1)
    found = []
    for index in np.unique(classes[usable]).tolist():
        mine = np.flatnonzero(usable & (classes == index))
        kept = mine[non_maximum_suppression(boxes[mine], best[mine], nms)]
        found += [(index, best[place], boxes[place]) for place in kept]
    return found
