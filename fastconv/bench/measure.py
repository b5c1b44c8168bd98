"""Takes times of several functions in turn, so that what else the machine does hits all alike.
It must never compare times of different runs."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

# A timed stretch shorter than this measures the clock and the caches more than the function.
_STRETCH = 2e-3


def timed(call: Callable[[], Any], repeats: int = 1) -> float:
    """Seconds of one call, averaged over `repeats` in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def medians(
    calls: Mapping[str, Callable[[], Any]],
    *,
    seconds: float = 1.0,
    min_rounds: int = 5,
    max_rounds: int = 200,
) -> dict[str, float]:
    """Median seconds of each call over rounds in which each has one turn.

    The order turns with each round. A turn is one call to warm the caches that its predecessor emptied, then
    as many as fill a few milliseconds. Rounds go on for about `seconds`, at least `min_rounds` of them.
    """
    names = list(calls)
    repeats = {}
    for name in names:
        calls[name]()  # the first call pays for loading and for memory
        repeats[name] = max(1, min(100, round(_STRETCH / max(timed(calls[name]), 1e-7))))
    times: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + seconds
    for turn in range(max_rounds):
        if turn >= min_rounds and time.perf_counter() > end:
            break
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            calls[name]()
            times[name].append(timed(calls[name], repeats[name]))
    return {name: statistics.median(values) for name, values in times.items()}
