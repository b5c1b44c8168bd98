"""The comparisons themselves: each must refuse a broken result."""

import compare
import numpy as np
import pytest
from compare import MismatchError

Y = np.array([[0.0, 1.5, -2.0], [np.nan, np.inf, -0.0]], np.float32)
BROKEN = {
    "a number for a NaN": (1, 0, 0.0),
    "a NaN for a number": (0, 1, np.nan),
    "the other infinity": (1, 1, -np.inf),
    "a number for an infinity": (1, 1, np.finfo(np.float32).max),
    "another number": (0, 2, np.nextafter(np.float32(-2), np.float32(0))),
}
COMPARISONS = [compare.same_values, compare.same_bits, lambda g, w, r: compare.within(g, w, 0.0, r)]


@pytest.mark.parametrize("check", COMPARISONS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_result_fails(check, name):
    row, column, value = BROKEN[name]
    broken = Y.copy()
    broken[row, column] = value
    check(Y.copy(), Y, "line")
    with pytest.raises(MismatchError, match="reproduce: line"):
        check(broken, Y, "line")
    with pytest.raises(MismatchError):
        check(Y, broken, "line")


@pytest.mark.parametrize("check", COMPARISONS)
@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 2, 3), (2, 2)])
def test_another_shape_fails(check, shape):
    with pytest.raises(MismatchError):
        check(np.resize(Y, shape), Y, "line")


@pytest.mark.parametrize("check", [compare.same_values, compare.same_bits])
def test_another_dtype_fails(check):
    with pytest.raises(MismatchError):
        check(Y.astype(np.float64), Y, "line")


def test_bits_tell_zeros_and_payloads_apart():
    for changed, value in (((0, 0), -0.0), ((1, 2), 0.0)):
        other = Y.copy()
        other[changed] = value
        compare.same_values(other, Y, "line")
        with pytest.raises(MismatchError):
            compare.same_bits(other, Y, "line")
    payload = Y.copy()
    payload.view(np.uint32)[1, 0] ^= 1
    with pytest.raises(MismatchError):
        compare.same_bits(payload, Y, "line")


def test_a_bound_is_a_bound():
    want = np.array([1.0, 2.0])
    compare.within(want + np.array([0, 1e-3]), want, np.array([0, 1e-3 + 1e-12]), "line")
    with pytest.raises(MismatchError, match="largest error"):
        compare.within(want + np.array([0, 1e-3]), want, np.array([1, 0.9e-3]), "line")


def test_outputs_of_zeros_are_not_trusted():
    assert compare.trusted(np.array([0, 0, 1, 1.0]))
    assert not compare.trusted(np.array([0, 0, 0, 1.0]))
    assert compare.trusted(np.empty(0))


def test_results_flattens_what_ops_return():
    assert [r.shape for r in compare.results((1.5, None, np.ones(3)))] == [(), (3,)]
