"""Nothing leaks, every failing allocation is a MemoryError that leaves the next call right, huge sizes never
crash."""

import gc
import resource
import sys
import tracemalloc

import checks
import compare
import numpy as np
import pytest
from ops import BY_NAME, OPS
from ops.bad_everywhere import base, everywhere
from processes import run

import fastconv
from fastconv import _kernels

every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)


def several(op):
    """A few different calls: some small cases and the largest."""
    cases = [*op.cases[:: max(1, len(op.cases) // 6)], *(case for case in op.cases if case.large)]
    return [(case, op.arrays(case, "normal", 0, np.float32)) for case in cases]


@pytest.fixture
def no_failures():
    """Whatever a test did to the kernels' allocator is undone."""
    yield
    _kernels.fail_allocation(0)


@pytest.mark.parametrize("mebibytes", (2, 4, 16))
def test_powers_of_two_take_no_huge_page_more(mebibytes):
    """A block has a header: 2 MiB of numbers once took 4."""
    fastconv.free_scratch()
    block = _kernels.Memory(mebibytes << 20)
    del block
    assert mebibytes << 20 <= _kernels.pool_bytes() <= (mebibytes << 20) + (128 << 10)


@every_op
def test_each_allocation_may_fail(op, no_failures):
    """Case 80: the n-th allocation fails, for n = 1, 2, ... until a call succeeds."""
    fastconv.set_num_threads(2)
    for case, arrays in several(op):
        wanted = [y.copy() for y in checks.called(op, case, arrays)]
        before = {name: (a.tobytes(), sys.getrefcount(a)) for name, a in arrays.items()}
        for n in range(1, 40):
            _kernels.fail_allocation(n)
            try:
                got = checks.called(op, case, arrays)
            except MemoryError:
                failed = True
            else:
                failed = False
            left = _kernels.fail_allocation(0)
            assert before == {name: (a.tobytes(), sys.getrefcount(a)) for name, a in arrays.items()}
            got = got if not failed else checks.called(op, case, arrays)
            for g, w in zip(got, wanted, strict=True):
                compare.same_bits(g, w, f"{op.repro(case, 'normal', 0, 'float32')} after allocation {n} failed")
            del got, g
            if left > 0:  # nothing failed any more; some loops do without the memory
                break
        else:
            raise AssertionError(f"{op.name}: 40 allocations in one call: {case}")


@pytest.mark.parametrize("name", ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"])
def test_the_failing_allocation_is_reached(name, no_failures):
    op = BY_NAME[name]
    case = next(case for case in op.cases if case.large)
    arrays = op.arrays(case, "normal", 0, np.float32)
    _kernels.fail_allocation(1)
    with pytest.raises(MemoryError):
        op.function(**arrays, **case.settings)


@every_op
def test_good_calls_do_not_leak(op):
    calls = several(op)[:3]
    for case, arrays in calls:
        counts = [sys.getrefcount(a) for a in arrays.values()]

        def many(times, case=case, arrays=arrays):
            for _ in range(times):
                op.function(**arrays, **case.settings)

        assert growth(many) < 1000, op.repro(case, "normal", 0, "float32")
        assert counts == [sys.getrefcount(a) for a in arrays.values()]


@every_op
def test_refused_calls_do_not_leak(op):
    _, good = base(op)
    bad = [b for b in everywhere(op) if not isinstance(next(iter(b.arguments.values())), np.ma.MaskedArray)][:40]

    def many(times):
        for _ in range(max(1, times // 20)):
            for b in bad:
                try:
                    op.function(**b.arguments)
                except (TypeError, ValueError, MemoryError):
                    continue

    assert growth(many) < 1000, op.name
    op.function(**good)


def growth(many) -> int:
    """Bytes that every round of 200 calls leaves allocated: the least of several. What the interpreter keeps for itself
    shrinks from round to round, to nothing after seven to ten of them; a leak stays."""
    many(40)
    gc.collect()
    gc.freeze()  # what other tests imported: to look through it each time takes most of a second
    tracemalloc.start()
    try:
        grown = []
        for _ in range(20):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            many(200)
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
            if grown[-1] < 1000:
                break
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    return min(grown)


def test_the_process_does_not_grow():
    """Memory of the C side, which tracemalloc does not see: the largest case of every op, again and again."""
    jobs = [(op, *several(op)[-1]) for op in OPS]

    def rounds(n):
        for _ in range(n):
            for op, case, arrays in jobs:
                op.function(**arrays, **case.settings)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    rounds(3)
    before = rounds(1)
    assert rounds(12) - before < 4096, "kilobytes"


def test_scratch_can_be_freed():
    op = BY_NAME["conv2d"]
    for case, arrays in several(op):
        first = checks.called(op, case, arrays)[0].copy()
        assert fastconv.free_scratch() >= 0 and _kernels.pool_bytes() >= 0
        compare.same_bits(checks.called(op, case, arrays)[0], first, op.repro(case, "normal", 0, "float32"))


HUGE = """
import numpy as np, fastconv
x = np.ones((1, 1, 4, 4), np.float32); w = np.ones((1, 1, 3, 3), np.float32); one = x[:, :, :1, :1]
calls = [
    lambda: fastconv.conv2d(x, w, padding=1 << 20),                    # 78: 17 TB of output
    lambda: fastconv.conv2d(x, w, padding=(1 << 31) - 1, stride=3),    # 33 with a huge output
    lambda: fastconv.conv2d(x, w, padding=1 << 59),
    lambda: fastconv.conv_transpose2d(x, w, stride=1 << 20),
    lambda: fastconv.conv2d_grad_input(one, w, (1, 1, 1 << 20, 1 << 20), stride=1 << 20),
    lambda: fastconv.conv2d_grad_weight(x, x, (1, 1, 1 << 20, 1 << 20), padding=1 << 19),
    lambda: fastconv.conv2d(np.broadcast_to(np.float32(1), (1, 1 << 20, 1 << 10, 1 << 10)), w),
    lambda: fastconv.upsample(x, 1 << 18),
    lambda: fastconv.adaptive_avg_pool2d(x, 1 << 20),
    lambda: fastconv.max_pool2d_backward(one, np.zeros((1, 1, 1, 1), np.int64), (1, 1, 1 << 20, 1 << 20)),
    lambda: fastconv.avg_pool2d_backward(one, (1, 1, 1 << 20, 1 << 20), 1 << 20),
    lambda: fastconv.linear(np.ones((1 << 12, 1), np.float32), np.broadcast_to(np.float32(1), (1 << 40, 1))),
]
for i, call in enumerate(calls):
    try:
        call()
    except (MemoryError, ValueError) as error:
        print(i, type(error).__name__, error)
    else:
        raise SystemExit(f"call {i} returned")
y = fastconv.conv2d(x, w, padding=1)
assert y.sum() == 100, y
"""


def test_huge_sizes_are_memory_errors():
    """Cases 32, 33, 77 to 79: nothing that large is touched, the process lives, the next call is right."""
    assert run(HUGE, seconds=60).stdout.count("Error") == 12


LIMITED = """
import resource, numpy as np, fastconv
x = np.ones((1, 8, 64, 64), np.float32); w = np.ones((8, 8, 3, 3), np.float32)
want = fastconv.conv2d(x, w, padding=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20),) * 2)
for i in range(5):
    for call in (
        lambda: fastconv.conv2d(x, w, padding=2000),
        lambda: fastconv.conv_transpose2d(x, w, stride=120),
        lambda: fastconv.upsample(x, 60),
        lambda: fastconv.conv2d_grad_input(want, w, (1, 8, 8000, 8000), stride=126),
    ):
        try:
            call()
        except (MemoryError, ValueError):
            pass
        else:
            raise SystemExit("no MemoryError")
    assert (fastconv.conv2d(x, w, padding=1) == want).all()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and RLIMIT_AS")
def test_an_address_space_limit():
    """Case 81."""
    run(LIMITED)


SMALL_STACK = """
import resource, threading, sys
import self_check
threading.stack_size(131072)
failed = []
def work():
    try:
        self_check.main(sys.argv[1:])
    except BaseException as error:
        failed.append(repr(error))
import fastconv, numpy
fastconv.conv2d(numpy.ones((1, 1, 4, 4)), numpy.ones((1, 1, 3, 3)))
thread = threading.Thread(target=work)
thread.start(); thread.join()
sys.exit("; ".join(failed) or None)
"""


def test_small_stacks():
    """Case 114: calls from a thread with a stack of 128 kB, OpenMP's own threads having as little."""
    names = ["conv2d", "conv2d_backward", "conv_transpose3d", "max_pool2d", "avg_pool3d", "linear", "batch_norm_train"]
    run(SMALL_STACK, *names, OMP_STACKSIZE="128k", seconds=120)


def _available() -> int:
    """Bytes of memory that are free to use."""
    if sys.platform != "linux":
        return 0
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))


@pytest.mark.large_memory
@pytest.mark.skipif(_available() < 12 << 30, reason="needs 12 GB of free memory")
def test_more_than_2_to_the_31_elements():
    """Cases 77 and 82: places beyond 32 bits."""
    y = fastconv.conv1d(np.ones((1, 1, 3), np.float32), np.ones((1, 1, 3), np.float32), padding=(1 << 30) + 99)
    assert y.size > 1 << 31 and y.max() == 3 and y[0, 0, y.size // 2] == 3 and not y[0, 0, -(1 << 20) :].any()


@pytest.mark.parametrize("size", [200_000, 2_100_000, 2_500_000, 4_194_304, 50_000_000])
def test_a_block_of_any_size_is_used_again(size):
    """The pool rounds large blocks up to huge pages, and then refused to give those between 2 and 2.7 MB out again."""
    fastconv.free_scratch()
    del_me = _kernels.Memory(size)
    del del_me
    held = _kernels.pool_bytes()
    again = _kernels.Memory(size)
    assert held >= size and _kernels.pool_bytes() == 0
    del again


def test_a_step_of_training_faults_no_fresh_pages():
    """The pool had 64 places, fewer than the arrays that the backward of a deep net frees: the rest went back to the
    system at every step, to be cleared page by page in the next."""
    arrays = 150
    x = np.ones((1, 4, 256, 256), np.float32)

    def step():
        return [fastconv.relu(x) for _ in range(arrays)]

    for _ in range(2):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < arrays
