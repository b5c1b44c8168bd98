"""The number of threads changes no bit; calls from many Python threads at once share arrays safely."""

from concurrent.futures import ThreadPoolExecutor

import checks
import compare
import numpy as np
import pytest
from ops import OPS

import fastconv


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_threads_change_no_bit(op):
    cases = [case for case in op.cases if case.large] + list(op.cases[:: max(1, len(op.cases) // 5)])
    for case in cases:
        arrays = op.arrays(case, "normal", 0, np.float32)
        wanted = None
        for threads in (1, 2, 3, 5, 8):
            fastconv.set_num_threads(threads)
            got = [y.copy() for y in checks.called(op, case, arrays)]
            wanted = wanted or got
            for g, w in zip(got, wanted, strict=True):
                compare.same_bits(g, w, op.repro(case, "normal", 0, "float32"))


@pytest.mark.parametrize("threads", [1, 2])
def test_eight_callers_share_arrays(threads):
    """Case 109."""
    fastconv.set_num_threads(threads)
    jobs = []
    for op in OPS:
        case = next((case for case in op.cases if case.large), op.cases[0])
        arrays = op.arrays(case, "normal", 0, np.float32)
        jobs.append((op, case, arrays, [y.copy() for y in checks.called(op, case, arrays)]))

    def everything(start):
        for op, case, arrays, wanted in jobs[start:] + jobs[:start]:
            for got, want in zip(checks.called(op, case, arrays), wanted, strict=True):
                compare.same_bits(got, want, f"{op.name} from 8 threads at once")
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(everything, range(0, len(jobs), max(1, len(jobs) // 8))))


def test_callers_may_change_the_number_of_threads_meanwhile():
    op = next(op for op in OPS if op.name == "conv2d")
    case = next(case for case in op.cases if case.large)
    arrays = op.arrays(case, "normal", 0, np.float32)
    want = checks.called(op, case, arrays)[0].copy()

    def work(i):
        for k in range(20):
            if i == 0:
                fastconv.set_num_threads(k % 4 + 1)
            compare.same_bits(checks.called(op, case, arrays)[0], want, "conv2d under changing thread counts")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


@pytest.mark.parametrize("wrong", [0, -1, 1 << 70])
def test_impossible_numbers_of_threads(wrong):
    """Case 105."""
    with pytest.raises(ValueError, match="set_num_threads"):
        fastconv.set_num_threads(wrong)


@pytest.mark.parametrize("wrong", [2.5, "4", None, True])
def test_numbers_of_threads_of_the_wrong_kind(wrong):
    with pytest.raises(TypeError, match="set_num_threads"):
        fastconv.set_num_threads(wrong)


def test_a_huge_number_of_threads_is_bounded():
    op = next(op for op in OPS if op.name == "conv2d")
    fastconv.set_num_threads(10**6)
    assert fastconv.get_num_threads() <= 10**6
    assert checks.exact(op, next(case for case in op.cases if case.large), np.float32)
