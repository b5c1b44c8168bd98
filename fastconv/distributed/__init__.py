"""Training on the processes (ranks) of a job: communicators, and what the trainer does with them.
It must never need MPI unless a launcher such as mpiexec started this process."""

from .communicator import Communicator, RankError
from .launch import current, launched, world
from .mpi import MPICommunicator

__all__ = ["Communicator", "MPICommunicator", "RankError", "current", "launched", "world"]
