"""One network in several engines, each in a process of its own, in turn: time, memory, and whether results agree.
It must never let two engines run at once, nor compare times of different runs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .engines import export

# Of the largest value: above what float32 sums and Winograd in every layer lose, far below what float16 does.
TOLERANCE = 1e-3


@dataclass
class Standing:
    """By engine: seconds a call (the median of the rounds), the most bytes of RAM of its process, how far its results
    are from fastconv's (a part of the largest value), and the error in place of times."""

    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    deviations: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    rounds: int = 0

    def ratio(self, peers: Iterable[str]) -> float | None:
        """How many times fastconv's time the fastest of `peers` takes; None where one side was not measured."""
        times = [self.seconds[name] for name in peers if name in self.seconds and name != "fastconv"]
        return min(times) / self.seconds["fastconv"] if times and "fastconv" in self.seconds else None


def contest(model: Any, x: np.ndarray, engines: Iterable[str], threads: int, seconds: float = 5.0) -> Standing:
    """Run one network on x in each engine for about `seconds`, five rounds at least."""
    engines = tuple(name for name in engines if name != "ncnn" or len(x) == 1)
    standing = Standing()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", x)
        try:
            export(model, x, folder, engines)
        except RuntimeError as error:
            standing.errors["ncnn"] = str(error)
            engines = tuple(name for name in engines if name != "ncnn")
        runners: dict[str, _Runner] = {}
        try:
            for engine in engines:
                runners[engine] = _Runner(engine, folder, threads)
                _prepare(standing, runners[engine])
            _take_turns(standing, runners, seconds)
        finally:
            for runner in runners.values():
                runner.close()
    return standing


def _prepare(standing: Standing, runner: "_Runner") -> None:
    try:
        runner.ask("prepare")
        standing.deviations[runner.engine] = off = _deviation(runner.folder, runner.engine)
        if not off <= TOLERANCE:
            raise EngineError(f"another result: off by {off:.1e} of the largest value")
    except EngineError as error:
        standing.errors[runner.engine] = str(error)


def _deviation(folder: Path, engine: str) -> float:
    """The largest difference between the results of an engine and fastconv's, as a part of the largest value."""
    with np.load(folder / "fastconv.npz") as expected, np.load(folder / f"{engine}.npz") as given:
        if len(expected) != len(given):
            raise EngineError(f"{len(given)} results, expected {len(expected)}")
        off = 0.0
        for name in expected:
            y, other = expected[name], given[name]
            if y.size != other.size:
                raise EngineError(f"a result of shape {other.shape}, expected {y.shape}")
            off = max(off, float(np.abs(y.ravel() - other.ravel()).max() / np.abs(y).max()))
    return off


def _take_turns(standing: Standing, runners: dict[str, "_Runner"], seconds: float) -> None:
    """Everybody has one turn a round; the order turns with each round."""
    times: dict[str, list[float]] = {name: [] for name in runners if name not in standing.errors}
    end = time.perf_counter() + seconds
    while standing.rounds < 5 or (time.perf_counter() < end and standing.rounds < 100):
        names = [name for name in times if name not in standing.errors]
        first = standing.rounds % max(1, len(names))
        for name in names[first:] + names[:first]:
            try:
                times[name].append(runners[name].ask("turn")["seconds"])
            except EngineError as error:
                standing.errors[name] = str(error)
        standing.rounds += 1
    for name, taken in times.items():
        if name not in standing.errors:
            standing.seconds[name] = median(taken)
            standing.memory[name] = runners[name].ask("memory")["memory"]


class EngineError(Exception):
    """An engine raised, or its process died, or its result is another: the text says which."""


class _Runner:
    """The process of one engine (engine_process.py): a request a line, an answer a line."""

    def __init__(self, engine: str, folder: Path, threads: int) -> None:
        self.engine, self.folder = engine, folder
        count = str(threads)
        environment = {**os.environ, "OMP_NUM_THREADS": count, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # How threads wait is each engine's own choice: a turn begins after all others have fallen asleep.
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "FASTCONV_NUM_THREADS"):
            environment.pop(name, None)
        self._errors = open(folder / f"{engine}.err", "w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.engine_process", engine, str(folder), count],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            encoding="utf-8",
        )

    def ask(self, do: str) -> dict[str, Any]:
        """The answer to a request; EngineError if it is an error or there is none."""
        try:
            self._process.stdin.write(do + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            raise EngineError(f"the process ended with status {status}: {self._errors.read()[-300:].strip()}")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
