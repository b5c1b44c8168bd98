"""benchmarks/backends.py prints rows whose results agree, refuses others, and says what it leaves out."""

import re

import numpy as np
import pytest

backends = pytest.importorskip("backends", reason="benchmarks/ is not there")


def test_the_plain_net(capsys):
    assert backends.main(["--only", "plain NumPy", "--seconds", "0", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    assert len(re.findall(r"^plain NumPy .*\d [mu]s +[\d.]+ [mu]s +[\d.]+x +\de-\d\d$", printed, re.M)) == 2


def test_what_is_not_there_is_named(capsys, monkeypatch):
    cases, _ = backends.BACKENDS["CS231n"]
    monkeypatch.setitem(backends.BACKENDS, "CS231n", (cases, ("no_such_package",)))
    assert backends.main(["--only", "CS231n"]) == 0
    assert "skipped: no_such_package is not installed" in capsys.readouterr().out


def test_another_result_has_no_times(capsys, monkeypatch):
    def wrong():
        yield backends.Case("plain NumPy", "add", "4", "float32", lambda: np.ones(4), lambda: np.full(4, 1.001))

    monkeypatch.setitem(backends.BACKENDS, "plain NumPy", (wrong, ()))
    assert backends.main(["--only", "plain NumPy"]) == 1
    assert "another result: off by 1.0e-03" in capsys.readouterr().out
