"""Forked and spawned children work and never hang; Ctrl-C interrupts a long call soon, and the next call is
right."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from processes import environment, run

import fastconv

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

SETUP = """
import os, sys, signal, threading, time, warnings
import numpy as np, fastconv
warnings.filterwarnings("ignore", category=DeprecationWarning)  # Python's own warning on fork with threads
fastconv.set_num_threads(4)
rng = np.random.default_rng(0)
x = rng.standard_normal((4, 64, 40, 40)).astype(np.float32)
w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
want = fastconv.conv2d(x, w, padding=1)

def right():
    return np.array_equal(fastconv.conv2d(x, w, padding=1), want)

def child():
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        fine = right() and all(g is not None for g in fastconv.conv2d_backward(want, x, w, padding=1))
        os._exit(0 if fine else 3)
    return os.waitpid(pid, 0)[1]
"""


@posix
def test_fork_after_use():
    """Case 107: the child of a process whose threads have run works, and so does the child's child."""
    run(SETUP + "for i in range(5):\n    assert child() == 0\n    assert right()\n")


@posix
def test_fork_while_another_thread_computes():
    """Case 108."""
    code = """
stop = False
def busy():
    while not stop:
        assert right()
threads = [threading.Thread(target=busy) for _ in range(2)]
for t in threads: t.start()
time.sleep(0.1)
try:
    for i in range(10):
        assert child() == 0, "the child failed"
        time.sleep(0.01)
finally:
    stop = True
    for t in threads: t.join()
assert right()
"""
    run(SETUP + code, seconds=90)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes(method, tmp_path):
    if sys.platform == "win32" and method != "spawn":
        pytest.skip("spawn only")
    (tmp_path / "job.py").write_text(
        "import numpy as np, fastconv\n"
        "def job(seed):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    x, w = rng.integers(-9, 9, (2, 32, 30, 30)) * 1.0, rng.integers(-9, 9, (16, 32, 3, 3)) * 1.0\n"
        "    return fastconv.conv2d(x, w, padding=1)\n"
    )
    (tmp_path / "main.py").write_text(
        "import warnings, sys\nwarnings.filterwarnings('ignore', category=DeprecationWarning)\n"
        "import multiprocessing, numpy as np\nfrom job import job\n"
        "if __name__ == '__main__':\n"
        "    job(0)\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        for seed, y in enumerate(pool.map(job, range(4))):\n"
        "            assert np.array_equal(y, job(seed))\n"
        "    print('done')\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], env=environment(), timeout=90,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "done" in done.stdout, done.stderr


def test_workers_of_a_library_that_forks():
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    x = np.ones((1, 4, 9, 9), np.float32)
    w = np.ones((4, 4, 3, 3), np.float32)
    jobs = (joblib.delayed(fastconv.conv2d)(x, w) for _ in range(4))
    assert all((y == 36).all() for y in joblib.Parallel(n_jobs=2)(jobs))


INTERRUPTED = (
    SETUP
    + """
big = np.zeros((64, 256, 96, 96), np.float32)
heavy = np.zeros((256, 256, 3, 3), np.float32)
dy = np.zeros((64, 256, 96, 96), np.float32)
calls = {
    "forward": lambda: fastconv.conv2d(big, heavy, padding=1, algorithm="direct"),
    "input": lambda: fastconv.conv2d_grad_input(dy, heavy, big.shape, padding=1, algorithm="direct"),
    "weight": lambda: fastconv.conv2d_grad_weight(dy, big, heavy.shape, padding=1, algorithm="direct"),
}
fastconv.set_num_threads(int(sys.argv[2]))
sent = []
def interrupt():
    time.sleep(0.3)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    while not sent:
        calls[sys.argv[1]]()
    time.sleep(5)
except KeyboardInterrupt:
    late = time.perf_counter() - sent[0]
else:
    raise SystemExit("no KeyboardInterrupt")
assert right(), "the next call is wrong"
print(late)
"""
)


@posix
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("call", ["forward", "input", "weight"])
def test_interrupt(call, threads):
    """Case 111: within about half a second (some slack for a busy machine)."""
    done = run(INTERRUPTED, call, threads)
    assert float(done.stdout) < 1.5


@posix
def test_a_signal_handler_may_call_kernels():
    """Case 112: and one that raises nothing lets the call finish."""
    code = """
ran = []
def handler(*_):
    ran.append(right())
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
for _ in range(30):
    assert right()
signal.setitimer(signal.ITIMER_REAL, 0)
assert ran and all(ran)
"""
    run(SETUP + code)


@posix
def test_an_exception_of_a_handler_comes_through():
    code = """
class Own(Exception): pass
def handler(*_):
    raise Own
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
big = np.zeros((64, 256, 96, 96), np.float32)
try:
    fastconv.conv2d(big, np.zeros((256, 256, 3, 3), np.float32), padding=1, algorithm="direct")
except Own:
    assert right()
else:
    raise SystemExit("the exception was lost")
"""
    run(SETUP + code)


class CallsBack:
    """An array-like whose conversion calls a kernel."""

    def __array__(self, dtype=None, copy=None):
        return fastconv.conv2d(np.ones((1, 1, 5, 5), np.float32), np.ones((1, 1, 1, 1), np.float32))


def test_kernels_called_while_reading_an_argument():
    assert (fastconv.conv2d(CallsBack(), np.ones((1, 1, 3, 3), np.float32)) == 9).all()


def test_a_resize_during_a_call_is_refused():
    """Case 72: the call holds its arrays."""
    x = np.zeros((4, 64, 64, 64), np.float32)
    w = np.zeros((64, 64, 15, 15), np.float32)  # 26 thousand million operations: longer than any delay of the thread
    refused = []

    def resize():
        time.sleep(0.02)
        try:
            x.resize((1,))
        except ValueError:
            refused.append(True)

    thread = threading.Thread(target=resize)
    thread.start()
    y = fastconv.conv2d(x, w, padding="same", algorithm="direct")
    thread.join()
    assert refused and y.shape == (4, 64, 64, 64) and not y.any()


def test_signal_handling_is_left_alone():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@posix
def test_the_end_of_the_interpreter_with_a_call_running():
    """Case 110."""
    code = (
        SETUP
        + """
def busy():
    while True:
        right()
threading.Thread(target=busy, daemon=True).start()
time.sleep(0.2)
"""
    )
    run(code)
