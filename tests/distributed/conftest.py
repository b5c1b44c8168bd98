"""Starting programs under mpiexec; where MPI is missing its tests are skipped with the reason."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import processes
import pytest

PROGRAMS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def launcher() -> str:
    """The mpiexec beside this interpreter, as `pip install mpich` puts it, or that of the system."""
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip('mpi4py is not installed: pip install "fastconv[mpi]"')
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("mpiexec", path=folders)
    if found is None:
        pytest.skip("no mpiexec: pip install mpich")
    return found


@pytest.fixture
def start(launcher, tmp_path):
    """start(ranks, *arguments) -> Popen of that many ranks of Python with these arguments, in a folder of the test."""
    started = []

    def begin(ranks, *arguments, **env):
        line = [launcher, "-n", str(ranks), sys.executable, "-W", "error", *map(str, arguments)]
        variables = processes.environment(MPLBACKEND="agg", **env)
        process = subprocess.Popen(
            line, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=10)


@pytest.fixture
def ranks(start):
    """ranks(n, program, *arguments) -> what the program printed, once it has ended well."""

    def run(n, program, *arguments, seconds=60, **env):
        process = start(n, PROGRAMS / program, *arguments, **env)
        output, errors = process.communicate(timeout=seconds)
        assert process.returncode == 0, errors
        return output

    return run
