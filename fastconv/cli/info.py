"""`fastconv info`: what runs on this machine and why, and the one line of it that other commands print.
It must only ask: nothing here changes the configuration."""

import argparse
import os
from typing import Any

import numpy as np

from .. import config
from .options import add_threads, apply_threads


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "info",
        help="print the configuration",
        description="Prints version, CPU, target, threads and libraries in use.",
    )
    add_threads(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the configuration as two aligned columns."""
    apply_threads(args)
    facts = machine(reason="--threads" if args.threads is not None else None)
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        print(f"{name:<{width}}{value}")
    return 0


def headline() -> str:
    """Version, CPU, target and threads in one line."""
    facts = config.config()
    threads = f"{facts['threads']} thread{'s' * (facts['threads'] != 1)}"
    return f"fastconv {facts['fastconv']} | {facts['cpu']} | {facts['target']} | {threads}"


def machine(*, reason: str | None = None) -> dict[str, str]:
    """What `fastconv info` prints; `reason` is why the number of threads is what it is, where the caller
    set it."""
    facts = config.config()
    return {
        "fastconv": str(facts["fastconv"]),
        "python": str(facts["python"]),
        "cpu": f"{facts['cpu']} ({facts['usable cpus']} usable)",
        "target": f"{facts['target']} ({_why_target()})",
        "targets available": ", ".join(facts["targets"]),
        "threads": f"{facts['threads']} ({reason or _why_threads(bool(facts['openmp']))})",
        "openmp": "yes" if facts["openmp"] else "no: built without it, everything runs on one thread",
        "memory pool": f"{facts['memory kept for reuse (bytes)'] / 2**20:.1f} MiB kept for reuse",
        "numpy": f"{facts['numpy']}, {_blas()}",
    }


def _why_target() -> str:
    return "FASTCONV_TARGET" if os.environ.get("FASTCONV_TARGET") else "the best this CPU runs"


def _why_threads(openmp: bool) -> str:
    if not openmp:
        return "no OpenMP"
    for name in ("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name):
            return f"{name}={os.environ[name]}"
    return "the CPUs this process may use"


def _blas() -> str:
    """The BLAS that NumPy was built with, and its threads where threadpoolctl can tell."""
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    text = f"BLAS {blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return text
    threads = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return f"{text} on {threads[0]} thread{'s' * (threads[0] != 1)}" if threads else text
