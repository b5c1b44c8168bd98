"""First values of weights, as PyTorch draws them, and placeholders for weights that a file will bring.
It must never draw from a global random state."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

# The dtype of placeholders for floats, None: no placeholders.
_placeholders: ContextVar[type | None] = ContextVar("fastconv_placeholders", default=None)


@contextmanager
def placeholders(dtype: type = np.float32) -> Iterator[None]:
    """Inside, layers are built with read-only arrays of stride 0 that take no memory whatever their shape, of
    `dtype` where they would be float32.

    For readers of model files, which put the real arrays in place: a file that lies about sizes costs
    nothing, and no random numbers are drawn in vain.
    """
    token = _placeholders.set(dtype)
    try:
        yield
    finally:
        _placeholders.reset(token)


def filled(shape: tuple[int, ...], value: float, dtype: type = np.float32) -> np.ndarray:
    """A new array of one value."""
    if (other := _placeholders.get()) is not None:
        return np.broadcast_to((other if dtype is np.float32 else dtype)(value), shape)
    return np.full(shape, value, dtype)


def uniform(shape: tuple[int, ...], fan_in: int, generator: np.random.Generator | None) -> np.ndarray:
    """float32 drawn from U(-b, b), b = 1 / sqrt(fan_in).

    That is He et al. (2015) uniform with a = sqrt(5), PyTorch's default for weights and biases of
    convolutions and of Linear. Without a generator a fresh, unpredictable one is used.
    """
    if (dtype := _placeholders.get()) is not None:
        return np.broadcast_to(dtype(0), shape)
    if generator is None:
        generator = np.random.default_rng()
    elif not isinstance(generator, np.random.Generator):
        raise TypeError(f"generator must be a numpy.random.Generator, got {generator!r}")
    bound = np.float32(1 / math.sqrt(fan_in))
    values = generator.random(shape, dtype=np.float32)
    values -= np.float32(0.5)
    values *= 2 * bound
    return values
