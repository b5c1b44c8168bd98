"""The process of what is measured: its answers, its errors and its end; no answer while its threads still run."""

import os
import sys
import time

import pytest

from fastconv.bench.process import Process, ProcessError

CHILD = """
import os, sys, threading, time

import side_by_side.operands, side_by_side.worker

class Server:
    def __init__(self, word, threads):
        self.word, self.threads, self.calls = word, threads, 0

    def facts(self):
        print("what is printed is no answer")
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")
        environment = {name: os.environ.get(name) for name in names}
        facts = {"word": self.word, "threads": self.threads, "cpus": cpus, "calls": self.calls}
        return {**facts, "environment": environment, "modules": list(sys.modules)}

    def fill(self, size):
        bytearray(size)
        return {}

    def spin(self, seconds):
        end = time.perf_counter() + seconds
        def loop():
            while time.perf_counter() < end:
                pass
        threading.Thread(target=loop).start()
        return {}

    def call(self, seconds):
        def call():
            self.calls += 1
            time.sleep(seconds)
        return call

    def refuse(self):
        raise ValueError("not this")

    def die(self):
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(3)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "child_of_test.py").write_text(CHILD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    with Process("child_of_test", "hello", threads=1) as process:
        yield process
    assert not process.alive


def test_what_a_child_is_given(child):
    facts = child.ask("facts")
    assert facts["word"] == "hello" and facts["threads"] == facts["cpus"] == 1
    assert facts["environment"] == {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": None}


def test_a_library_has_its_process_for_itself(child):
    """Neither this end of the pipe nor side_by_side's part brings fastconv, its threads and its memory along."""
    modules = child.ask("facts")["modules"]
    assert "numpy" in modules and "side_by_side.worker" in modules
    assert not [name for name in modules if name.split(".")[0] == "fastconv"]


def test_a_turn_is_calls_that_fill_a_stretch(child):
    assert 2e-3 <= child.seconds(stretch=20e-3, seconds=2e-3) < 0.1
    many = child.ask("facts")["calls"]
    assert 4 <= many <= 14  # of 2 ms: up to 3 to warm up, and up to 10
    assert child.seconds(stretch=1.0, seconds=0.11) >= 0.11
    assert child.ask("facts")["calls"] == many + 1, "a long call is timed at once"


def test_no_answer_while_threads_run(child):
    child.ask("facts")
    start = time.perf_counter()
    child.ask("spin", seconds=0.3)
    assert time.perf_counter() - start > 0.29


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="elsewhere the figure begins with the parent's")
def test_peak_memory_is_the_childs_own(child):
    mine = bytearray(256 << 20)
    before = child.peak_memory()
    assert 1 << 20 < before < 128 << 20
    child.ask("fill", size=64 << 20)
    assert 60 << 20 < child.peak_memory() - before < 80 << 20
    del mine


def test_errors_are_answers_and_a_death_is_told(child):
    with pytest.raises(ProcessError, match=r"^ValueError: not this$"):
        child.ask("refuse")
    with pytest.raises(ProcessError, match="AttributeError"):
        child.ask("no_such_thing")
    assert child.ask("facts")["word"] == "hello" and child.alive
    with pytest.raises(ProcessError, match=r"ended with status 3: (?s:.*)out of luck$"):
        child.ask("die")
    assert not child.alive
    with pytest.raises(ProcessError, match="ended with status 3"):
        child.ask("facts")


def test_a_module_that_is_not_there():
    with Process("no_such_module", threads=1) as process, pytest.raises(ProcessError, match="no_such_module"):
        process.ask("facts")
    assert "no_such_module" not in sys.modules
