"""Everything a caller can get wrong is a TypeError or ValueError that names the op and the argument; the
numbers are those of the list of bad inputs that the rows carry. Afterwards arguments are unchanged and the
next call works."""

import re
import sys

import compare
import numpy as np
import pytest
from ops import OPS
from ops.bad_everywhere import base, everywhere

import fastconv

every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)


def described(bad):
    parts = (
        f"{k}={v.dtype}{v.shape}" if isinstance(v, np.ndarray) else f"{k}={v!r:.60}" for k, v in bad.arguments.items()
    )
    return f"case {bad.number}: {', '.join(parts)}"


def refusal(op, bad):
    """What is wrong with how op takes a bad call; "" if nothing."""
    try:
        op.function(**bad.arguments)
    except bad.error as error:
        text = str(error)
        if isinstance(error, MemoryError):
            return ""
        if bad.number != 50 and not text.startswith(f"{op.name}: "):
            return f"the text does not name the op: {text!r}"
        if not re.search(bad.pattern, text, re.DOTALL):
            return f"the text does not say {bad.pattern!r}: {text!r}"
        return ""
    except Exception as error:
        return f"{type(error).__name__} instead of {bad.error}: {error}"
    return "no error"


def check(op, cases):
    wrong = [f"{op.name} {described(bad)}\n    {why}" for bad in cases if (why := refusal(op, bad))]
    assert not wrong, f"{len(wrong)} bad calls:\n" + "\n".join(wrong)


@every_op
def test_bad_arguments_of_every_kind(op):
    check(op, everywhere(op))


@every_op
def test_bad_inputs_of_the_row(op):
    if op.bad:
        check(op, op.bad())


@every_op
def test_a_refusal_leaves_nothing_behind(op):
    """Arguments keep their contents and reference counts; the next good call is right."""
    _, good = base(op)
    wanted = compare.results(op.function(**good))
    for bad in [*everywhere(op), *(op.bad() if op.bad else ())]:
        arrays = {
            k: v for k, v in bad.arguments.items() if type(v) is np.ndarray and v.dtype != object and v.nbytes < 1e6
        }
        before = {k: (v.tobytes(), sys.getrefcount(v)) for k, v in arrays.items()}
        refusal(op, bad)
        assert before == {k: (v.tobytes(), sys.getrefcount(v)) for k, v in arrays.items()}, described(bad)
    for got, want in zip(compare.results(op.function(**good)), wanted, strict=True):
        compare.same_bits(got, want, op.name)


def test_the_cases_of_the_list_are_there():
    """The numbers that rows and columns carry; those in test_odd_inputs must work and are listed there."""
    import test_odd_inputs

    have = {bad.number for op in OPS for bad in (*everywhere(op), *(op.bad() if op.bad else ()))}
    have |= test_odd_inputs.CASES
    wanted = {*range(1, 61), 69, 70, *range(76, 80), *range(93, 97), *range(98, 103)}
    assert sorted(wanted - have) == []


@pytest.mark.parametrize("bad", [True, 1.0, (1, True), (1.0, 1), np.float64(1), "1"])
@pytest.mark.parametrize("name", ["stride", "padding", "dilation", "groups"])
def test_what_equals_a_good_argument_is_no_good_argument(name, bad):
    """True and 1.0 equal 1, and what is worked out for 1 is remembered."""
    x, w = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)
    fastconv.conv2d(x, w, **{name: 1})
    with pytest.raises((TypeError, ValueError), match=f"conv2d: {name}"):
        fastconv.conv2d(x, w, **{name: bad})
