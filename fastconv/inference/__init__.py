"""Whole networks for inference: `optimize` lowers a model to a list of kernel calls over one planned arena.
Nothing here reaches a kernel but through fastconv._program."""

from .optimized import Optimized, optimize

__all__ = ["Optimized", "optimize"]
