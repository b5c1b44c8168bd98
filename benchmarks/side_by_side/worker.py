"""The process of one library: reads a request a line, writes an answer a line, both JSON. Run by process.py.
It must never answer while its own threads still spin: the next turn belongs to another process."""

import json
import os
import resource
import sys
import time
from typing import Any

# A timed stretch shorter than this measures the clock and the caches more than the library.
_STRETCH = 8e-3
# Before it the cores and the library's threads wake up.
_WARM = 5e-3
# To a call that takes this long waking up makes no difference: it is timed at once.
_LONG = 0.1
# Threads that still wait actively use the CPU: less than this part of a core is sleep.
_IDLE, _NAP, _PATIENCE = 0.05, 5e-3, 5.0

# Calls before the first turn, for what a library puts off to its first calls; large cases have fewer.
_FIRST_CALLS, _FIRST_SECONDS = 20, 0.05

# Steps whose losses are compared.
_STEPS = 3


def fall_asleep() -> None:
    """Return when no thread of this process runs any more."""
    end = time.perf_counter() + _PATIENCE
    while time.perf_counter() < end:
        wall, cpu = time.perf_counter(), time.process_time()
        time.sleep(_NAP)
        if time.process_time() - cpu < _IDLE * (time.perf_counter() - wall):
            return
    raise RuntimeError(f"the threads still spin {_PATIENCE:g} s after a call")


class Server:
    """What a worker can be asked: the public methods."""

    def __init__(self, library: str, threads: int) -> None:
        from .libraries import load

        self.library = load(library, threads)
        self.contestants: dict[str, Any] = {}

    def hello(self) -> dict[str, Any]:
        """Versions, and the memory of the libraries alone."""
        return {"versions": self.library.versions(), "memory": self.memory()["memory"]}

    def memory(self) -> dict[str, Any]:
        """The most bytes of RAM that this process has had."""
        unit = 1 if sys.platform == "darwin" else 1024
        return {"memory": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}

    def forget(self) -> dict[str, Any]:
        """Give back the arrays of the last case."""
        self.contestants = {}
        return {}

    def prepare(self, case: dict[str, Any], expected: str, save: bool = False, only: str = "") -> dict[str, Any]:
        """Make the case's contestants, or `only` one, and compare each one's result with the array in the file
        `expected`, which is first written with the result of the first if `save`."""
        import numpy as np

        from .cases import Case
        from .operands import deviation

        made = Case.from_json(case)
        self.contestants = self.library.contestants(made, **({"only": only} if only else {}))
        deviations, work = {}, {}
        for name, contestant in self.contestants.items():
            if contestant.result is None:
                work |= contestant.work
                continue
            times = _STEPS if made.op == "train" else 1
            results = [np.asarray(contestant.result(contestant.call())) for _ in range(times)]
            result = np.stack(results) if times > 1 else results[0]
            if save:
                np.save(expected, result)
                save = False
            deviations[name] = deviation(np.atleast_1d(result), np.atleast_1d(np.load(expected, mmap_mode="r")))
            del results, result
        for contestant in self.contestants.values():
            end = time.perf_counter() + _FIRST_SECONDS
            for _ in range(_FIRST_CALLS):
                contestant.call()
                if time.perf_counter() > end:
                    break
        fall_asleep()
        return {"contestants": list(self.contestants), "deviations": deviations, "work": work}

    def turn(self, contestant: str) -> dict[str, Any]:
        """Seconds of one call: warm up, then the mean of as many calls as fill a stretch."""
        call, calls = self.contestants[contestant].call, 0
        start = time.perf_counter()
        while calls == 0 or time.perf_counter() - start < _WARM:
            first = time.perf_counter()
            call()
            calls += 1
        seconds = time.perf_counter() - first
        if seconds < _LONG:
            repeats = max(1, min(10_000, round(_STRETCH / max(seconds, 1e-7))))
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            seconds = (time.perf_counter() - start) / repeats
        fall_asleep()
        return {"seconds": seconds}


def main() -> None:
    """Serve until the input ends."""
    library, threads = sys.argv[1], int(sys.argv[2])
    # Libraries print what they like: the answers have their pipe for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    server = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            server = server or Server(library, threads)
            answer = getattr(server, request.pop("do"))(**request)
        except Exception as error:  # whatever a library raises is its answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
