"""A process of its own for what is measured, both ends of it: `Process` sends a request a line and reads an answer a
line, both JSON; this file, run as a program, answers. It must import nothing but the standard library, for the child is
the measured library's alone, and never answer while that one's threads spin: the next turn is another process's."""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

# Before a timed stretch the cores and the threads wake up; to a call that takes long that makes no difference: it is
# timed at once.
_WARM, _LONG = 5e-3, 0.1
# Threads that still wait actively use the CPU: less than this part of a core is sleep.
_IDLE, _NAP, _PATIENCE = 0.05, 5e-3, 5.0
# How threads wait is the child's own choice: a turn begins after all others have fallen asleep.
_OWN_CHOICE = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "FASTCONV_NUM_THREADS")


class ProcessError(Exception):
    """The child answered with an error, or died: the text says which."""


class Process:
    """A child that imports `module`, makes its `Server(*arguments, threads)` for the first request and calls methods of
    that. It has the first `threads` CPUs. As a context manager it ends the child."""

    def __init__(self, module: str, *arguments: str, threads: int) -> None:
        count = str(threads)
        counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)
        environment = {name: value for name, value in os.environ.items() if name not in _OWN_CHOICE}
        environment |= {**counts, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        # Closed in close().
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, count, module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            encoding="utf-8",
        )

    def send(self, do: str, **request: Any) -> None:
        """Ask for `do(**request)` without waiting for the answer: whatever that method returns, a dict."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # receive says why

    def receive(self) -> dict[str, Any]:
        """The next answer; ProcessError if it is an error or there is none."""
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            raise ProcessError(f"the process ended with status {status}: {self._errors.read()[-500:].strip()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ProcessError(answer["error"])
        return answer

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        self.send(do, **request)
        return self.receive()

    def seconds(self, stretch: float = 8e-3, **which: Any) -> float:
        """Seconds of one call of what the server's `call(**which)` gives: the mean of as many as fill a stretch."""
        return self.ask("turn", stretch=stretch, **which)["seconds"]

    def peak_memory(self) -> int:
        """The most bytes of RAM that the child has had."""
        return self.ask("memory")["memory"]

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the child."""
        if self._process.stdin.closed:
            return
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> None:
    """In the child: answer until the input ends. What a request raises is its answer {"error": ...}."""
    threads, module, *arguments = sys.argv[1:]
    # Libraries print what they like: the answers have their pipe for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    server = None
    for line in sys.stdin:
        try:
            server = server or importlib.import_module(module).Server(*arguments, int(threads))
            answer = _answer(server, **json.loads(line))
            _fall_asleep()
        except Exception as error:  # whatever a library raises is its answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def _answer(server: Any, do: str, **request: Any) -> dict[str, Any]:
    if do == "memory":
        return {"memory": _peak_memory()}
    if do == "turn":
        stretch = request.pop("stretch")
        return {"seconds": _turn(server.call(**request), stretch)}
    return getattr(server, do)(**request)


def _turn(call: Callable[[], Any], stretch: float) -> float:
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < _WARM:
        first = time.perf_counter()
        call()
        calls += 1
    seconds = time.perf_counter() - first
    if seconds > _LONG:
        return seconds
    repeats = max(1, min(10_000, round(stretch / max(seconds, 1e-7))))
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def _fall_asleep() -> None:
    """Return when no thread of this process runs any more; RuntimeError if that takes more than 5 s."""
    end = time.perf_counter() + _PATIENCE
    while time.perf_counter() < end:
        wall, cpu = time.perf_counter(), time.process_time()
        time.sleep(_NAP)
        if time.process_time() - cpu < _IDLE * (time.perf_counter() - wall):
            return
    raise RuntimeError(f"the threads still spin {_PATIENCE:g} s after a call")


def _peak_memory() -> int:
    """The most bytes of RAM that this process has had: of this program alone where the system keeps that, for the other
    figure begins with what the parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
