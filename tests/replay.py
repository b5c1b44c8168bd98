"""Runs one case again: python tests/replay.py OP CASE integers|normal DTYPE SEED, as a failing test prints
it."""

import sys

import checks
import numpy as np
from ops import BY_NAME


def main(name: str, index: str, how: str, dtype: str, seed: str = "0") -> None:
    op = BY_NAME[name]
    case = op.cases[int(index)]
    print(f"{name}: {case}")
    check = checks.exact if how == "integers" else checks.close
    check(op, case, np.dtype(dtype), int(seed))
    print("agrees with the reference")


if __name__ == "__main__":
    main(*sys.argv[1:6])
