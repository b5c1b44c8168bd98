"""The speed of the multiply-add units with all threads at work: what convolutions are compared with.
It must never be compared with a time of another run: clocks change with temperature and neighbours."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..config import multiply_adds
from .measure import timed


def peak_call(dtype: Any = np.float32, seconds: float = 5e-3) -> tuple[Callable[[], float], float]:
    """A call that does nothing but multiply-adds for about `seconds`, and how many operations it does."""
    size = np.dtype(dtype).itemsize
    # From as many rounds as the fastest cores do in a millisecond: on a busy machine a shorter call measures the wait.
    first = max(1000, round(1000 * 5e8 / multiply_adds(1000, size)))
    for rounds in (first << doubling for doubling in range(20)):
        call = functools.partial(multiply_adds, rounds, size)
        if min(timed(call) for _ in range(3)) >= seconds:
            break
    return call, call()
