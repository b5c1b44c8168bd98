"""The speed of this machine's multiply-add units with all threads at work: what convolutions are compared with.
The one place outside the functional API that asks the binding for something; no operation may be timed here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _kernels
from .measure import timed


def peak_call(dtype: Any = np.float32, seconds: float = 5e-3) -> tuple[Callable[[], float], float]:
    """A call that does nothing but multiply-adds for about `seconds`, and how many operations it does."""
    size = np.dtype(dtype).itemsize
    rounds = 1000
    while timed(lambda: _kernels.fma_peak(rounds, size)) < seconds and rounds < 1 << 40:
        rounds *= 2
    return lambda: _kernels.fma_peak(rounds, size), _kernels.fma_peak(rounds, size)
