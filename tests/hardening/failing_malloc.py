"""`LD_PRELOAD=failing_malloc.so python failing_malloc.py N`: as tests/test_failing_allocations.py, and for N cases of
every operation and the large ones, but any allocation of more than 64 kB fails, NumPy's and Python's own too; and what
is allocated before and after is compared."""

import ctypes
import gc
import sys

import numpy as np
from checks import called
from failing_memory import Scenario, scenarios, survived
from ops import OPS

import fastconv

# Bytes. NumPy's own buffers are up to 64 kB, and NumPy 2.4 ends the process where it finds no memory for one.
LEAST = 65_537
# Of what is allocated after a scenario was tried again: caches of the interpreter and of NumPy come and go.
SLACK = 16_384


def of_operation(op, case) -> Scenario:
    arrays = op.arrays(case, "normal", 0, np.float32)
    return Scenario(
        op.name,
        lambda: None,
        lambda: [y.copy() for y in called(op, case, arrays)],
        lambda: b"".join(a.tobytes() for a in arrays.values()),
    )


def main(cases: int) -> None:
    library = ctypes.CDLL(None)
    library.fail_malloc.argtypes, library.fail_malloc.restype = [ctypes.c_long, ctypes.c_size_t], ctypes.c_long
    library.live_bytes.restype = ctypes.c_long
    fastconv.set_num_threads(1)

    def fail(n: int) -> int:
        return library.fail_malloc(n, LEAST)

    def live() -> int:
        gc.collect()
        fastconv.free_scratch()
        return library.live_bytes()

    block = fail(1) or np.ones(4)
    try:
        np.empty(1 << 20)
    except MemoryError:
        del block
    else:
        raise SystemExit("an allocation that must fail did not: is failing_malloc.so loaded?")
    failed, leaked = 0, {}
    chosen = [(op, case) for op in OPS for case in op.cases if case.large or case in op.cases[-cases:]]
    wanted = [of_operation(op, case) for op, case in chosen] + scenarios()
    for scenario in wanted:
        failed += survived(scenario, fail)
        rounds = []
        for _ in range(6):
            before = live()
            survived(scenario, fail)
            rounds.append(live() - before)
            if rounds[-1] < SLACK:
                break
        if min(rounds) >= SLACK:
            leaked[scenario.name] = rounds
    if leaked:
        raise SystemExit(f"bytes left allocated by each round: {leaked}")
    print(f"counts: {failed:,} allocations failed in {len(wanted)} scenarios, nothing leaked")


if __name__ == "__main__":
    main(int(sys.argv[1]))
