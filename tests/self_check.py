"""Run as a script in a fresh process: every op on integers against the reference, on whatever target and
threads the environment sets; prints the number of cases and a digest of all results on normal numbers."""

import hashlib
import sys

import checks
import numpy as np
from ops import OPS

import fastconv


def main(names: list[str]) -> None:
    digest, ran = hashlib.sha256(), 0
    for op in OPS:
        if names and op.name not in names:
            continue
        for dtype in (np.float32, np.float64):
            for case in op.cases[:: 1 if dtype == np.float32 else 4]:
                if case.exact:
                    checks.exact(op, case, dtype)
                    ran += 1
            for case in op.cases[:: max(1, len(op.cases) // 20)]:
                for y in checks.called(op, case, op.arrays(case, "normal", 0, dtype)):
                    digest.update(np.ascontiguousarray(y).tobytes())
    print(fastconv.target(), ran, digest.hexdigest())


if __name__ == "__main__":
    main(sys.argv[1:])
