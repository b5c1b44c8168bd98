"""Models as ONNX files: every layer of the table on odd shapes gives there what it gives here, under its names."""

import math

import numpy as np
import pytest
from layer_cases import inputs
from onnx_cases import EVERY, trained
from processes import run as run_python

import fastconv
from fastconv import layers as L
from fastconv.layers.initial import placeholders
from fastconv.layers.table import LAYERS

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx_results import run, sizes  # noqa: E402

from fastconv.formats.onnx_write import WRITERS  # noqa: E402

CONTAINERS = {L.Sequential, L.Residual, L.Concat, L.Graph}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_every_layer(tmp_path, case, dtype):
    model, x = trained(case.build(), dtype), inputs(case, dtype)
    transposed = [layer for _, layer in model.named_layers() if type(layer).__name__.startswith("ConvTranspose")]
    if dtype == np.float64 and any(layer.groups > 1 for layer in transposed):
        pytest.skip("neither ONNX Runtime nor onnx's evaluator computes grouped ConvTranspose in float64")
    if dtype == np.float64 and case.name in ("Erf", "GELU", "Resize-cubic"):
        pytest.skip("ONNX Runtime has no kernel, and onnx's evaluator computes this in float32")
    path = tmp_path / "a.onnx"
    fastconv.save(model, path, input_shape=case.shape)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    (first,) = sizes(onnx.load(path).graph.input)
    batches = [x] if first[0] == len(x) else [x, np.concatenate([x[1:], x, x])]
    for x in batches:
        (y,), expected = run(path, x), model(x)
        assert (y.shape, y.dtype) == (expected.shape, dtype)
        assert np.abs(y - expected).max() <= (2e-6 if dtype == np.float32 else 1e-12) * np.abs(expected).max()


def test_every_layer_of_the_table_is_here():
    assert set(WRITERS) | CONTAINERS == set(LAYERS.values())
    used = {type(layer) for case in EVERY for _, layer in case.build().named_layers()}
    assert used == set(LAYERS.values())


def test_a_batch_is_fixed_where_the_model_fixes_it(tmp_path):
    fixed = {"a batch that moves": [4, 5, 2], "a batch that is fixed": [4, 5]}
    for case in EVERY:
        fastconv.save(case.build(), tmp_path / "a.onnx", input_shape=case.shape)
        (given,) = sizes(onnx.load(tmp_path / "a.onnx").graph.input)
        assert given == fixed.get(case.name, ["N", *case.shape[1:]]), case.name


def picture_model():
    g = np.random.default_rng(0)
    layer = L.Conv2d(3, 4, 3, generator=g)
    body = L.Sequential({"conv": L.Conv2d(4, 4, 3, padding=1, bias=False, generator=g), "norm": L.BatchNorm2d(4)})
    model = L.Sequential({"stem": layer, "block": L.Residual(body), "twice": L.Residual(body), "flat": L.Flatten(),
                          "drop": L.Dropout(), "fc": L.Linear(36, 2, generator=g)})  # fmt: skip
    model.forward(g.standard_normal((2, 3, 5, 5), np.float32))
    model.labels = ("no", "yes")
    model.preprocess = fastconv.data.Preprocess((5, 5))
    return model


def test_weights_have_the_names_of_the_state_dict(tmp_path):
    model = picture_model()
    fastconv.save(model, tmp_path / "a.onnx", input_shape=(1, 3, 5, 5))
    proto = onnx.load(tmp_path / "a.onnx")
    state = model.state_dict()
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    shared = {name for name in state if name.startswith("twice.")}  # written once, under the first name
    assert set(weights) == {name for name in state if "num_batches" not in name} - shared
    for name, array in weights.items():
        np.testing.assert_array_equal(array, state[name])
    assert [node.name for node in proto.graph.node] == [
        "stem", "block.body.conv", "block.body.norm", "block",
        "twice.body.conv", "twice.body.norm", "twice", "flat", "y",
    ]  # fmt: skip
    assert [v.name for v in proto.graph.input] == ["x"] and sizes(proto.graph.input) == [["N", 3, 5, 5]]
    assert [v.name for v in proto.graph.output] == ["y"] and sizes(proto.graph.output) == [["N", 2]]
    assert (proto.ir_version, proto.opset_import[0].version) == (8, 17)
    assert proto.producer_name == "fastconv" and proto.producer_version == fastconv.__version__
    stated = {entry.key: entry.value for entry in proto.metadata_props}
    assert stated["fastconv.labels"] == '["no", "yes"]' and '"size": [5, 5]' in stated["fastconv.preprocess"]


def two_by_four():
    """Two inputs; a result that is an input, one that two names have, one of a node in a node."""
    nodes = [
        ("sum", L.Add(), ("left", "right")),
        ("same", L.Identity(), "sum"),
        ("deep", L.Sequential(L.Tanh(), L.Sigmoid()), "sum"),
        ("join", L.Cat(), ("deep", "left")),
        ("bare", L.Identity(), "right"),
        ("left.bias", L.Constant((3,)), ()),
    ]
    outputs = ("same", "sum", "deep", "bare", "join", "right", "left.bias")
    return L.Graph(nodes, inputs=("left", "right"), outputs=outputs)


def test_several_inputs_and_outputs(tmp_path):
    model = two_by_four()
    fastconv.save(model, tmp_path / "a.onnx", input_shape=[(2, 3), (2, 3)])
    proto = onnx.load(tmp_path / "a.onnx")
    assert [value.name for value in proto.graph.input] == ["left", "right"]
    # A name of ONNX is an array: where it is an input's already, the result has a number behind it.
    names = [value.name for value in proto.graph.output]
    assert names == ["same", "sum", "deep", "bare", "join", "right_1", "left.bias"]
    g = np.random.default_rng(0)
    xs = g.standard_normal((4, 3), np.float32), g.standard_normal((4, 3), np.float32)
    for y, expected in zip(run(tmp_path / "a.onnx", *xs), model(*xs), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-6)


class Mine(L.Tanh):
    """A layer of the user's, though it is also one of fastconv's."""


BAD = [
    (lambda: L.Tanh(), None, TypeError, r"an ONNX file needs input_shape.*\(1, 3, 224, 224\)"),
    (lambda: L.Tanh(), 5, ValueError, "input_shape must be sizes.*got 5"),
    (lambda: L.Tanh(), (None, 3), ValueError, r"input_shape must be sizes.*got \(None, 3\)"),
    (lambda: L.Tanh(), (0, 3), ValueError, r"got \(0, 3\)"),
    (lambda: L.Tanh(), [(2, 3), (2, 3)], ValueError, "the model has 1 inputs, input_shape is of 2"),
    (two_by_four, (2, 3), ValueError, "the model has 2 inputs, input_shape is of 1"),
    (picture_model, (1, 3, 6, 5), ValueError, r"layer fc, Linear.*36"),
    (lambda: L.Sequential({"a": L.Residual(Mine())}), (1, 3), TypeError, "layer a.body, Mine, is not fastconv's"),
    (lambda: Mine(), (1, 3), TypeError, "the model, Mine, is not fastconv's"),
    (lambda: L.Resize((2,), mode="linear", antialias=True), (1, 3), ValueError, "opset 17 has no antialias"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "shape", "error", "text"), BAD)
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, build, shape, error, text):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"old")
    with pytest.raises(error, match=text):
        fastconv.save(build(), path, input_shape=shape)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_more_than_an_onnx_file_holds(tmp_path):
    with placeholders():
        model = L.Linear(2**15, 2**14)
    with pytest.raises(ValueError, match=r"at most 2 GB, the model has 2,147,549,184 bytes"):
        fastconv.save(model, tmp_path / "a.onnx", input_shape=(1, 2**15))


def test_the_arguments_go_with_their_formats(tmp_path):
    with pytest.raises(TypeError, match=r"layers goes with fastconv's own files"):
        fastconv.save(L.Tanh(), tmp_path / "a.onnx", input_shape=(1, 2), layers={})
    with pytest.raises(TypeError, match=r"input_shape goes with an \.onnx, got .*a\.safetensors"):
        fastconv.save(L.Tanh(), tmp_path / "a.safetensors", input_shape=(1, 2))
    with pytest.raises(TypeError, match="model must be a Layer, got dict"):
        fastconv.save({}, tmp_path / "a.onnx", input_shape=(1, 2))
    fastconv.save(L.Tanh(), tmp_path / "A.ONNX", input_shape=[1, 2])
    np.testing.assert_allclose(run(tmp_path / "A.ONNX", np.float32([[1, 2]]))[0], [[math.tanh(1), math.tanh(2)]], 1e-6)


def test_without_onnx_the_error_names_the_extra(tmp_path):
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "import fastconv; from fastconv.layers import Tanh\n"
        f"try: fastconv.save(Tanh(), {str(tmp_path / 'a.onnx')!r}, input_shape=(1, 2))\n"
        "except ImportError as error: print(error)\n"
    )
    assert run_python(code).stdout.strip() == 'ONNX files need the onnx package: pip install "fastconv[onnx]"'
