"""Every target this CPU runs gives the reference's integers; the choice of a target is checked, never
ignored."""

import pytest
from processes import run

import fastconv

SELF_CHECK = "import sys, self_check; self_check.main(sys.argv[1:])"


@pytest.mark.parametrize("target", fastconv.targets())
def test_each_target_is_exact_on_any_number_of_threads(target):
    """Case 24 and 83 for every target: and the digest of normal numbers does not depend on the threads."""
    outputs = {
        run(SELF_CHECK, FASTCONV_TARGET=target, FASTCONV_NUM_THREADS=threads, seconds=240).stdout.strip()
        for threads in ("1", "3")
    }
    assert len(outputs) == 1, outputs
    name, ran, _ = outputs.pop().split()
    assert name == target and int(ran) > 5_000


@pytest.mark.parametrize("wrong", ["nonsense", "AVX2", "avx2 ", "0"])
def test_an_unknown_target_is_an_import_error(wrong):
    """Case 113: the text lists the names."""
    done = run("import fastconv", FASTCONV_TARGET=wrong, expect=1)
    assert "ImportError" in done.stderr and repr(wrong) in done.stderr
    assert all(target in done.stderr for target in fastconv.targets())


def test_targets_are_listed_best_first_and_baseline_is_there():
    assert fastconv.targets()[-1] == "baseline"
    assert fastconv.target() in fastconv.targets()


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_bad_number_of_threads_in_the_environment(value):
    """Case 105 for FASTCONV_NUM_THREADS: an error that names it, at import."""
    done = run("import fastconv", FASTCONV_NUM_THREADS=value, expect=1)
    assert "FASTCONV_NUM_THREADS" in done.stderr and value in done.stderr


@pytest.mark.parametrize("value", ["0", "garbage", "1000", "-3", "4,3,2"])
def test_openmp_settings_never_break_an_import(value):
    """Case 106."""
    code = "import self_check; self_check.main(['conv2d'])"
    assert run(code, OMP_NUM_THREADS=value).stdout.split()[1].isdigit()
