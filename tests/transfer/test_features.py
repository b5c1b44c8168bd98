"""Frozen trunks: what training leaves alone, and that a head learns the same from features computed once."""

import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv import losses, optim, transfer
from fastconv.data import ArrayDataset, RandomHorizontalFlip


def network(seed=0):
    rng = np.random.default_rng(seed)
    norm = L.BatchNorm2d(6)
    norm.running_mean[:], norm.running_var[:] = rng.standard_normal(6), rng.uniform(0.5, 2, 6)
    return L.Sequential(
        {
            "conv": L.Conv2d(3, 6, 3, generator=rng),
            "norm": norm,
            "relu": L.ReLU(),
            "drop": L.Dropout(0.3),
            "pool": L.GlobalAvgPool2d(),
            "flatten": L.Flatten(),
            "fc": L.Linear(6, 3, generator=rng),
        }
    )


def samples(count=50):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, count)
    x = rng.standard_normal((count, 3, 6, 6), np.float32)
    x[np.arange(count), y] += 1
    return x, y


def trained(model, x, y=None, epochs=3, **groups):
    optimizer = optim.Adam(groups.get("params") or model.parameters(), lr=1e-2)
    fastconv.Trainer(model, optimizer, losses.CrossEntropyLoss(), seed=5).fit(x, y, epochs, 16, progress=False)


def test_a_frozen_trunk_stays_to_the_bit_and_the_head_learns():
    model = network()
    trunk, head = transfer.split(model)
    before = transfer.freeze(trunk).state_dict()
    first = head.state_dict()
    trained(model, *samples())
    for name, value in trunk.state_dict().items():
        assert np.array_equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in trunk.parameters())
    assert not np.array_equal(head.state_dict()["fc.weight"], first["fc.weight"])


def test_a_head_learns_the_same_from_features():
    whole, parts = network(), network()
    transfer.freeze(transfer.split(whole)[0])
    trained(whole, *samples())
    trunk, head = transfer.split(parts)
    features = transfer.extract_features(trunk, *samples(), batch_size=7)
    assert features.x.shape == (50, 6) and np.array_equal(features.y, samples()[1])
    trained(head, features)
    for name, value in whole.state_dict().items():
        assert np.allclose(value, parts.state_dict()[name], atol=1e-6), name


def test_features_are_those_of_inference_whatever_the_trunk_is_set_to():
    trunk, x = transfer.split(network())[0], samples()[0]
    expected = trunk(x)
    for mode in (True, False):
        before = trunk.train(mode).state_dict()
        features = transfer.extract_features(trunk, ArrayDataset(x, np.zeros(len(x), int)), batch_size=50)
        assert np.array_equal(features.x, expected)
        assert all(np.array_equal(value, before[name]) for name, value in trunk.state_dict().items())


@pytest.mark.parametrize("batch_norm", [True, False])
def test_unfrozen_layers_train_and_statistics_move_where_wanted(batch_norm):
    model = network()
    transfer.unfreeze(transfer.freeze(model), batch_norm=batch_norm)
    before = model.state_dict()
    trunk, head = transfer.split(model)
    groups = [{"params": trunk.parameters(), "lr": 1e-4}, {"params": head.parameters()}]
    trained(model, *samples(), params=groups)
    moved = {name for name, value in model.state_dict().items() if not np.array_equal(value, before[name])}
    assert {"conv.weight", "norm.weight", "norm.bias", "fc.weight"} <= moved
    assert ("norm.running_mean" in moved) is batch_norm
    change = {name: np.abs(model.state_dict()[name] - before[name]).max() for name in ("conv.weight", "fc.weight")}
    assert change["conv.weight"] < 0.05 * change["fc.weight"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((len, *samples()), TypeError, "trunk must be a Layer"),
        ((L.ReLU(), samples()[0]), TypeError, "y is missing"),
        ((L.Flatten(), ArrayDataset(*samples(), RandomHorizontalFlip())), TypeError, "generator"),
        ((L.Graph([("a", L.ReLU(), "x")], outputs=("a", "x")), *samples()), TypeError, "one array"),
        ((L.ReLU(), samples()[0][:0], samples()[1][:0]), ValueError, "no samples"),
    ],
)
def test_what_cannot_be(arguments, error, words):
    with pytest.raises(error, match=words):
        transfer.extract_features(*arguments)


def test_batch_size_is_checked():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        transfer.extract_features(L.ReLU(), *samples(), batch_size=0)


def test_the_bar_is_shown_if_asked_for(capsys):
    transfer.extract_features(L.ReLU(), *samples(), progress=True, title="features of training")
    assert "features of training" in capsys.readouterr().err
