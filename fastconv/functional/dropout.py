"""Inverted dropout (Srivastava et al. 2014) and its gradient, in NumPy. All randomness comes from the
caller's generator."""

from __future__ import annotations

import numpy as np

from fastconv import _validate as check
from fastconv import _validate_values as values
from fastconv._memory import empty


def dropout(x: np.ndarray, p: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(y, mask): y = x * mask, where mask (x's shape and dtype) is 0 with probability p, 0 <= p < 1, and 1
    / (1 - p) otherwise. The generator is asked for one float32 an element whatever the dtype of x."""
    op = "dropout"
    x = check.array(op, "x", x)
    check.no_empty_axis(op, "x", x.shape)
    p = values.probability(op, "p", p, below_one=True)
    keep = values.generator(op, generator).random(x.shape, dtype=np.float32) >= p
    mask = np.multiply(keep, x.dtype.type(1 / (1 - p)), out=empty(x.shape, x.dtype))
    with np.errstate(all="ignore"):
        return np.multiply(x, mask, out=empty(x.shape, x.dtype)), mask


def dropout_backward(dy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """dy * mask."""
    op = "dropout_backward"
    dy, mask = check.array(op, "dy", dy), check.array(op, "mask", mask)
    check.same_dtype(op, "dy", dy, "mask", mask)
    check.shaped(op, "dy", dy, mask.shape)
    check.no_empty_axis(op, "dy", dy.shape)
    with np.errstate(all="ignore"):
        return np.multiply(dy, mask, out=empty(dy.shape, dy.dtype))
