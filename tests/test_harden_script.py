""".ci/harden with stand-ins for Python, the compiler and valgrind: whichever part of a check fails, the check fails.
What the parts find is their own matter."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if not (ROOT / "src_c").is_dir():  # .ci/wheels tests the installed package away from its sources
    pytest.skip("the script is for the whole tree", allow_module_level=True)
SCRIPT = ROOT / ".ci/harden"
CHECKS = re.search(r'^all="(.*)"$', SCRIPT.read_text(), re.M)[1].split()

# Counts its calls, fails at the one it is told to, and else says what the real one would: a planted fault is found,
# tests have passed.
STAND_IN = r"""#!/usr/bin/env bash
case "$*" in *"import atheris"*) exit 0 ;; esac # without it, which is no failure, fuzzing is not guided
number=1
until mkdir "$CALLS/$number" 2>/dev/null; do number=$((number + 1)); done
case " $* " in
    *planted*)
        if [ "$number" = "$FAIL_AT" ]; then echo "found nothing"; exit 0; fi
        echo "heap-buffer-overflow, Invalid read, data race"; exit 66 ;;
esac
if [ "$number" = "$FAIL_AT" ]; then echo "1 passed, 1 failed: on purpose"; exit 3; fi
case " $* " in
    *" pytest "*) echo "$PYTEST_SAYS" ;;
    *targets\(\)*) echo "avx512 avx2 baseline" ;;
    *--list*) printf 'one\ntwo words\nthree\n' ;;
    *--atheris*) echo "guided: 5 files, 7 bytes, 1 opened" ;;
    *print-file-name*) ;;
    *" -o "*) # a compiler: the program that it makes is another stand-in
        while [ "$1" != -o ]; do shift; done
        cp "$0" "$2" ;;
    *" -c import"*) ;;
    *) echo "counts: 12 things" ;;
esac
"""

bash = pytest.mark.skipif(not shutil.which("bash") or os.name != "posix", reason="needs bash")


def harden(tmp_path, *arguments, fail_at=0, says="12 passed in 0.1s"):
    """The process that ended, and how many calls it made."""
    programs, calls = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir(exist_ok=True)
    for name in ("python", "gcc", "valgrind"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    shutil.rmtree(calls, ignore_errors=True)
    calls.mkdir()
    settings = {"CALLS": str(calls), "FAIL_AT": str(fail_at), "PYTEST_SAYS": says, "PYTHON": "python"}
    environment = os.environ | settings | {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done, len(list(calls.iterdir()))


@bash
@pytest.mark.parametrize("form", ["short", "long"])
@pytest.mark.parametrize("check", CHECKS)
def test_a_check_fails_where_any_of_its_parts_fails(check, form, tmp_path):
    """A target that failed in the middle of several was not noticed."""
    arguments = ["--long", check] if form == "long" else [check]
    done, calls = harden(tmp_path, *arguments)
    assert done.returncode == 0 and calls >= 1, done.stdout + done.stderr
    assert re.search(rf"^{check} +\| .*\d.* \| \d+ s$", done.stdout, re.M), done.stdout
    for number in range(1, calls + 1):
        done, _ = harden(tmp_path, *arguments, fail_at=number)
        assert done.returncode == 1, f"call {number} of {calls} failed unnoticed:\n{done.stdout}{done.stderr}"
        assert re.search(rf"^{check} +\| FAILED", done.stdout, re.M), done.stdout


@bash
@pytest.mark.parametrize("check", ["sanitizers", "targets", "memory", "leaks", "crashes", "interrupts", "processes"])
def test_a_check_fails_where_every_test_is_skipped(check, tmp_path):
    done, _ = harden(tmp_path, check, says="12 skipped in 0.1s")
    assert done.returncode == 1 and f"{check:<11} | FAILED" in done.stdout, done.stdout


@bash
def test_the_checks_after_one_that_failed_still_run(tmp_path):
    done, _ = harden(tmp_path, "kills", "leaks", fail_at=1)
    assert done.returncode == 1
    assert re.search(r"^kills +\| FAILED.*\nleaks +\| 12 tests", done.stdout, re.M), done.stdout


@bash
@pytest.mark.parametrize("arguments", [["nonsense"], ["--wrong"]])
def test_an_unknown_name_is_refused(tmp_path, arguments):
    done, calls = harden(tmp_path, *arguments)
    assert done.returncode == 2 and "there are" in done.stderr and not calls
