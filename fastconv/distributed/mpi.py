"""The communicator over MPI, through mpi4py (the extra [mpi]).
A rank that fails must never leave the others waiting: its uncaught exception ends the job."""

import sys
import time
from types import TracebackType
from typing import Any

import numpy as np

from .communicator import Communicator, RankError

# Seconds in which a launcher hands on what was printed: what it has not read when the job is aborted is lost.
_LAST_WORDS = 0.2
# Seconds for which a rank that only cannot go on leaves the word to the one that failed.
_PATIENCE = 2.0


def _import_mpi() -> Any:
    """mpi4py.MPI, whose import initialises MPI."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f'several processes need mpi4py and an MPI library ({error}): pip install "fastconv[mpi]", and the MPI of '
            "the cluster or `pip install mpich`"
        ) from error
    return MPI


class _Request:
    def __init__(self, request: Any) -> None:
        self._request = request

    def test(self) -> bool:
        return self._request.Test()

    def wait(self) -> None:
        self._request.Wait()


class MPICommunicator(Communicator):
    """The ranks of an mpi4py communicator, MPI.COMM_WORLD if none is given.

    ImportError that names the extra where mpi4py or an MPI library is missing. From then on an exception
    that nobody catches on this rank ends all ranks, after its traceback was printed.
    """

    def __init__(self, comm: Any = None) -> None:
        self._mpi = _import_mpi()
        comm = self._mpi.COMM_WORLD if comm is None else comm
        # Sums in the background have a communicator of their own: their order among the others is then free.
        self._comm, self._background = comm.Dup(), comm.Dup()
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._local = comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        self.local_size = self._local.Get_size()
        if self.size > 1:
            _end_job_on_error(self)

    def allreduce(self, array: np.ndarray) -> np.ndarray:
        self._comm.Allreduce(self._mpi.IN_PLACE, array)
        return array

    def start_allreduce(self, array: np.ndarray) -> _Request:
        return _Request(self._background.Iallreduce(self._mpi.IN_PLACE, array))

    def broadcast(self, array: np.ndarray) -> np.ndarray:
        self._comm.Bcast(array)
        return array

    def share(self, value: Any) -> Any:
        return self._comm.bcast(value)

    def gather(self, value: Any) -> list[Any]:
        return self._comm.allgather(value)

    def gather_local(self, value: Any) -> list[Any]:
        """The values of the ranks of this machine."""
        return self._local.allgather(value)

    def barrier(self) -> None:
        self._comm.Barrier()

    def all_arrive(self, seconds: float) -> bool:
        request, end = self._comm.Ibarrier(), time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def abort(self, code: int = 1) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(_LAST_WORDS)
        self._mpi.COMM_WORLD.Abort(code)


def _end_job_on_error(communicator: MPICommunicator) -> None:
    """Without this the others would wait for the dead rank for ever, and so would the launcher."""
    show = sys.excepthook

    def show_and_abort(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, RankError):  # the one that failed says why and ends the job; if it lives on, this one does
            time.sleep(_PATIENCE)
        print(f"fastconv: rank {communicator.rank} of {communicator.size} failed, the job ends", file=sys.stderr)
        show(kind, error, traceback)
        communicator.abort(1)

    sys.excepthook = show_and_abort
