"""Dropout.
It must never draw from a global random state: the generator is its own, so that training can be resumed."""

import numpy as np

from .. import functional as F
from . import _arguments as read
from .base import Back, Layer


class Dropout(Layer):
    """In training each element is 0 with probability p, the others are multiplied by 1 / (1 - p).

    Random numbers come from `generator`. Without one the trainer gives the layer a generator that follows
    from its seed; outside a trainer the first forward makes a fresh, unpredictable one.
    """

    arguments = ("p",)
    result = "input"  # inference hands on x itself, whatever `training` says

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: np.random.Generator | None = None) -> None:
        self.p = read.number("Dropout", "p", p, 0, 1)
        if self.p == 1:
            raise ValueError("Dropout: p must be less than 1, got 1 (nothing would be left)")
        self.inplace = read.flag("Dropout", "inplace", inplace)
        self.generator = generator

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        if not self.training or self.p == 0:
            return x, lambda dy, needs_input=True: dy if needs_input else None
        if self.generator is None:
            self.generator = np.random.default_rng()
        y, mask = F.dropout(x, self.p, self.generator)
        return y, lambda dy, needs_input=True: F.dropout_backward(dy, mask) if needs_input else None

    def describe(self) -> str:
        return f"p={self.p:g}"
