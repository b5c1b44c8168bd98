"""Whether a launcher started this process, the communicator of its job, and each rank's cores of a machine.
It must never initialise MPI where there was no launcher."""

import os
from collections import Counter

from .. import config
from .communicator import Communicator
from .mpi import MPICommunicator

# (rank, number of ranks) as the launchers tell them: Hydra (MPICH, Intel MPI) and Slurm's pmi2, Open MPI, MVAPICH,
# PMIx, which does not tell the number.
_LAUNCHERS = (
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("PMIX_RANK", None),
)


def launched() -> tuple[int, int | None] | None:
    """(rank, number of ranks) by the environment of mpiexec or another launcher, None without one; the number is
    None where it does not say."""
    for rank, size in _LAUNCHERS:
        numbers = os.environ.get(rank, ""), os.environ.get(size, "") if size else ""
        if numbers[0].isdecimal():
            return int(numbers[0]), int(numbers[1]) if numbers[1].isdecimal() else None
    return None


_current = Communicator()


def current() -> Communicator:
    """What `world` gave last, and before that the communicator of this process alone."""
    return _current


def world() -> Communicator:
    """The communicator of all processes of this job: over MPI under a launcher, else of this process alone.

    Ranks of one machine divide its cores: each sets its number of threads to its part, unless
    FASTCONV_NUM_THREADS or OMP_NUM_THREADS says another. RuntimeError where mpi4py found another MPI than the
    launcher's.
    """
    global _current
    found = launched()
    if found is None:
        return Communicator()
    if _current.size > 1:
        return _current
    communicator = MPICommunicator()
    if found[1] is not None and found[1] != communicator.size:
        raise RuntimeError(
            f"the launcher started {found[1]} processes, but MPI counts {communicator.size}: mpi4py uses another MPI "
            "library than the launcher belongs to; start with the mpiexec of that library"
        )
    if not (os.environ.get("FASTCONV_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")):
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        sharers = communicator.gather_local(list(cpus))
        config.set_num_threads(cores_of_rank(list(cpus), sharers, config.cgroup_cpus()))
    _current = communicator
    return communicator


def cores_of_rank(own: list[int], of_all: list[list[int]], quota: int | None) -> int:
    """The part of a rank that may run on the CPUs `own`, where the ranks of its machine may run on `of_all`: whole
    cores, at least one; `quota` is how many they may keep busy together."""
    sharers = Counter(cpu for cpus in of_all for cpu in cpus)
    part = sum(1 / sharers[cpu] for cpu in own)
    if quota is not None:
        part = min(part, quota / len(of_all))
    return max(1, int(part + 1e-9))
