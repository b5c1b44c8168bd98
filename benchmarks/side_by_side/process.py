"""The other end of worker.py: starts a worker, asks, and says how it died.
It must never start a library in the process that asks."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

_BENCHMARKS = Path(__file__).parents[1]


class WorkerError(Exception):
    """A library raised, or its process died: the text says which."""


class Worker:
    """One library in its own process. `ask(do, ...)` is `send` and `receive`; as a context manager it ends it."""

    def __init__(self, library: str, threads: int) -> None:
        self.library = library
        count = str(threads)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_BENCHMARKS), *filter(None, sys.path)]),
            "OMP_NUM_THREADS": count,
            "OPENBLAS_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
        }
        # How threads wait is each library's own choice: a turn begins after all others have fallen asleep.
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "FASTCONV_NUM_THREADS"):
            environment.pop(name, None)
        # Closed in close().
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", library, count],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            encoding="utf-8",
        )

    def send(self, do: str, **request: Any) -> None:
        """Ask without waiting for the answer."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # receive says why

    def receive(self) -> dict[str, Any]:
        """The next answer; WorkerError if it is an error or there is none."""
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            raise WorkerError(f"the process ended with status {status}: {self._errors.read()[-500:].strip()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        self.send(do, **request)
        return self.receive()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
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
