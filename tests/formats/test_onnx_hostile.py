"""ONNX files that are damaged, lie about sizes, point elsewhere, or have what is not supported: FormatError alone."""

import os

import numpy as np
import pytest
from damage import mutations

import fastconv
from fastconv import layers as L
from fastconv.formats import FormatError

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


@pytest.fixture
def small(tmp_path):
    """A file of two kilobytes with most kinds of fields."""
    model = L.Sequential(
        L.Conv2d(2, 3, 3, generator=np.random.default_rng(0)), L.BatchNorm2d(3), L.ReLU6(), L.MaxPool2d(2),
        L.Upsample(scale_factor=2), L.Flatten(), L.Linear(48, 2, generator=np.random.default_rng(0)),
    )  # fmt: skip
    model.labels = ("a", "b")
    fastconv.save(model, tmp_path / "small.onnx", input_shape=(1, 2, 6, 6))
    return tmp_path / "small.onnx"


def opened(path):
    """Whether the file opens; any error but FormatError comes through."""
    try:
        model = fastconv.load(path)
    except FormatError as error:
        assert str(error).startswith(str(path)) and error.expected
        return False
    assert isinstance(model, L.Graph)
    return True


def test_every_truncation(small, tmp_path):
    content = small.read_bytes()
    path = tmp_path / "cut.onnx"
    count = 0
    for length in range(len(content)):
        path.write_bytes(content[:length])
        count += opened(path)
    # A message cut between two of its fields is one: what is missing at the end here is metadata.
    assert count <= 120


def test_mutations(small, tmp_path):
    """Whatever opens also runs or says what does not fit."""
    path, x, ran = tmp_path / "changed.onnx", np.ones((1, 2, 6, 6), np.float32), 0
    for changed in mutations(small.read_bytes(), 600):
        path.write_bytes(changed)
        if opened(path):
            try:
                with np.errstate(all="ignore"):
                    fastconv.load(path)(x)
                ran += 1
            except (ValueError, TypeError):
                pass
    assert 10 < ran < 600


def model_of(nodes, tensors=(), x_shape=(1, 2, 6, 6), opset=17, **settings):
    inputs = [helper.make_tensor_value_info("x", settings.pop("kind", TensorProto.FLOAT), x_shape)]
    sizes = [None] * len(x_shape)
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in settings.pop("outputs", ["y"])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(kind, reads=("x",), gives=("y",), **attributes):
    return helper.make_node(kind, reads, gives, **attributes)


def weight(shape=(3, 2, 3, 3), name="w"):
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def numbers(values, name):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def lying():
    tensor = weight()
    tensor.dims[0] = 1 << 40
    return tensor


def held_twice():
    """Which of both a reader takes is its own affair."""
    tensor = weight()
    tensor.float_data.extend([2.0] * 54)
    return tensor


def inside_and_outside():
    tensor = weight()
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def attribute_twice():
    twice = node("LeakyRelu", alpha=0.5)
    twice.attribute.append(helper.make_attribute("alpha", 0.1))
    return model_of([twice])


def with_function():
    model = model_of([node("Relu")])
    function = helper.make_function("f", "g", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [])
    function.opset_import.append(helper.make_opsetid("", 17))
    model.functions.append(function)
    return model


REFUSED = {
    "another operator": (lambda: model_of([node("Det")]), "Det"),
    "another domain": (lambda: model_of([node("Relu", domain="com.example")]), "com.example|accepts"),
    "opset 6": (lambda: model_of([node("Relu")], opset=6), "opset 6"),
    "opset 9999": (lambda: model_of([node("Relu")], opset=9999), "opset 9999"),
    "an attribute twice": (attribute_twice, "'alpha', 'alpha'|accepts"),
    "a function": (with_function, "function"),
    "integers": (lambda: model_of([node("Relu")], kind=TensorProto.INT32), "dtype|elem type"),
    "no node": (lambda: model_of([]), "no graph"),
    "a weight that lies": (lambda: model_of([node("Conv", ("x", "w"))], [lying()]), "bytes"),
    "a weight twice": (lambda: model_of([node("Conv", ("x", "w"))], [weight(), weight()]), "a name twice"),
    "data twice": (lambda: model_of([node("Conv", ("x", "w"))], [held_twice()]), "data in (raw_data|float_data) and"),
    "data in two places": (
        lambda: model_of([node("Conv", ("x", "w"))], [inside_and_outside()]),
        "data in raw_data and another file",
    ),
    "a weight of x": (lambda: model_of([node("Conv", ("x", "x"))]), "depends on x"),
    "negative pads": (lambda: model_of([node("Conv", ("x", "w"), pads=[-1, 0, 0, 0])], [weight()]), "pads|accepts"),
    "kernel_shape": (lambda: model_of([node("Conv", ("x", "w"), kernel_shape=[2, 2])], [weight()]), "kernel_shape"),
    "a huge constant": (
        lambda: model_of([node("ConstantOfShape", ("s",), ("c",)), node("Add", ("x", "c"))], [numbers([1 << 40], "s")]),
        "made of nothing|accepts",
    ),
    "a huge sum": (
        lambda: model_of(
            [node("Add", ("a", "b"), ("c",)), node("Mul", ("x", "c"))],
            [weight((1 << 15, 1), "a"), weight((1, 1 << 15), "b")], x_shape=(1, 1),
        ),
        "made of nothing|accepts",
    ),
    "indices": (
        lambda: model_of([node("MaxPool", gives=("y", "i"), kernel_shape=[2, 2])], outputs=["y", "i"]),
        "Indices|dtype|accepts",
    ),
    "backwards": (
        lambda: model_of([node("Slice", ("x", "s", "e", "a", "t"))],
                         [numbers([-1], "s"), numbers([-9], "e"), numbers([2], "a"), numbers([-1], "t")]),
        "steps",
    ),
    "an even window": (lambda: model_of([node("LRN", size=4)]), "odd"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    make, words = REFUSED[name]
    (tmp_path / "a.onnx").write_bytes(make().SerializeToString())
    with pytest.raises(FormatError, match=words):
        fastconv.load(tmp_path / "a.onnx")


def external(folder, location, offset=0, length=216):
    tensor = weight()
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "a.onnx"
    path.write_bytes(model_of([node("Conv", ("x", "w"))], [tensor]).SerializeToString())
    return path, data


def test_weights_in_another_file(tmp_path):
    path, data = external(tmp_path, "weights.bin", 8)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8 + data)
    with pytest.raises(FormatError, match="external_data=True"):
        fastconv.load(path)
    model = fastconv.load(path, external_data=True)
    np.testing.assert_array_equal(next(iter(model.parameters())).data, np.ones((3, 2, 3, 3), np.float32))
    for offset, length in ((0, 1 << 40), (-8, 216), (100, 216), (0, 8)):
        path, _ = external(tmp_path, "weights.bin", offset, length)
        with pytest.raises(FormatError, match="bytes"):
            fastconv.load(path, external_data=True)


def test_weights_in_a_hard_link(tmp_path):
    """Of a file elsewhere that the user may read and the maker of the model may not."""
    (tmp_path / "model").mkdir()
    (tmp_path / "secret").write_bytes(bytes(216))
    os.link(tmp_path / "secret", tmp_path / "model" / "link")
    path, _ = external(tmp_path / "model", "link")
    with pytest.raises(FormatError, match="'link', a hard link"):
        fastconv.load(path, external_data=True)
    (tmp_path / "secret").unlink()
    fastconv.load(path, external_data=True)


def test_weights_through_a_folder_that_is_a_link(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "secret").write_bytes(bytes(216))
    os.symlink(tmp_path / "others", tmp_path / "model" / "in", target_is_directory=True)
    path, _ = external(tmp_path / "model", "in/secret")
    with pytest.raises(FormatError, match="in the folder of this one"):
        fastconv.load(path, external_data=True)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link", "", ".", "in/../../secret", "a\0b"])
def test_weights_outside_of_the_folder(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(216))
    os.symlink(tmp_path / "secret", folder / "link")
    path, _ = external(folder, location)
    with pytest.raises(FormatError, match="in the folder of this one"):
        fastconv.load(path, external_data=True)


@pytest.mark.parametrize("location", ["w" * 300, "a.onnx/w", "loop"])
def test_a_name_that_no_file_can_have_is_a_format_error(tmp_path, location):
    """The system's own error came through, as if the machine were at fault and not the file."""
    os.symlink("loop", tmp_path / "loop")
    path, _ = external(tmp_path, location)
    with pytest.raises(FormatError, match="in the folder of this one"):
        fastconv.load(path, external_data=True)


def test_wrong_arguments(small):
    with pytest.raises(TypeError, match="weights goes with"):
        fastconv.load(small, weights=small)
    with pytest.raises(TypeError, match="layers goes with"):
        fastconv.load(small, layers={})
    with pytest.raises(TypeError, match="external_data goes with"):
        fastconv.load(small.with_suffix(".safetensors"), external_data=True)
    with pytest.raises(FileNotFoundError):
        fastconv.load(small.with_name("none.onnx"))
