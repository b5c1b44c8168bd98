"""One network in several engines, each in a process of its own, in turn: time, memory, and whether results agree.
It must never let two engines run at once, nor compare times of different runs."""

import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .engines import export
from .measure import deviation
from .process import Process, ProcessError

# Of the largest value: above what float32 sums and Winograd in every layer lose, far below what float16 does.
TOLERANCE = 1e-3
# Seconds of calls in a turn, at the least.
_STRETCH = 30e-3


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
        with ExitStack() as running:
            processes: dict[str, Process] = {}
            for engine in engines:
                process = Process(f"{__package__}.engine_process", engine, name, threads=threads)
                processes[engine] = running.enter_context(process)
                _prepare(standing, engine, process, folder)
            _take_turns(standing, processes, seconds)
    return standing


def _prepare(standing: Standing, engine: str, process: Process, folder: Path) -> None:
    try:
        process.ask("prepare")
        standing.deviations[engine] = off = _deviation(folder, engine)
        if not off <= TOLERANCE:
            raise ProcessError(f"another result: off by {off:.1e} of the largest value")
    except ProcessError as error:
        standing.errors[engine] = str(error)


def _deviation(folder: Path, engine: str) -> float:
    """How far an engine's results are from fastconv's. Some leave out the axis of a single picture."""
    expected, given = (_results(folder / f"{name}.npz") for name in ("fastconv", engine))
    if [y.size for y in given] != [y.size for y in expected]:
        shapes = [[y.shape for y in results] for results in (given, expected)]
        raise ProcessError("results of shapes {}, expected {}".format(*shapes))
    return deviation(tuple(y.reshape(e.shape) for y, e in zip(given, expected, strict=True)), expected)


def _results(path: Path) -> tuple[np.ndarray, ...]:
    with np.load(path) as results:
        return tuple(results.values())


def _take_turns(standing: Standing, processes: dict[str, Process], seconds: float) -> None:
    """Everybody has one turn a round; the order turns with each round."""
    times: dict[str, list[float]] = {name: [] for name in processes if name not in standing.errors}
    end = time.perf_counter() + seconds
    while standing.rounds < 5 or (time.perf_counter() < end and standing.rounds < 100):
        names = [name for name in times if name not in standing.errors]
        first = standing.rounds % max(1, len(names))
        for name in names[first:] + names[:first]:
            try:
                times[name].append(processes[name].seconds(_STRETCH))
            except ProcessError as error:
                standing.errors[name] = str(error)
        standing.rounds += 1
    for name, taken in times.items():
        if name not in standing.errors:
            standing.seconds[name] = median(taken)
            standing.memory[name] = processes[name].peak_memory()
