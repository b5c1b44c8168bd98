"""What the machine can do with all threads at work: multiply-adds for convolutions, copying for what moves memory.
It must never be compared with a time of another run: clocks change with temperature and neighbours."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


def copy_call(threads: int, megabytes: int = 128) -> tuple[Callable[[], None], int]:
    """A call that copies an array of so many megabytes (2**20), a part a thread, and the bytes it reads and writes.

    The array should be larger than the caches. Both arrays are in memory before: no page faults are timed.
    """
    source = np.ones(megabytes << 17, np.float64)
    target = source.copy()
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    workers = ThreadPoolExecutor(threads)

    def call() -> None:
        # copyto releases the GIL: the parts run at once.
        list(workers.map(lambda part: np.copyto(*part), parts))

    return call, 2 * source.nbytes
