"""No op reads or writes one element beyond an array, on any target (case 73)."""

import signal
import sys

import pytest
from processes import run

import fastconv

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mprotect is not there")


@pytest.mark.parametrize("target", fastconv.targets())
def test_arrays_against_walls(target):
    done = run(
        "import sys, guard_pages; guard_pages.main(sys.argv[1:])", seconds=240, expect=None, FASTCONV_TARGET=target
    )
    lines = done.stdout.strip().splitlines() or ["nothing ran"]
    assert done.returncode == 0, f"ended with {done.returncode} in {lines[-1]}\n{done.stderr[-2000:]}"
    name, ran = lines[-1].split()
    assert name == target and int(ran) > 3500


def test_the_walls_stand():
    assert run("import guard_pages; guard_pages.overrun()", expect=None).returncode == -signal.SIGSEGV
