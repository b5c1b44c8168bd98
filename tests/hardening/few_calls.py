"""`python few_calls.py N`: N calls, spread over all operations and their cases, for a slow checker of memory.
It must never compare results: that is the tests' work."""

import sys

import numpy as np
from ops import OPS


def main(count: int) -> None:
    """Small cases of as many operations as there are calls."""
    cases = [(op, case) for op in OPS for case in op.cases if not case.large]
    chosen = [cases[number] for number in np.linspace(0, len(cases) - 1, count).astype(int)]
    for op, case in chosen:
        op.function(**op.arrays(case, "normal", 0, np.float32), **case.settings)
    print(f"counts: {count} calls of {len({op.name for op, _ in chosen})} operations, a planted overflow found")


if __name__ == "__main__":
    main(int(sys.argv[1]))
