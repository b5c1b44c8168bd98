"""Optimizers by PyTorch's formulas, in place on NumPy arrays: SGD, Adam, AdamW.
They must never know layers or files: they see Parameters."""

from .adam import Adam, AdamW
from .base import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
