"""Starting Python processes with a time limit and this folder on the path, and reading what they print."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fastconv

HERE = Path(__file__).parent


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with this folder and the package on the path, and the changes."""
    package = str(Path(fastconv.__file__).parent.parent)  # the one under test, installed or not
    path = os.pathsep.join(p for p in (str(HERE), package, os.environ.get("PYTHONPATH")) if p)
    return {**os.environ, "PYTHONPATH": path, **changes}


def run(code: str, *arguments: str, seconds: float = 60, expect: int | None = 0, **env: str):
    """Runs Python code; fails if it ends otherwise than expected, or not in time."""
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(
            command, env=environment(**env), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"still running after {seconds} s: {late.stdout!r} {late.stderr!r}") from None
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def interrupted(arguments: list, folder: Path, checkpoints: Path) -> str:
    """Runs the command `fastconv` in a folder, sends it Ctrl-C when it has written a checkpoint; its stderr."""
    line = [sys.executable, "-m", "fastconv", *map(str, arguments)]
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    before, end = set(checkpoints.glob("*.safetensors")), time.monotonic() + 60
    while set(checkpoints.glob("*.safetensors")) <= before:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    return errors
