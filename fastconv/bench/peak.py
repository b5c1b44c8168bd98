"""The speed of this machine's multiply-add units with all threads at work: what convolutions are compared
with.
The one place outside the functional API that asks the binding for something; no operation may be timed
here."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _kernels
from .measure import timed


def peak_call(dtype: Any = np.float32, seconds: float = 5e-3) -> tuple[Callable[[], float], float]:
    """A call that does nothing but multiply-adds for about `seconds`, and how many operations it does."""
    size = np.dtype(dtype).itemsize
    for rounds in (1000 << doubling for doubling in range(30)):
        call = functools.partial(_kernels.fma_peak, rounds, size)
        if timed(call) >= seconds:
            break
    return call, call()
