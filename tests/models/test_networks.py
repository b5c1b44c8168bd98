"""The famous networks: torchvision's names, results and gradients, as they are stored, and the same after saving."""

import json
from pathlib import Path

import numpy as np
import pytest
from model_states import NETWORKS, fingerprint, inputs, sampled, seeded
from network_list import without_dropout

import fastconv
from fastconv import models
from fastconv.models import weights as drawing

VALUES = json.loads((Path(__file__).parent.parent / "model_values.json").read_text())
SLOPE = {"darknet53": {"negative_slope": 0.01}}  # timm's


@pytest.fixture
def undrawn(monkeypatch):
    """Networks keep placeholders for weights, which the test brings, or needs none of."""
    monkeypatch.setattr(drawing, "_draw", lambda model, generator: None)


def build(name):
    model = getattr(models, name)(NETWORKS[name][1], **SLOPE.get(name, {}))
    state = {key: seeded(key, value.shape) for key, value in model.state_dict(copy=False).items()}
    model.load_state_dict(state, assign=True)
    return without_dropout(model)


@pytest.mark.parametrize("name", VALUES["names"])
def test_names_shapes_and_order_are_torchvisions(undrawn, name):
    state = getattr(models, name)().state_dict(copy=False)
    assert fingerprint({key: value.shape for key, value in state.items()}) == VALUES["names"][name]


@pytest.mark.parametrize("name", NETWORKS)
def test_results_are_torchs(undrawn, name):
    expected = np.array(VALUES["results"][name])
    y = build(name)(inputs(name)[0])
    assert np.abs(y - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", VALUES["gradients"])
def test_gradients_in_training_are_torchs(undrawn, name):
    dtype = np.dtype(NETWORKS[name][2])
    model = build(name).astype(dtype)
    x, dy = inputs(name)
    _, back = model.forward(x.astype(dtype))
    assert back(dy.astype(dtype), needs_input=False) is None
    tolerance = 1e-6 if dtype == np.float64 else 1e-4
    expected = VALUES["gradients"][name]
    # A bias in front of a batch norm has no gradient but rounding.
    smallest = 1e-6 * max(norm for norm, *_ in expected.values())
    found = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert list(found) == list(expected)
    for key, gradient in found.items():
        error = np.abs(np.subtract(sampled(gradient), expected[key])).max()
        assert error < tolerance * max(expected[key][0], smallest), key


@pytest.mark.parametrize("name", ["cifar_resnet20", "mobilenet_v2", "densenet121", "squeezenet1_1"])
def test_saved_and_read_again_they_are_equal(tmp_path, name):
    model = getattr(models, name)(7, seed=3)
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32), np.float32)
    y = model(x)
    fastconv.save(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(fastconv.load(tmp_path / "model.safetensors")(x), y)
    again = getattr(models, name)(7, weights=tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again(x), y)
    for value in again.state_dict(copy=False).values():
        assert value.flags.writeable
    double = getattr(models, name)(7, weights=tmp_path / "model.safetensors", dtype="float64")
    assert {value.dtype for value in double.state_dict().values()} <= {np.dtype(np.float64), np.dtype(np.int64)}
    np.testing.assert_allclose(double(x.astype(np.float64)), y, rtol=1e-3, atol=1e-4)


def test_weights_of_another_number_of_classes_are_listed(tmp_path):
    fastconv.save(models.squeezenet1_1(3, seed=0), tmp_path / "three")
    with pytest.raises(ValueError, match=r"classifier\.1\.weight: shape \(3, 512, 1, 1\), expected \(4, 512, 1, 1\)"):
        models.squeezenet1_1(4, weights=tmp_path / "three")
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got float16"):
        models.squeezenet1_1(dtype="float16")
    with pytest.raises(TypeError, match="pretrained"):
        models.squeezenet1_1(pretrained=True)


def renamed(tmp_path, model, names):
    """The model's weights as a file with other names, without what PyTorch added in 2018."""
    from fastconv.formats.tensors import write_tensors

    state = model.state_dict()
    other = {names(key): value for key, value in state.items() if "num_batches_tracked" not in key}
    write_tensors(tmp_path / "other.safetensors", other, {})
    return tmp_path / "other.safetensors", state


def test_the_names_of_published_densenets(tmp_path):
    def old(key):
        for part in ("norm1", "norm2", "conv1", "conv2"):
            key = key.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.") if "denselayer" in key else key
        return key

    path, state = renamed(tmp_path, models.densenet121(2, seed=0), old)
    assert "features.denseblock1.denselayer1.norm.1.weight" in fastconv.read_weights(path)
    for key, value in models.densenet121(2, weights=path).state_dict().items():
        np.testing.assert_array_equal(value, state[key])


def test_the_names_of_timms_vgg(tmp_path):
    from fastconv.models.vgg import _renamed

    state = {
        "pre_logits.fc1.weight": np.zeros((8, 4, 7, 7)),
        "head.fc.bias": np.zeros(3),
        "features.0.weight": np.ones(1),
    }
    shapes = {key: value.shape for key, value in _renamed(state).items()}
    assert shapes == {"classifier.0.weight": (8, 196), "classifier.6.bias": (3,), "features.0.weight": (1,)}
