"""The communicator of a job of one process, and so what every communicator can do.
It must never know layers or trainers: it moves arrays and small objects between ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np


class RankError(RuntimeError):
    """Another rank failed, which says so itself; this one only cannot go on."""


class Request(Protocol):
    """A sum that is under way in the background."""

    def test(self) -> bool:
        """Help it along; whether it is done."""

    def wait(self) -> None:
        """Return when it is done."""


class _Done:
    def test(self) -> bool:
        return True

    def wait(self) -> None:
        pass


class Communicator:
    """The ranks of a job, numbered from 0: here there is one, and every operation is at once complete.

    All ranks call the operations that exchange something, in the same order. `local_size` is how many ranks
    run on this machine. Arrays are C-contiguous and are changed in place.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank={self.rank}, size={self.size})"

    def allreduce(self, array: np.ndarray) -> np.ndarray:
        """`array`, which becomes the sum over all ranks, of the same bits on each."""
        return array

    def start_allreduce(self, array: np.ndarray) -> Request:
        """Begin such a sum; nobody may touch `array` until the request is done. Only these are ordered among
        themselves."""
        return _Done()

    def broadcast(self, array: np.ndarray) -> np.ndarray:
        """`array`, which becomes that of rank 0."""
        return array

    def share(self, value: Any) -> Any:
        """The `value` of rank 0: numbers, texts, arrays, and lists and dicts of them."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in order."""
        return [value]

    def barrier(self) -> None:
        """Return when all ranks are here."""

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true on any rank."""
        return bool(self.allreduce(np.array([bool(flag)], np.float64))[0])

    def all_arrive(self, seconds: float) -> bool:
        """Whether all ranks are here within that time."""
        return True

    def abort(self, code: int = 1) -> None:
        """End all ranks at once with this exit code."""
        raise SystemExit(code)

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that all ranks leave, or in which all fail: the first that failed raises its own error, the
        others a RankError that tells it."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        reports = self.gather("" if failure is None else f"{type(failure).__name__}: {failure}")
        first = next((rank for rank, report in enumerate(reports) if report), None)
        if first == self.rank:
            raise failure
        if first is not None:
            raise RankError(f"rank {first} of {self.size} failed: {reports[first]}") from failure
