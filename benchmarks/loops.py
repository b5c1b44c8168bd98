"""The parallel loops that a call runs, task by task, and what they would be on more cores than there are here.
It must never know how a kernel splits its work: the kernels say so themselves, and so does what shares tasks out."""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import numpy as np

from fastconv import _kernels


@dataclass(frozen=True)
class Loop:
    """A parallel loop: its cost as the kernel states it (multiply-adds) and how long each task takes on one core."""

    work: float
    seconds: np.ndarray

    def place(self, cores: int) -> tuple[np.ndarray, np.ndarray]:
        """(seconds that each core works, the core of each task), as the threads of that many cores take them."""
        busy, core = np.zeros(cores), np.zeros(len(self.seconds), np.intp)
        _kernels.place_tasks(self.work, cores, self.seconds, busy, core)
        return busy, core


@dataclass(frozen=True)
class Recorded:
    """A call: its loops, in order, and the seconds that it spends outside of them."""

    loops: tuple[Loop, ...]
    outside: float

    @property
    def seconds(self) -> float:
        """On one core."""
        return self.outside + sum(float(loop.seconds.sum()) for loop in self.loops)

    def on(self, cores: int, start: float) -> tuple[float, float]:
        """(seconds on that many cores, share of the cores' time in loops that is work), where a loop of several
        threads needs `start` seconds to begin and end."""
        elapsed, work, held = self.outside, 0.0, 0.0
        for loop in self.loops:
            busy, _ = loop.place(cores)
            last = float(busy.max())
            elapsed += last + start * (np.count_nonzero(busy) > 1)
            work += float(busy.sum())
            held += cores * last
        return float(elapsed), work / held if held else 1.0


@contextmanager
def watching(watch: Callable[[int, int, float], None]) -> Iterator[None]:
    """Inside, loops run on this thread alone, and `watch(tasks, task, work)` is called before each task and, with
    task == tasks, after the last."""
    _kernels.watch_loops(watch)
    try:
        yield
    finally:
        _kernels.watch_loops(None)


class _Stopwatch:
    def __init__(self) -> None:
        self.loops: list[tuple[float, list[float]]] = []
        self.inside = 0.0

    def __call__(self, tasks: int, task: int, work: float) -> None:
        now = time.perf_counter()
        if task == 0:
            self.loops.append((work, []))
            self.began = now
        else:
            self.loops[-1][1].append(now - self.left)
        self.left = time.perf_counter()
        if task == tasks:
            self.inside += self.left - self.began


def record(call: Callable[[], Any], rounds: int) -> Recorded:
    """The loops of `call`, each task with the shortest of its times; ValueError if it has others another time."""
    call()
    outside, times = [], []
    for _ in range(rounds):
        watch = _Stopwatch()
        with watching(watch):
            began = time.perf_counter()
            call()
            whole = time.perf_counter() - began
        outside.append(whole - watch.inside)
        times.append(watch.loops)
    shapes = {tuple((work, len(seconds)) for work, seconds in loops) for loops in times}
    if len(shapes) != 1:
        raise ValueError(f"the call ran different loops in {rounds} rounds")
    loops = (Loop(work, np.min([each[place][1] for each in times], axis=0)) for place, (work, _) in enumerate(times[0]))
    return Recorded(tuple(loops), min(outside))


class Touched:
    """How many bytes of memory a piece of code touches, in whole pages, as Linux counts them for this process.

    OSError where the system does not. What the counting itself touches is measured and taken off. Arrays made before
    may lie in huge pages, of which any part counts as a whole: make this first.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("only Linux counts the pages that a process touches")
        # In huge pages, 2 MB each, nothing could be seen. 41 is PR_SET_THP_DISABLE of sys/prctl.h.
        if ctypes.CDLL(None, use_errno=True).prctl(41, 1, 0, 0, 0):
            raise OSError("pages cannot be kept small")
        _kernels.free_pool()
        self._clear = os.open("/proc/self/clear_refs", os.O_WRONLY)
        self._read = os.open("/proc/self/smaps_rollup", os.O_RDONLY)

    @cached_property
    def own(self) -> int:
        """Bytes that are counted where nothing runs in between."""
        found = []
        for _ in range(20):
            self.begin()
            found.append(self._count())
        return int(median(found))

    def begin(self) -> None:
        """Count from here."""
        os.write(self._clear, b"1")

    def end(self) -> int:
        """Bytes since `begin`."""
        return max(self._count() - self.own, 0)

    def _count(self) -> int:
        for line in os.pread(self._read, 4096, 0).splitlines():
            if line.startswith(b"Referenced:"):
                return int(line.split()[1]) * 1024
        raise OSError("/proc/self/smaps_rollup does not say what was referenced")


def bytes_of_cores(call: Callable[[], Any], recorded: Recorded, cores: int, touched: Touched) -> np.ndarray:
    """What each core reads and writes of memory in all loops of `call`, each page once a loop: (cores,).

    Each core is given what it would do of equal tasks: neighbours, as good as always. The least of three rounds
    counts, for the system too marks pages now and then.
    """
    equal = [Loop(loop.work, np.ones_like(loop.seconds)).place(cores)[1] for loop in recorded.loops]
    return np.min([_bytes_once(call, equal, cores, touched) for _ in range(3)], axis=0)


def _bytes_once(call: Callable[[], Any], owners: list[np.ndarray], cores: int, touched: Touched) -> np.ndarray:
    of_loops, totals, owner = iter(owners), np.zeros(cores, np.int64), np.zeros(0, np.intp)

    def watch(tasks: int, task: int, work: float) -> None:
        nonlocal owner
        if task == 0:
            owner = next(of_loops)
        if 0 < task < tasks and owner[task] == owner[task - 1]:
            return
        if task:
            totals[owner[task - 1]] += touched.end()
        if task < tasks:
            touched.begin()

    touched.own  # noqa: B018 - measured before it counts
    with watching(watch):
        call()
    return totals
