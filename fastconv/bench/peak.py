"""The speed of the multiply-add units with all threads at work: what convolutions are compared with.
It asks the binding, as no other benchmark may: all the rest goes through the functional API."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _kernels
from .measure import timed


def peak_call(dtype: Any = np.float32, seconds: float = 5e-3) -> tuple[Callable[[], float], float]:
    """A call that does nothing but multiply-adds for about `seconds`, and how many operations it does."""
    size = np.dtype(dtype).itemsize
    # From as many rounds as the fastest cores do in a millisecond: on a busy machine a shorter call measures the wait.
    first = max(1000, round(1000 * 5e8 / _kernels.fma_peak(1000, size)))
    for rounds in (first << doubling for doubling in range(20)):
        call = functools.partial(_kernels.fma_peak, rounds, size)
        if min(timed(call) for _ in range(3)) >= seconds:
            break
    return call, call()
