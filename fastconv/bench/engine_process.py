"""The process of one engine: reads a request a line, writes an answer a line of JSON. Run by contest.py.
It must never answer while its own threads still spin: the next turn belongs to another process."""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .engines import ENGINES

# A timed stretch shorter than this measures the clock; before it the cores and the engine's threads wake up.
_STRETCH, _WARM = 30e-3, 5e-3
# Threads that still wait actively use the CPU: less than this part of a core is sleep.
_IDLE, _NAP, _PATIENCE = 0.05, 5e-3, 5.0


def fall_asleep() -> None:
    """Return when no thread of this process runs any more."""
    end = time.perf_counter() + _PATIENCE
    while time.perf_counter() < end:
        wall, cpu = time.perf_counter(), time.process_time()
        time.sleep(_NAP)
        if time.process_time() - cpu < _IDLE * (time.perf_counter() - wall):
            return
    raise RuntimeError(f"the threads still spin {_PATIENCE:g} s after a call")


def _peak() -> int:
    """The most bytes of RAM that this process has had: of this program alone where the system keeps that, for the other
    figure begins with what the parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class _Server:
    """What can be asked."""

    def __init__(self, engine: str, folder: Path, threads: int) -> None:
        self.engine, self.folder, self.threads = engine, folder, threads

    def prepare(self) -> dict[str, Any]:
        """Load the network, run it once and write its results."""
        self.call, results = ENGINES[self.engine][1](self.folder, np.load(self.folder / "x.npy"), self.threads)
        np.savez(self.folder / f"{self.engine}.npz", *results(self.call()))
        for _ in range(3):
            self.call()
        fall_asleep()
        return {}

    def turn(self) -> dict[str, Any]:
        """Seconds of one call: warm up, then the mean of as many calls as fill a stretch."""
        start, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - start < _WARM:
            first = time.perf_counter()
            self.call()
            calls += 1
        repeats = max(1, round(_STRETCH / (time.perf_counter() - first)))
        start = time.perf_counter()
        for _ in range(repeats):
            self.call()
        seconds = (time.perf_counter() - start) / repeats
        fall_asleep()
        return {"seconds": seconds}

    def memory(self) -> dict[str, Any]:
        """The most bytes so far."""
        return {"memory": _peak()}


def main() -> None:
    """Serve until the input ends."""
    engine, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    # Engines print what they like: the answers have their pipe for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    server = _Server(engine, folder, threads)
    for line in sys.stdin:
        try:
            answer = getattr(server, line.strip())()
        except Exception as error:  # whatever an engine raises is its answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
