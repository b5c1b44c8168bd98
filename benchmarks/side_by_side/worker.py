"""What the process of one library does when it is asked to: makes contestants and runs them. Run by run.py through
fastconv.bench.process. It must import no other library than its own, fastconv neither."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Calls before the first turn, for what a library puts off to its first calls; large cases have fewer.
_FIRST_CALLS, _FIRST_SECONDS = 20, 0.05

# Steps whose losses are compared.
_STEPS = 3


class Server:
    """What a worker can be asked: the public methods."""

    def __init__(self, library: str, threads: int) -> None:
        from .libraries import load

        self.library = load(library, threads)
        self.contestants: dict[str, Any] = {}

    def hello(self) -> dict[str, Any]:
        """Versions of what this process runs."""
        return {"versions": self.library.versions()}

    def forget(self) -> dict[str, Any]:
        """Give back the arrays of the last case."""
        self.contestants = {}
        return {}

    def prepare(self, case: dict[str, Any], folder: str, only: str = "") -> dict[str, Any]:
        """Make the case's contestants, or `only` one, and write each one's result to a file of `folder`."""
        import numpy as np

        from .cases import Case

        made = Case.from_json(case)
        self.contestants = self.library.contestants(made, **({"only": only} if only else {}))
        files, work = {}, {}
        for number, (name, contestant) in enumerate(self.contestants.items()):
            if contestant.result is None:
                work |= contestant.work
                continue
            times = _STEPS if made.op == "train" else 1
            results = [np.asarray(contestant.result(contestant.call())) for _ in range(times)]
            result = np.stack(results) if times > 1 else results[0]
            files[name] = str(Path(folder, f"{number}.npy"))
            np.save(files[name], result)
            del results, result
        for contestant in self.contestants.values():
            end = time.perf_counter() + _FIRST_SECONDS
            for _ in range(_FIRST_CALLS):
                contestant.call()
                if time.perf_counter() > end:
                    break
        return {"contestants": list(self.contestants), "results": files, "work": work}

    def call(self, contestant: str) -> Callable[[], Any]:
        """What a turn times."""
        return self.contestants[contestant].call
