"""Runs the command in a process of its own, as users do, in a folder of the test."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def command(tmp_path):
    """command("info", ...) -> CompletedProcess; `env` adds variables."""

    def run(*arguments, env=None, timeout=120, python=("-W", "error")):
        line = [sys.executable, *python, "-m", "fastconv", *map(str, arguments)]
        variables = {**os.environ, "MPLBACKEND": "agg", "COLUMNS": "100", **(env or {})}
        return subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=timeout)

    return run


@pytest.fixture
def refused(command):
    """Runs a command that must end with exit code 2 and one line of error after argparse's usage; returns it."""

    def run(*arguments, **options):
        done = command(*arguments, **options)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert ": error: " in last
        return last

    return run
