"""Measures cases: a worker for each library, all in turn, round by round.
It must never let two workers run at once while one is timed, nor stop because a library fails."""

import math
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastconv.bench.measure import deviation
from fastconv.bench.process import Process, ProcessError

from .cases import Case
from .libraries import TRAINING
from .record import Record

# Largest difference from fastconv's result, as a part of its largest value: four times what Winograd and sums over a
# large batch may lose, a fifth of what float16 or bfloat16 would.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
# Of the losses of the first steps of a training run.
TOLERANCE_TRAINING = 1e-3

MAX_ROUNDS = 50


class Run:
    """The workers of these libraries; fastconv is always among them. A context manager that ends them."""

    def __init__(self, libraries: Iterable[str], threads: int, seconds: float, min_rounds: int = 5) -> None:
        self.libraries = list(dict.fromkeys(["fastconv", *libraries]))
        self.threads, self.seconds, self.min_rounds = threads, seconds, min_rounds
        self.workers: dict[str, Process] = {}
        self._folder = tempfile.TemporaryDirectory()

    def start(self) -> dict[str, Any]:
        """Start the workers; the versions of what they run."""
        versions: dict[str, Any] = {}
        for library in self.libraries:
            versions |= self._worker(library).ask("hello")["versions"]
        return versions

    def measure(self, case: Case) -> Record:
        """The times of everybody who can do this case and whose result is fastconv's."""
        record = Record(case)
        if case.op == "train":
            self._measure_training(record)
        else:
            workers = {library: self._worker(library) for library in self.libraries}
            turns, work = self._prepare(record, workers)
            self._rounds(record, turns, work)
            for worker in workers.values():
                if worker.alive:
                    worker.ask("forget")
        return record

    def _measure_training(self, record: Record) -> None:
        """Each contestant in a fresh process of its own, so that its memory is that of the training alone."""
        self.close_workers()
        workers = {
            name: _start(library, self.threads) for name, library in TRAINING.items() if library in self.libraries
        }
        try:
            for name, worker in workers.items():
                worker.ask("hello")
                record.libraries_memory[name] = worker.peak_memory()
            turns, work = self._prepare(record, workers)
            self._rounds(record, turns, work)
            for name in record.seconds:
                record.memory[name] = workers[name].peak_memory()
        finally:
            for worker in workers.values():
                worker.close()

    def _prepare(self, record: Record, workers: dict[str, Process]) -> tuple[dict[str, Process], dict[str, float]]:
        """({contestant: its worker}, work): the contestants whose results agree with fastconv's, which comes first."""
        turns: dict[str, Process] = {}
        work: dict[str, float] = {}
        expected = None
        training = record.case.op == "train"
        limit = TOLERANCE_TRAINING if training else TOLERANCE[record.case.dtype]
        for name, worker in workers.items():
            request = {"case": record.case._asdict(), "folder": self._folder.name}
            if training and TRAINING[name] == "torch":
                request["only"] = name
            try:
                answer = worker.ask("prepare", **request)
            except ProcessError as error:
                record.errors[name] = str(error)
                if name == "fastconv":
                    break  # nothing to compare with
                continue
            work |= answer["work"]
            for contestant, file in answer["results"].items():
                result = np.load(file, mmap_mode="r")
                Path(file).unlink()
                expected = result if expected is None else expected
                same = result.dtype == expected.dtype  # else it is other work
                record.deviations[contestant] = deviation(result, expected) if same else math.inf
            for contestant in answer["contestants"]:
                wrong = record.deviations.get(contestant, 0.0)
                if wrong <= limit:
                    turns[contestant] = worker
                else:
                    record.errors[contestant] = f"another result: off by {wrong:.1e} of the largest value"
        return turns, work

    def _rounds(self, record: Record, turns: dict[str, Process], work: dict[str, float]) -> None:
        """Everybody has one turn a round; the order turns with each round."""
        times: dict[str, list[float]] = {name: [] for name in turns}
        end = time.perf_counter() + self.seconds
        for number in range(MAX_ROUNDS):
            if number >= self.min_rounds and time.perf_counter() > end:
                break
            names = [name for name in turns if name not in record.errors]
            first = number % max(1, len(names))
            for name in names[first:] + names[:first]:
                try:
                    times[name].append(turns[name].seconds(contestant=name))
                except ProcessError as error:
                    record.errors[name] = str(error)
                    times[name] = []
        record.set_times(times, statistics.median, work)

    def _worker(self, library: str) -> Process:
        """The library's worker, a new one if it has died."""
        worker = self.workers.get(library)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.close()
            worker = self.workers[library] = _start(library, self.threads)
        return worker

    def close_workers(self) -> None:
        """End the workers; the next case starts them again."""
        for worker in self.workers.values():
            worker.close()
        self.workers = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_workers()
        self._folder.cleanup()


def _start(library: str, threads: int) -> Process:
    return Process(f"{__package__}.worker", library, threads=threads)
