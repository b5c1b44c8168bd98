"""Whole networks beside other engines: the same results, errors that are told, the table's lines."""

import networks
import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv.bench import contest, engines
from fastconv.bench.process import Process, ProcessError


def small_net():
    g = np.random.default_rng(0)
    body = L.Sequential(L.Conv2d(8, 8, 3, padding=1, generator=g), L.BatchNorm2d(8))
    layers = [L.Conv2d(3, 8, 3, generator=g), L.LeakyReLU(0.1), L.Residual(body), L.ReLU()]
    return L.Sequential(*layers, L.Concat([L.Identity(), L.MaxPool2d(3, 1, 1)]), L.GlobalAvgPool2d(), L.Flatten())


@pytest.mark.parametrize("batch", (1, 2))
def test_all_installed_engines_agree(batch):
    x = np.random.default_rng(1).standard_normal((batch, 3, 14, 14), np.float32)
    names = [name for name in engines.ENGINES if not engines.missing(name)]
    standing = contest.contest(small_net(), x, names, threads=2, seconds=0)
    assert not standing.errors
    assert set(standing.seconds) == {name for name in names if batch == 1 or name != "ncnn"}
    assert standing.rounds == 5
    for name in standing.seconds:
        assert standing.seconds[name] > 0
        assert standing.memory[name] > 2**20
        assert standing.deviations[name] < 1e-5
    text = networks.line("small", batch, standing, 1.2)
    assert text.startswith("          small")
    assert text.count("ms") == 1


def test_what_fails_is_told_and_the_others_go_on(tmp_path, monkeypatch):
    standing = contest.Standing(seconds={"fastconv": 2e-3, "ncnn": 3e-3}, errors={"OpenVINO": "no such device"})
    assert standing.ratio(["ncnn"]) == pytest.approx(1.5)
    assert standing.ratio(["OpenVINO"]) is None
    assert networks.line("a", 1, standing, 1.2).endswith("OpenVINO: no such device")
    np.savez(tmp_path / "fastconv.npz", np.array([1.0, 2.0]))
    np.savez(tmp_path / "other.npz", np.array([1.0, 2.5]))
    assert contest._deviation(tmp_path, "other") == pytest.approx(0.25)
    np.savez(tmp_path / "other.npz", np.ones(3))
    with pytest.raises(ProcessError, match="shape"):
        contest._deviation(tmp_path, "other")
    process = Process("fastconv.bench.engine_process", "fastconv", str(tmp_path), threads=1)
    with process, pytest.raises(ProcessError, match="FileNotFoundError"):
        process.ask("prepare")  # there is no model in the folder


def test_inception():
    model = networks.inception_v1(7, seed=1)
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64), np.float32)
    y = model(x)
    assert y.shape == (2, 7)
    assert np.abs(fastconv.optimize(model, x.shape)(x) - y).max() <= 1e-5 * np.abs(y).max()
    # Szegedy et al., table 1: 7 million with the classifier of 1000 classes.
    assert sum(p.data.size for p in networks.inception_v1().parameters()) == 6_998_552
