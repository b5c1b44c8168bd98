"""Networks cut into trunk and head, put together again, and given a new head: all of fastconv.models, and Graphs as
importers build them."""

import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv import models, transfer
from fastconv.data import IMAGENET
from fastconv.models import weights as drawing

PAPERS = ("alexnet", "densenet", "mobilenet", "resnet", "squeezenet", "vgg", "cifar", "darknet53")
NAMES = [name for name in models.__all__ if name.startswith(PAPERS)]


@pytest.fixture
def undrawn(monkeypatch):
    """Weights stay placeholders, which take neither time nor memory."""
    monkeypatch.setattr(drawing, "_draw", lambda model, generator: None)


def shapes(model):
    return {name: value.shape for name, value in model.state_dict(copy=False).items()}


def pictures(side=64, count=2):
    return np.random.default_rng(0).standard_normal((count, 3, side, side), np.float32)


def small(seed=0):
    """Convolution, batch norm with statistics of its own, dropout and two fully connected layers."""
    rng = np.random.default_rng(seed)
    norm = L.BatchNorm2d(4)
    norm.running_mean[:], norm.running_var[:] = rng.standard_normal(4), rng.uniform(0.5, 2, 4)
    first, last = L.Linear(4, 6, generator=rng), L.Linear(6, 3, generator=rng)
    features = L.Sequential(L.Conv2d(3, 4, 3, generator=rng), norm, L.ReLU(), L.GlobalAvgPool2d(), L.Flatten())
    return L.Sequential({"features": features, "classifier": L.Sequential(first, L.ReLU(), L.Dropout(), last)})


def imported(seed=0):
    """What an ONNX file of Keras becomes: matrix products with their biases as constants, a softmax at the end."""
    rng = np.random.default_rng(seed)
    nodes = [
        ("softmax", L.Softmax(1), "add_2"),
        ("bias_2", L.Constant((3,)), ()),
        ("add_2", L.Add(), ("dense_2", "bias_2")),
        ("dense_2", L.Linear(6, 3, bias=False, generator=rng), "drop"),
        ("drop", L.Dropout(), "relu"),
        ("relu", L.ReLU(), "add_1"),
        ("add_1", L.Add(), ("dense_1", "bias_1")),
        ("bias_1", L.Constant((6,)), ()),
        ("dense_1", L.Linear(4, 6, bias=False, generator=rng), "flatten"),
        ("flatten", L.Flatten(), "pool"),
        ("pool", L.GlobalAvgPool2d(), "block/conv"),
        ("block/conv", L.Conv2d(3, 4, 3, generator=rng), "scaled"),
        ("scaled", L.Mul(), ("scale", "picture")),
        ("scale", L.Constant((1, 3, 1, 1)), ()),
    ]
    graph = L.Graph(nodes, "picture", "softmax")
    for name in ("bias_1", "bias_2", "scale"):
        graph[name].value.data = rng.standard_normal(graph[name].shape, np.float32)
    return graph


@pytest.mark.parametrize("name", NAMES)
def test_a_new_head_is_what_the_network_has_for_so_many_classes(undrawn, name):
    model = getattr(models, name)()
    before = shapes(model)
    new = transfer.replace_head(model, 7, seed=0)
    assert shapes(new) == shapes(getattr(models, name)(7))
    assert shapes(model) == before
    trunk, head = transfer.split(new)
    assert shapes(trunk) | shapes(head) == shapes(new) and shapes(head) and not shapes(trunk).keys() & shapes(head)
    assert list(shapes(transfer.join(trunk, head))) == list(before)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "squeezenet1_1", "densenet121"])
def test_the_head_of_the_trunks_result_is_the_networks(name):
    model = getattr(models, name)(10, seed=0)
    trunk, head = transfer.split(model)
    x = pictures()
    y = model(x)
    assert np.array_equal(head(trunk(x)), y) and np.array_equal(transfer.join(trunk, head)(x), y)


@pytest.mark.parametrize("at", [None, "classifier", "classifier.0", "classifier.3", "features.3", "features.1"])
def test_a_sequential_can_be_cut_anywhere(at):
    model, x = small(), pictures(8)
    trunk, head = transfer.split(model, at)
    assert np.array_equal(head(trunk(x)), model(x))
    together = transfer.join(trunk, head)
    assert list(shapes(together)) == list(shapes(model)) and np.array_equal(together(x), model(x))
    if at is None:
        assert isinstance(head["classifier"]["2"], L.Dropout) and len(head["classifier"]) == 2


@pytest.mark.parametrize("at", [None, "dense_2", "drop", "dense_1", "flatten", "pool", "block/conv", "bias_1"])
def test_a_graph_can_be_cut_where_one_array_passes(at):
    model, x = imported(), pictures(8)
    trunk, head = transfer.split(model, at)
    assert np.allclose(head(trunk(x)), model(x), atol=1e-6)
    assert shapes(trunk) | shapes(head) == shapes(model)
    assert np.allclose(transfer.join(trunk, head)(x), model(x), atol=1e-6)
    reads = {node.name: node.inputs for node in model.nodes} | {None: ("relu",), "bias_1": ("dense_1",)}
    assert head.inputs == trunk.outputs == reads[at][:1]


@pytest.mark.parametrize("at", [None, "dense_2", "dense_1", "flatten"])
def test_a_new_head_of_a_graph_gives_logits(tmp_path, at):
    model, x = imported(), pictures(8)
    new = transfer.replace_head(model, ["one", "two"], at=at, seed=0)
    assert new(x).shape == (2, 2) and new.labels == ("one", "two") and model(x).shape == (2, 3)
    assert [node.name for node in new.nodes if isinstance(node.layer, (L.Softmax, L.Add))] == (
        [] if at in ("dense_1", "flatten") else ["add_1"]
    )
    layer = new["dense_1" if at in ("dense_1", "flatten") else "dense_2"]
    assert layer.bias is not None and new["block/conv"] is model["block/conv"]
    new.preprocess = IMAGENET
    fastconv.save(new, tmp_path / "new.safetensors")
    again = fastconv.load(tmp_path / "new.safetensors")
    assert np.array_equal(again(x), new(x)) and again.labels == new.labels and again.preprocess == IMAGENET


def test_a_graph_that_ends_in_a_convolution_loses_its_softmax_only():
    """As ONNX's SqueezeNet and Darknet's classifiers do."""
    conv = L.Sequential({"conv": L.Conv2d(4, 5, 1, bias=False), "activation": L.ReLU()})
    nodes = [("first", L.Conv2d(3, 4, 3), "x"), ("last", conv, "first"), ("pool", L.GlobalAvgPool2d(), "last")]
    model = L.Graph([*nodes, ("flat", L.Flatten(), "pool"), ("softmax", L.Softmax(1), "flat")])
    new = transfer.replace_head(model, 2, seed=0)
    assert new["last"]["conv"].out_channels == 2 and new["last"]["conv"].bias is not None
    y = new(pictures(8))
    assert y.shape == (2, 2) and not np.allclose(y.sum(1), 1)


def test_a_head_of_ones_own():
    x = pictures(8)
    head = L.Sequential(L.Linear(4, 5), L.ReLU(), L.Linear(5, 2))
    new = transfer.replace_head(small(), 2, at="classifier", head=head)
    assert new(x).shape == (2, 2) and list(shapes(new))[-1] == "classifier.2.bias"
    new = transfer.replace_head(imported(), 2, at="dense_1", head=head)
    assert new(x).shape == (2, 2) and list(shapes(new))[-1] == "dense_1.2.bias"
    assert transfer.split(new, "dense_1")[0](x).shape == (2, 4)


def test_at_takes_all_fully_connected_layers_of_a_vgg(undrawn):
    new = transfer.replace_head(models.vgg16(), 4, at="classifier")
    assert shapes(new)["classifier.0.weight"] == (4, 25088) and "classifier.3.weight" not in shapes(new)


def test_new_weights_follow_from_the_seed_and_keep_the_dtype():
    one, same, other = (transfer.replace_head(small(), 5, seed=seed).state_dict() for seed in (1, 1, 2))
    name = "classifier.3.weight"
    assert np.array_equal(one[name], same[name]) and not np.array_equal(one[name], other[name])
    assert np.abs(one[name]).max() <= 1 / np.sqrt(6)
    model = transfer.replace_head(small().astype(np.float64), 5)
    assert {parameter.data.dtype for parameter in model.parameters()} == {np.dtype(np.float64)}


def test_preprocessing_stays_and_labels_change():
    model = small()
    model.preprocess, model.labels = IMAGENET, ("a", "b", "c")
    new = transfer.replace_head(model, ("x", "y"))
    assert new.preprocess == IMAGENET and new.labels == ("x", "y") and model.labels == ("a", "b", "c")
    assert transfer.replace_head(model, 3).labels == ()
    assert transfer.split(model)[0].preprocess == IMAGENET and transfer.split(model)[1].labels == model.labels


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: transfer.split(L.Linear(2, 2)), TypeError, "expected a Sequential or a Graph, got Linear"),
        (lambda: transfer.split(small(), "fc"), ValueError, "no layer 'fc' .* made of features, classifier"),
        (lambda: transfer.split(small(), "features"), ValueError, "'features' is the first layer"),
        (lambda: transfer.split(small(), "features.0"), ValueError, "'features.0' is the first layer"),
        (lambda: transfer.split(L.Sequential(L.ReLU(), L.Flatten())), ValueError, "no convolution or fully connected"),
        (lambda: transfer.split(imported(), "scaled"), ValueError, "'scaled' is the first layer"),
        (lambda: transfer.split(imported(), "scale"), ValueError, "'scale' is the first layer"),
        (lambda: transfer.split(models.resnet18(seed=0)["layer1"]["0"], "conv2"), ValueError, "goes past 'conv2'"),
        (lambda: transfer.replace_head(small(), "cats"), TypeError, "a number or names, got 'cats'"),
        (lambda: transfer.replace_head(small(), True), TypeError, "got True"),
        (lambda: transfer.replace_head(small(), 0), ValueError, "at least 1"),
        (lambda: transfer.replace_head(small(), ["a", "a"]), ValueError, "none twice"),
        (lambda: transfer.replace_head(small(), 2, head=len), TypeError, "head must be a Layer"),
        (lambda: transfer.replace_head(imported(), 2, at="block/conv"), ValueError, "found Conv2d.*; give head"),
        (lambda: transfer.replace_head(small(), 2, at="features.3"), None, ""),
        (lambda: transfer.join(small(), imported()), ValueError, "must be a Sequential"),
        (lambda: transfer.join(imported(), small()), ValueError, "Graph that reads 'softmax'"),
        (lambda: transfer.join(small(), small()), ValueError, "both parts have a layer 'features'"),
        (lambda: transfer.join(small(), L.ReLU()), TypeError, "got ReLU"),
    ],
)
def test_what_cannot_be(call, error, words):
    if error is None:
        assert call()(pictures(8)).shape == (2, 2)
        return
    with pytest.raises(error, match=words):
        call()
