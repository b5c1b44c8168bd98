"""`python benchmarks/backends.py`: each foreign net's own time and its time on fastconv, in one interleaved run.
It must never compare times of different runs, nor print one whose results differ."""

import argparse
import importlib.util
import os
import statistics
import sys
from collections.abc import Sequence

from backend_cases import BACKENDS, Case

import fastconv
from fastconv.bench.measure import deviation, rounds

# Largest difference, as a part of the largest value: what Winograd and the order of sums may change. Whole networks,
# whose answers are probabilities, are held to the same.
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}
# What a backend needs beside its packages.
_HINTS = {"cs231n": "name the folder that holds the course's cs231n/, its Cython part built: --cs231n FOLDER"}


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    result.add_argument("--only", nargs="+", choices=tuple(BACKENDS), default=tuple(BACKENDS), metavar="NET")
    result.add_argument("--cs231n", metavar="FOLDER", help="where the course's package cs231n is")
    result.add_argument("--seconds", type=float, default=2.0, help="for each row, at the least (default: 2)")
    result.add_argument("--rounds", type=int, default=5, help="for each row, at the least (default: 5)")
    return result


def line(case: Case, seconds: float, min_rounds: int) -> tuple[str, bool]:
    """The row's text, and whether both sides agree: else there are no times."""
    names = f"{case.backend:<12} {case.operation:<23} {case.work:<22} {case.dtype}"
    off = deviation(case.after(), case.before())
    if not off <= TOLERANCE[case.dtype]:
        return f"{names}  another result: off by {off:.1e} of the largest value", False
    times = rounds({"before": case.before, "after": case.after}, seconds=seconds, min_rounds=min_rounds)
    before, after = (statistics.median(times[name]) for name in ("before", "after"))
    return f"{names} {_time(before):>10} {_time(after):>10} {before / after:>7.1f}x {off:>8.0e}", True


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a result differs."""
    args = parser().parse_args(arguments)
    if args.cs231n:
        sys.path.insert(0, args.cs231n)
    os.environ["KERAS_BACKEND"] = "numpy"
    print(f"fastconv {fastconv.__version__}, {fastconv.target()}, threads {fastconv.get_num_threads()}, {_versions()}")
    titles = f"{'net':<12} {'operation':<23} {'shape':<22} {'dtype':<7} {'before':>10} {'fastconv':>10}"
    print(f"{titles} {'faster':>8} {'differs':>8}")
    agree = True
    for name in args.only:
        cases, packages = BACKENDS[name]
        if absent := [package for package in packages if importlib.util.find_spec(package) is None]:
            hints = "; ".join(_HINTS.get(package, f"pip install {package}") for package in absent)
            print(f"{name:<12} skipped: {', '.join(absent)} is not installed ({hints})")
            continue
        for case in cases():
            text, same = line(case, args.seconds, args.rounds)
            agree &= same
            print(text, flush=True)
    print("Medians of interleaved rounds. differs: largest difference of the results, as a part of the largest value.")
    return int(not agree)


def _versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("numpy", "scipy", "mygrad", "autograd", "keras", "jax"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


if __name__ == "__main__":
    sys.exit(main())
