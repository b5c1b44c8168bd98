"""Inverted dropout (Srivastava et al. 2014) and its gradient in plain NumPy. It never calls a kernel."""

import numpy as np

from . import _arguments as read


def dropout(x, p, generator):
    """(y, mask): y = x * mask, where mask is 0 with probability p and 1 / (1 - p) otherwise, drawn from the
    generator as one float32 an element whatever the dtype of x."""
    a = read.array(x, "x")
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"generator: expected a numpy.random.Generator, got {type(generator).__name__}")
    if not 0 <= p < 1:
        raise ValueError(f"p: expected 0 <= p < 1, got {p}")
    keep = generator.random(a.shape, dtype=np.float32) >= p
    mask = keep * a.dtype.type(1 / (1 - p))
    return read.deliver(a * mask), mask


def dropout_backward(dy, mask):
    """dy * mask."""
    d, m = read.array(dy, "dy"), read.array(mask, "mask")
    read.alike(d.dtype, m, "mask")
    read.expect(m, "mask", d.shape)
    return read.deliver(d * m)
