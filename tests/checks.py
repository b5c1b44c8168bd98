"""One case of one op against the reference: what the columns, the replay command and the subprocesses all
run."""

import inspect
from typing import Any

import compare
import numpy as np
from ops import Case, Op, widened

EPS = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}


def expected(op: Op, case: Case, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The reference's results in float64."""
    with np.errstate(all="ignore"):
        return compare.results(op.twin(**widened(arrays), **case.settings))


def called(op: Op, case: Case, arrays: dict[str, np.ndarray], **more: Any) -> list[np.ndarray]:
    """The op's results, each checked to be what every op promises: native, C-contiguous, writeable, fresh."""
    value = op.function(**arrays, **case.settings, **more)
    for y in value if isinstance(value, tuple) else (value,):
        if isinstance(y, np.ndarray):
            flags = y.flags
            assert type(y) is np.ndarray and y.dtype.isnative and flags.c_contiguous and flags.writeable
            assert not any(np.may_share_memory(y, a) for a in arrays.values()), "a result overlaps an input"
    return compare.results(value)


def exact(op: Op, case: Case, dtype: Any, seed: int = 0) -> bool:
    """Small integers: the result must be the reference's, number for number. False if most of it is 0."""
    repro, arrays = op.repro(case, "integers", seed, dtype), op.arrays(case, "integers", seed, dtype)
    wanted = expected(op, case, arrays)
    got = called(op, case, arrays)
    assert len(got) == len(wanted), repro
    for g, w in zip(got, wanted, strict=True):
        compare.same_values(g, w.astype(dtype) if w.dtype.kind == "f" and w.ndim else w, repro)
    return compare.trusted(wanted[0])


def close(op: Op, case: Case, dtype: Any, seed: int = 0) -> None:
    """Normal numbers: within the op's bound of the reference in float64."""
    repro, arrays = op.repro(case, "normal", seed, dtype), op.arrays(case, "normal", seed, dtype)
    wanted = expected(op, case, arrays)
    # in float64 the reference rounds as often as the op does
    eps = EPS[np.dtype(dtype)] * (1 if np.dtype(dtype) == np.float32 else 2)
    for g, w, bound in zip(called(op, case, arrays), wanted, op.error_bound(case, arrays, wanted, eps), strict=True):
        assert g.dtype == dtype or g.dtype.kind != "f" or g.ndim == 0, repro
        compare.within(g, w, bound, repro)


def takes(op: Op, name: str) -> bool:
    """Whether the op has this argument."""
    return name in inspect.signature(op.function).parameters
