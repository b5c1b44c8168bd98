"""Measures cases: a worker for each library, all in turn, round by round.
It must never let two workers run at once while one is timed, nor stop because a library fails."""

import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from .cases import Case
from .libraries import TRAINING
from .process import Worker, WorkerError
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
        self.workers: dict[str, Worker] = {}
        self._folder = tempfile.TemporaryDirectory()
        self._expected = str(Path(self._folder.name, "expected.npy"))

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
            name: Worker(library, self.threads) for name, library in TRAINING.items() if library in self.libraries
        }
        try:
            for name, worker in workers.items():
                record.libraries_memory[name] = worker.ask("hello")["memory"]
            turns, work = self._prepare(record, workers)
            self._rounds(record, turns, work)
            for name in record.seconds:
                record.memory[name] = workers[name].ask("memory")["memory"]
        finally:
            for worker in workers.values():
                worker.close()

    def _prepare(self, record: Record, workers: dict[str, Worker]) -> tuple[dict[str, Worker], dict[str, float]]:
        """({contestant: its worker}, work): the contestants whose results agree with fastconv's, which comes first."""
        turns: dict[str, Worker] = {}
        work: dict[str, float] = {}
        training = record.case.op == "train"
        limit = TOLERANCE_TRAINING if training else TOLERANCE[record.case.dtype]
        for name, worker in workers.items():
            request = {"case": record.case._asdict(), "expected": self._expected, "save": name == "fastconv"}
            if training and worker.library == "torch":
                request["only"] = name
            try:
                answer = worker.ask("prepare", **request)
            except WorkerError as error:
                record.errors[name] = str(error)
                if name == "fastconv":
                    break  # nothing to compare with
                continue
            work |= answer["work"]
            record.deviations |= answer["deviations"]
            for contestant in answer["contestants"]:
                wrong = answer["deviations"].get(contestant, 0.0)
                if wrong <= limit:
                    turns[contestant] = worker
                else:
                    record.errors[contestant] = f"another result: off by {wrong:.1e} of the largest value"
        return turns, work

    def _rounds(self, record: Record, turns: dict[str, Worker], work: dict[str, float]) -> None:
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
                    times[name].append(turns[name].ask("turn", contestant=name)["seconds"])
                except WorkerError as error:
                    record.errors[name] = str(error)
                    times[name] = []
        record.set_times(times, statistics.median, work)

    def _worker(self, library: str) -> Worker:
        """The library's worker, a new one if it has died."""
        worker = self.workers.get(library)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.close()
            worker = self.workers[library] = Worker(library, self.threads)
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
