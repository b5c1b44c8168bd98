"""YoloHead: marks a result of a network as a detection head of YOLOv3 and holds what its channels mean.
It must never change the array: decoding and the loss are fastconv.detection's."""

from collections.abc import Sequence

import numpy as np

from . import _arguments as read
from .base import Back, Layer


class YoloHead(Layer):
    """y = x, the same array: (N, A * (5 + num_classes), P, Q), A boxes in each cell (Redmon and Farhadi 2018).

    `anchors` are the (width, height) of all priors of the network, in pixels of its input, `mask` the indices of the A
    that this head predicts, in the order of its channels; None is all of them. Each box has 5 + num_classes channels:
    tx, ty, tw, th, the logit of objectness, one logit a class. For the loss: where a prediction overlaps an object by
    more than `ignore_thresh`, its objectness is not held against it.
    """

    arguments = ("anchors", "num_classes", "mask", "ignore_thresh")
    result = "input"

    def __init__(
        self,
        anchors: Sequence[Sequence[float]],
        num_classes: int,
        mask: Sequence[int] | None = None,
        ignore_thresh: float = 0.5,
    ) -> None:
        self.anchors = tuple(self._anchor(pair) for pair in anchors)
        self.num_classes = read.size("YoloHead", "num_classes", num_classes)
        indices = range(len(self.anchors)) if mask is None else mask
        self.mask = tuple(read.size("YoloHead", "mask", index, 0) for index in indices)
        if not self.mask or len(set(self.mask)) < len(self.mask) or max(self.mask) >= len(self.anchors):
            raise ValueError(
                f"YoloHead: mask must be indices of the {len(self.anchors)} anchors, each once, got {self.mask}"
            )
        self.ignore_thresh = read.number("YoloHead", "ignore_thresh", ignore_thresh, 0, 1)

    @staticmethod
    def _anchor(pair: Sequence[float]) -> tuple[float, float]:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"YoloHead: an anchor is (width, height), got {pair!r}")
        width, height = (read.number("YoloHead", "anchors", side) for side in pair)
        if min(width, height) <= 0:
            raise ValueError(f"YoloHead: an anchor must be larger than 0, got {pair!r}")
        return width, height

    @property
    def channels(self) -> int:
        """How many channels x has."""
        return len(self.mask) * (5 + self.num_classes)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        shape = np.shape(x)
        if len(shape) != 4 or shape[1] != self.channels:
            raise ValueError(f"YoloHead: x must have 4 dimensions and {self.channels} channels, got shape {shape}")
        return x

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        return self(x), lambda dy, needs_input=True: dy if needs_input else None

    def describe(self) -> str:
        return f"{len(self.mask)} of {len(self.anchors)} anchors, num_classes={self.num_classes}"
