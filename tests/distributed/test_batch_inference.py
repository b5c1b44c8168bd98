"""Inference of many pictures on a pool of processes and over Dask, as the README shows it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import processes
import pytest
from test_readme import blocks, section


def test_the_readmes_program(tmp_path):
    """As a file of its own: a pool that spawns imports the program again in each process."""
    if importlib.util.find_spec("dask") is None:
        pytest.skip('Dask is not installed: pip install "dask[array]"')
    code = section("batch-inference").strip().removeprefix("```python\n").removesuffix("```")
    assert code in blocks("python")
    program = Path(tmp_path, "inference.py")
    program.write_text(code)
    command = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(
        command, cwd=tmp_path, env=processes.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(64, 10) True\n"
