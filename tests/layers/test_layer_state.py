"""Names, state dicts, configurations, first values and texts of layers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from layer_cases import CASES, inputs

from fastconv import layers as L
from fastconv.layers.initial import placeholders
from fastconv.layers.table import LAYERS, from_description, to_description

TORCH = json.loads((Path(__file__).parent.parent / "torch_values.json").read_text())


def torch_twin():
    return L.Sequential(
        L.Conv2d(3, 8, (3, 5), groups=1, bias=False),
        L.BatchNorm2d(8),
        L.Sequential(L.ConvTranspose2d(8, 4, 2, groups=2), L.Conv1d(4, 6, 3), L.Conv3d(6, 6, 3, groups=3)),
        L.BatchNorm1d(3, affine=False),
        L.BatchNorm3d(3, track_running_stats=False),
        L.Linear(5, 7),
    )


def test_names_shapes_and_order_are_pytorchs():
    shapes = {name: list(value.shape) for name, value in torch_twin().state_dict().items()}
    assert list(shapes.items()) == list(TORCH["state_shapes"].items())


def test_state_dicts_are_copies_and_load_in_place():
    model, other = torch_twin(), torch_twin()
    weight = other[0].weight.data
    state = model.state_dict()
    other.load_state_dict(state)
    assert other[0].weight.data is weight
    state["0.weight"][:] = 0
    assert model[0].weight.data.any() and weight.any()
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, model.state_dict()[name])
    assert model.state_dict(copy=False)["0.weight"] is model[0].weight.data


def test_a_state_dict_that_does_not_fit_lists_everything_and_changes_nothing():
    model = torch_twin()
    before = model.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    del state["5.bias"], state["1.running_var"]
    state["5.weight"] = state["5.weight"].T
    state["2.1.weight"] = state["2.1.weight"].astype(np.float64)
    state["more"] = np.zeros(3)
    with pytest.raises(ValueError) as caught:
        model.load_state_dict(state)
    text = str(caught.value)
    for part in (
        "missing: 5.bias",
        "missing: 1.running_var",
        "5.weight: shape (5, 7), expected (7, 5)",
        "2.1.weight: dtype float64, expected float32",
        "not in the model: more",
    ):
        assert part in text
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_loose_load_passes_names_over_but_not_shapes():
    model = torch_twin()
    model.load_state_dict({"5.bias": np.full(7, 3, np.float32), "more": np.zeros(1)}, strict=False)
    assert (model[5].bias.data == 3).all()
    with pytest.raises(ValueError, match=r"5\.bias: shape"):
        model.load_state_dict({"5.bias": np.zeros(8, np.float32)}, strict=False)
    with pytest.raises(TypeError, match="mapping"):
        model.load_state_dict([1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_description_rebuilds_the_layer(case):
    layer, x = case.build(), inputs(case, np.float32)
    description = to_description(layer)
    twin = from_description(json.loads(json.dumps(description)))
    assert to_description(twin) == description and repr(twin) == repr(layer)
    twin.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(twin(x), layer(x))


def test_every_layer_has_a_row():
    kinds = {type(layer).__name__ for case in CASES for _, layer in case.build().named_layers()}
    assert kinds == set(LAYERS) == set(L.__all__) - {"Layer", "Parameter", "Join", "Node", "summarize"}


class Own(L.Layer):
    arguments = ("size",)

    def __init__(self, size):
        self.size = size


def test_layers_of_others_need_the_callers_word():
    model = L.Sequential(Own(3))
    with pytest.raises(TypeError, match="Own is not one of fastconv's layers"):
        to_description(model)
    description = to_description(model, {"Own": Own})
    with pytest.raises(ValueError, match="unknown layer 'Own'"):
        from_description(description)
    assert from_description(description, {"Own": Own})[0].size == 3


def test_a_caller_cannot_shadow_a_known_layer():
    class ReLU(L.ReLU):
        pass

    with pytest.raises(TypeError, match="ReLU is not one"):
        to_description(ReLU(), {"ReLU": ReLU})


@pytest.mark.parametrize(
    ("description", "error"),
    [
        (None, "expected"),
        ([], "expected"),
        ({"layer": "ReLU"}, "expected"),
        ({"layer": "os.system", "config": {}}, "unknown layer"),
        ({"layer": "__init__", "config": {}}, "unknown layer"),
        ({"layer": 3, "config": {}}, "unknown layer"),
        ({"layer": "ReLU", "config": []}, "config must be"),
        ({"layer": "Linear", "config": {"in_features": 3}}, "out_features"),
        ({"layer": "Linear", "config": {"in_features": 3, "out_features": 2, "generator": 1}}, "unknown arguments"),
        ({"layer": "Linear", "config": {"in_features": True, "out_features": 2}}, "in_features"),
        ({"layer": "Sequential", "config": {}}, "lacks"),
        ({"layer": "Sequential", "config": {"layers": {"a": 3}}}, "expected layers"),
        ({"layer": "Sequential", "config": {"layers": {"a.b": {"layer": "ReLU", "config": {}}}}}, "without a dot"),
        ({"layer": "Residual", "config": {"body": 1, "shortcut": None}}, "expected layers"),
    ],
)
def test_bad_descriptions(description, error):
    with pytest.raises((ValueError, TypeError), match=error):
        from_description(description)


def test_nesting_is_bounded():
    description = {"layer": "ReLU", "config": {}}
    for _ in range(40):
        description = {"layer": "Sequential", "config": {"layers": {"0": description}}}
    with pytest.raises(ValueError, match="nested"):
        from_description(description)


def test_placeholders_take_no_memory():
    with placeholders():
        layer = L.Linear(2**40, 2**12)
    assert layer.weight.data.strides == (0, 0)


@pytest.mark.parametrize(
    ("build", "fan_in"),
    [
        (lambda g: L.Conv2d(6, 64, 5, groups=2, generator=g), 75),
        (lambda g: L.ConvTranspose2d(64, 8, 3, generator=g), 72),
        (lambda g: L.Linear(50, 400, generator=g), 50),
    ],
)
def test_first_weights_are_uniform_as_pytorchs(build, fan_in):
    layer, again = build(np.random.default_rng(0)), build(np.random.default_rng(0))
    bound = 1 / math.sqrt(fan_in)
    weight = layer.weight.data
    assert weight.dtype == np.float32 and np.abs(weight).max() <= bound * 1.0001
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert np.abs(layer.bias.data).max() <= bound * 1.0001
    np.testing.assert_array_equal(weight, again.weight.data)
    assert not np.array_equal(build(None).weight.data, build(None).weight.data)


def test_astype_converts_weights_and_statistics():
    model = torch_twin().astype(np.float64)
    kinds = {value.dtype for name, value in model.state_dict().items() if "tracked" not in name}
    assert kinds == {np.dtype(np.float64)}
    assert model[1].num_batches_tracked.dtype == np.int64
    with pytest.raises(TypeError, match="float32 or float64"):
        model.astype(np.float16)


def test_repr_is_pytorchs():
    assert repr(L.Conv2d(3, 8, 3, padding=1, bias=False)) == (
        "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)"
    )
    assert repr(L.Sequential(L.Linear(2, 3), L.ReLU())) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): ReLU()\n)"
    )
    assert repr(L.BatchNorm2d(4)) == ("BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)")


@pytest.mark.parametrize("record", TORCH["batch_norm"], ids=lambda record: f"momentum={record['momentum']}")
def test_batch_norm_statistics_are_pytorchs(record):
    layer = L.BatchNorm2d(2, momentum=record["momentum"]).astype(np.float64)
    for x, y in zip(record["batches"], record["outputs"], strict=True):
        np.testing.assert_allclose(layer.forward(np.array(x))[0], y, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean, record["running_mean"], rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, record["running_var"], rtol=1e-12)
    assert layer.num_batches_tracked == record["num_batches_tracked"]
    np.testing.assert_allclose(layer(np.array(record["batches"][0])), record["frozen"], rtol=1e-10, atol=1e-12)


def test_frozen_batch_norm_keeps_its_statistics_and_its_gradient_is_that_of_constants():
    layer = L.BatchNorm2d(2).astype(np.float64)
    rng = np.random.default_rng(0)
    layer.forward(rng.normal(size=(4, 2, 3, 3)))
    before = layer.eval().state_dict()
    x, dy = rng.normal(size=(2, 4, 2, 3, 3))
    dx = layer.forward(x)[1](dy)
    scale = layer.weight.data / np.sqrt(layer.running_var + layer.eps)
    np.testing.assert_allclose(dx, dy * scale[:, None, None], rtol=1e-12)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_batch_norm_of_one_value_a_channel_is_refused():
    layer = L.BatchNorm1d(3)
    with pytest.raises(ValueError):
        layer.forward(np.ones((1, 3), np.float32))
    assert layer.num_batches_tracked == 0
    assert layer(np.ones((1, 3), np.float32)).shape == (1, 3)


def test_train_and_eval_reach_all_layers():
    model = L.Sequential(L.Residual(L.Sequential(L.Dropout(), L.BatchNorm2d(2))))
    assert not any(layer.training for _, layer in model.eval().named_layers())
    assert all(layer.training for _, layer in model.train().named_layers())
