"""Starting Python processes with a time limit and this folder on the path, and reading what they print."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def environment(**changes: str) -> dict[str, str]:
    path = os.pathsep.join(p for p in (str(HERE), os.environ.get("PYTHONPATH")) if p)
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
