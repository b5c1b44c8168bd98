"""Model files: equal predictions after loading, nothing but FormatError for anything else, no memory for lies."""

import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as pack

from fastconv import layers as L
from fastconv.formats import FormatError
from fastconv.formats.model_file import load, save


def model():
    g = np.random.default_rng(0)
    block = L.Sequential({"conv": L.Conv2d(4, 4, 3, padding="same", generator=g), "norm": L.BatchNorm2d(4)})
    return L.Sequential(
        {
            "stem": L.Conv2d(1, 4, 3, padding=((1, 0), (0, 1)), bias=False, generator=g),
            "act": L.LeakyReLU(0.1),
            "block": L.Residual(block),
            "pool": L.Concat([L.MaxPool2d(2), L.AvgPool2d(2)]),
            "flat": L.Flatten(),
            "drop": L.Dropout(0.2),
            "head": L.Linear(128, 10, generator=g),
        }
    )


IMAGES = np.random.default_rng(1).random((3, 1, 9, 9), np.float32)


@pytest.fixture
def saved(tmp_path):
    net = model()
    net.forward(IMAGES)  # statistics that are not the first ones
    path = tmp_path / "model.safetensors"
    save(net, path)
    return net, path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loaded_model_predicts_the_same_bits(tmp_path, dtype):
    net = model().astype(dtype)
    x = IMAGES.astype(dtype)
    net.forward(x)
    save(net, tmp_path / "m")
    again = load(tmp_path / "m")
    np.testing.assert_array_equal(again(x), net(x))
    assert repr(again) == repr(net)
    assert list(again.state_dict()) == list(net.state_dict())
    y, back = again.forward(x)  # and can be trained
    back(y)
    again.load_state_dict(net.state_dict())


def test_weights_have_their_own_names_for_other_readers(saved):
    net, path = saved
    with safe_open(path, "np") as file:
        assert set(file.keys()) == set(net.state_dict())
        np.testing.assert_array_equal(file.get_tensor("head.bias"), net[6].bias.data)


class Own(L.Layer):
    def __call__(self, x):
        return x + 1


def test_layers_of_others_need_the_callers_word(tmp_path):
    net, path = L.Sequential(Own()), tmp_path / "m"
    with pytest.raises(TypeError, match="Own is not one of fastconv's layers"):
        save(net, path)
    assert not path.exists()
    save(net, path, layers={"Own": Own})
    with pytest.raises(FormatError, match="unknown layer 'Own'"):
        load(path)
    assert load(path, layers={"Own": Own})(np.zeros(1)) == 1


def test_a_model_that_cannot_be_saved_leaves_the_old_file(saved):
    _, path = saved
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save(L.Sequential(Own()), path)
    with pytest.raises(TypeError, match="must be a Layer"):
        save({"a": 1}, path)
    assert path.read_bytes() == before


def parts(path):
    """(tensors, metadata) of a safetensors file."""
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def rewrite(path, change):
    """Change the tensors, the metadata and the architecture of a model file, and write it well-formed."""
    tensors, metadata = parts(path)
    architecture = json.loads(metadata["fastconv.architecture"])
    replaced = change(tensors, metadata, architecture)
    if "fastconv.architecture" in metadata:
        metadata["fastconv.architecture"] = json.dumps(architecture if replaced is None else replaced)
    path.write_bytes(pack(tensors, metadata))


def head(architecture):
    return architecture["config"]["layers"]["head"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda t, m, a: m.clear(), "no architecture"),
        (lambda t, m, a: m.update({"fastconv.model": "2"}), "version '2'"),
        (lambda t, m, a: m.pop("fastconv.architecture"), "description of a model"),
        (lambda t, m, a: head(a).update(layer="os.system"), "unknown layer 'os.system'"),
        (lambda t, m, a: head(a).update(layer="Trainer"), "unknown layer 'Trainer'"),
        (lambda t, m, a: head(a)["config"].update(generator=1), "unknown arguments"),
        (lambda t, m, a: head(a)["config"].update(in_features=2**70), "architecture"),
        (lambda t, m, a: head(a)["config"].update(in_features=2**50), "head.weight"),
        (lambda t, m, a: head(a)["config"].update(in_features="128"), "in_features"),
        (lambda t, m, a: head(a)["config"].update(bias=False), "head.bias.*does not have"),
        (lambda t, m, a: a["config"]["layers"].pop("act") and None, None),
        (lambda t, m, a: a["config"].update(layers=3), "architecture"),
        (lambda t, m, a: a["config"].update(layers={}), "does not have"),
        (lambda t, m, a: [], "expected"),
        (lambda t, m, a: 3, "expected"),
        (lambda t, m, a: t.__delitem__("head.weight"), "no tensor"),
        (lambda t, m, a: t.update({"more": np.zeros(3, np.float32)}), "'more'"),
        (lambda t, m, a: t.update({"head.bias": np.zeros(9, np.float32)}), r"head\.bias.*\(9,\)"),
        (lambda t, m, a: t.update({"head.bias": np.zeros(10, np.float64)}), "both float32 and float64"),
        (lambda t, m, a: t.update({"head.bias": np.zeros(10, np.int64)}), "int64"),
        (lambda t, m, a: t.update({"head.bias": np.zeros(10, np.float16)}), "F16"),
    ],
)
def test_files_that_lie(saved, change, error):
    _, path = saved
    rewrite(path, change)
    if error is None:
        load(path)
        return
    with pytest.raises(FormatError, match=error) as caught:
        load(path)
    assert str(path) in str(caught.value)


def with_header(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 0),
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 2**64 - 1) + b"{}",
        with_header(b"[]"),
        with_header(b"{"),
        with_header(b"\xff\xfe"),
        with_header(b'{"a":NaN}'),
        with_header(b"[" * 50000),
        with_header(b'{"__metadata__":{},"__metadata__":{}}'),
        with_header({"__metadata__": {"a": 1}}),
        with_header({"__metadata__": []}),
        with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"12345678"),
        with_header({"a": 3}),
        b"\x80\x04pickle",
    ],
    ids=range(21),
)
def test_malformed_files(tmp_path, content):
    path = tmp_path / "m"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        load(path)


def test_every_prefix_is_refused(tmp_path):
    path = tmp_path / "m"
    save(L.Sequential(L.Linear(2, 1), L.ReLU()), path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError):
            load(path)


def test_mutated_files_give_a_format_error_or_a_model(saved):
    _, path = saved
    content = path.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    rng = np.random.default_rng(0)
    for _ in range(400):
        changed = bytearray(content)
        for place in rng.integers(0, header, rng.integers(1, 4)):
            changed[place] = rng.integers(32, 127)
        path.write_bytes(changed)
        with suppress(FormatError):
            assert isinstance(load(path), L.Layer)


def test_other_paths(tmp_path):
    with pytest.raises(FormatError, match="a directory"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(TypeError):
        load(3)
