"""Takes times of several functions in turn, so that what else the machine does hits all alike, and says how far their
results differ. It must never compare times of different runs."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# A timed stretch shorter than this measures the clock and the caches more than the function.
_STRETCH = 8e-3

# Idle threads of a BLAS spin for up to a tenth of a second after a call, on the cores that the next one needs: each
# turn waits that out.
_SETTLE = 0.12
# Then the cores and the own threads have to wake up again.
_WARM = 5e-3


def timed(call: Callable[[], Any], repeats: int = 1) -> float:
    """Seconds of one call, averaged over `repeats` in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def rounds(
    calls: Mapping[str, Callable[[], Any]], *, seconds: float = 1.0, min_rounds: int = 5, max_rounds: int = 200
) -> dict[str, list[float]]:
    """Seconds of each call in each of a number of rounds in which all have one turn.

    The order turns with each round. A turn is a pause, in which the threads of its predecessor fall asleep, a
    call or more to warm up, then as many as fill a few milliseconds. Rounds go on for about `seconds`, at least
    `min_rounds` of them.
    """
    names = list(calls)
    repeats = {name: _repeats(calls[name]) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + seconds
    for turn in range(max_rounds):
        if turn >= min_rounds and time.perf_counter() > end:
            break
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(_SETTLE)
            warm = time.perf_counter() + _WARM
            calls[name]()
            while time.perf_counter() < warm:
                calls[name]()
            times[name].append(timed(calls[name], repeats[name]))
    return times


def _repeats(call: Callable[[], Any]) -> int:
    """How many calls fill a stretch. The first pays for loading and for memory; the best of three is not a hiccup's."""
    call()
    return max(1, min(1000, round(_STRETCH / max(min(timed(call) for _ in range(3)), 1e-7))))


def deviation(result: Any, expected: Any) -> float:
    """The largest difference of an array from the expected one, as a part of the largest expected value; of tuples of
    arrays the largest of theirs. inf where their number or a shape differs or a NaN is in either."""
    if not isinstance(expected, tuple):
        result, expected = (result,), (expected,)
    if len(result) != len(expected):
        return math.inf
    return max(_deviation(*map(np.asanyarray, pair)) for pair in zip(result, expected, strict=True))


def _deviation(result: np.ndarray, expected: np.ndarray) -> float:
    if result.shape != expected.shape:
        return math.inf
    # Picture by picture: temporaries stay small.
    parts = zip(result, expected, strict=True) if expected.ndim > 1 else [(result, expected)]
    largest = [float(np.max(np.abs(mine - theirs))) for mine, theirs in parts]
    if any(map(math.isnan, largest)):
        return math.inf
    scale = max(float(np.max(expected)), -float(np.min(expected)))
    return max(largest) / max(scale, float(np.finfo(expected.dtype).tiny))
