"""Which kernels run and on how many threads: the choice made at import, and the calls that show or change it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np

from fastconv import _kernels
from fastconv import _validate as check
from fastconv.version import __version__


def targets() -> list[str]:
    """The instruction sets this CPU can run, best first. FASTCONV_TARGET forces one of them."""
    return [name for name in _kernels.all_targets() if _kernels.target_runs(name)]


def target() -> str:
    """The instruction set in use."""
    return _kernels.current_target()


def _choose_target() -> None:
    wanted = os.environ.get("FASTCONV_TARGET")
    if not wanted:
        _kernels.use_target(targets()[0])
        return
    if wanted not in _kernels.all_targets():
        known = ", ".join(_kernels.all_targets())
        raise ImportError(f"FASTCONV_TARGET is {wanted!r}; the targets of this build are {known}")
    if wanted not in targets():
        raise ImportError(
            f"FASTCONV_TARGET is {wanted!r}, which this CPU cannot run; it can run {', '.join(targets())}"
        )
    _kernels.use_target(wanted)


# ---- threads


def set_num_threads(n: int) -> None:
    """Use n threads for large operations from now on (at least 1). The number never changes a bit of any result."""
    _kernels.set_num_threads(min(check.size("set_num_threads", "n", n, 1), 1024))


def get_num_threads() -> int:
    """The number of threads a large operation would use now."""
    return _kernels.num_threads()


def cgroup_cpus() -> int | None:
    """CPUs that a container's quota (cgroup v2 or v1) allows, rounded up; None without a quota."""
    for quota_file, period_file in (
        ("/sys/fs/cgroup/cpu.max", None),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        try:
            words = Path(quota_file).read_text().split()
            if period_file:
                words += Path(period_file).read_text().split()
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if quota > 0 and period > 0:
            return max(1, -(-quota // period))
    return None


def _usable_cpus() -> int:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, cgroup_cpus() or cpus)


def _choose_threads() -> None:
    wanted = os.environ.get("FASTCONV_NUM_THREADS")
    if wanted:
        if not wanted.isdecimal() or int(wanted) < 1:
            raise ImportError(f"FASTCONV_NUM_THREADS is {wanted!r}; expected a positive integer")
        set_num_threads(int(wanted))
    elif not os.environ.get("OMP_NUM_THREADS"):
        _kernels.cap_num_threads(_usable_cpus())


# ---- what is in use


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def multiply_adds(rounds: int, element_size: int) -> float:
    """Do nothing but multiply-adds on every thread; how many operations that was. Timed, it gives the peak."""
    return _kernels.fma_peak(rounds, element_size)


def config() -> dict[str, object]:
    """What show_config prints, as a dictionary."""
    return {
        "fastconv": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": _cpu(),
        "usable cpus": _usable_cpus(),
        "target": target(),
        "targets": targets(),
        "threads": get_num_threads(),
        "openmp": _kernels.has_openmp(),
        "memory kept for reuse (bytes)": _kernels.pool_bytes(),
    }


def show_config() -> None:
    """Print versions, the CPU, the instruction set and the number of threads in use."""
    for name, value in config().items():
        print(f"{name + ':':32}{', '.join(value) if isinstance(value, list) else value}")


_choose_target()
_choose_threads()
