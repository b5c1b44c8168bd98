"""The columns that hold every op against the reference, over all rows of the registry."""

import inspect

import checks
import compare
import numpy as np
import pytest
from ops import OPS

import fastconv

every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@every_op
@both_dtypes
def test_integers_are_exact(op, dtype):
    ran = [checks.exact(op, case, dtype) for case in op.cases if case.exact]
    if not ran:
        assert not any(case.exact for case in op.cases)
        return
    assert sum(ran) >= (1 if op.sparse else 0.8 * len(ran)), f"{op.name}: too many outputs are mostly zeros"


@every_op
@both_dtypes
def test_normal_numbers_are_within_the_bound(op, dtype):
    for case in op.cases:
        checks.close(op, case, dtype)


@every_op
@both_dtypes
def test_out_receives_every_element(op, dtype):
    if not checks.takes(op, "out"):
        assert "out" not in inspect.signature(op.twin).parameters
        return
    for case in op.cases:
        arrays = op.arrays(case, "integers", 0, dtype)
        wanted = checks.called(op, case, arrays)
        out = np.full_like(wanted[0], np.nan)
        value = op.function(**arrays, **case.settings, out=out)
        assert value is out or value[0] is out
        for got, want in zip(compare.results(value), wanted, strict=True):
            compare.same_bits(got, want, op.repro(case, "integers", 0, dtype))


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_used_before_leaves_no_trace(threads):
    """Results lie in recycled memory: NaN left there must not shine through."""
    fastconv.set_num_threads(threads)
    for op in OPS:
        for case in op.cases:
            if not case.large:
                continue
            arrays = op.arrays(case, "integers", 0, np.float32)
            first = checks.called(op, case, arrays)
            kept = [y.copy() for y in first]
            for y in first:
                if y.ndim and y.dtype.kind == "f":
                    y.fill(np.nan)
            del first, y
            for got, want in zip(checks.called(op, case, arrays), kept, strict=True):
                compare.same_bits(got, want, op.repro(case, "integers", 0, np.float32))


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d"])
@both_dtypes
def test_a_packed_weight_gives_the_same_result(name, dtype):
    """The same bits by the direct algorithm; Winograd's may sum in another order where the weight is transformed in
    advance."""
    op = next(op for op in OPS if op.name == name)
    names = ("stride", "padding", "dilation", "groups", "layout", "algorithm")
    for case in op.cases:
        arrays = op.arrays(case, "normal", 0, dtype)
        kept = {name: case.settings[name] for name in names if name in case.settings}
        packed = fastconv.pack(arrays["weight"], input_shape=arrays["x"].shape, **kept)
        settings = {**case.settings, "algorithm": packed.algorithm}
        want = op.function(**arrays, **settings)
        arrays["weight"] = np.full_like(arrays["weight"], np.nan)  # what was packed does not change any more
        got = op.function(**{**arrays, "weight": packed}, **case.settings)
        error = 0 if packed.algorithm == "direct" else 32 * np.finfo(dtype).eps * np.abs(want).max(initial=0)
        compare.within(got, want, error, op.repro(case, "normal", 0, dtype))


def test_the_registry_has_not_shrunk():
    assert len(OPS) >= 65
    assert sum(len(op.cases) for op in OPS) >= 6700
    assert sum(case.large for op in OPS for case in op.cases) >= 75
