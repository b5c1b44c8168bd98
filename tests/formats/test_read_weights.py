"""read_weights: the content tells what a file is; safetensors with every dtype, and what is no file of weights."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv.formats import FormatError


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


@pytest.mark.parametrize(
    ("dtype", "data", "expected"),
    [
        ("F32", struct.pack("<2f", 1, -2.5), np.array([1, -2.5], np.float32)),
        ("F64", struct.pack("<2d", 1, 1 / 3), np.array([1, 1 / 3])),
        ("F16", struct.pack("<2e", 1, -2.5), np.array([1, -2.5], np.float32)),
        ("BF16", struct.pack("<2H", 0x3F80, 0xC020), np.array([1, -2.5], np.float32)),
        ("I8", b"\x01\xff", np.array([1, -1], np.int8)),
        ("I16", struct.pack("<2h", 1, -300), np.array([1, -300], np.int16)),
        ("I64", struct.pack("<2q", 1, -(2**50)), np.array([1, -(2**50)])),
        ("BOOL", b"\0\x01", np.array([False, True])),
    ],
)
def test_safetensors_dtypes(tmp_path, dtype, data, expected):
    path = tmp_path / "weights.pth"  # the content counts, not the name
    path.write_bytes(safetensors({"w": entry(dtype, [2], len(data))}, data))
    (weight,) = fastconv.read_weights(path).values()
    assert weight.dtype == expected.dtype and weight.flags.writeable
    np.testing.assert_array_equal(weight, expected)


def test_a_scalar_keeps_its_shape(tmp_path):
    path = tmp_path / "weights"
    for dtype, data in (("BF16", b"\x80\x3f"), ("BOOL", b"\x01")):
        path.write_bytes(safetensors({"w": entry(dtype, [], len(data))}, data))
        weight = fastconv.read_weights(path)["w"]
        assert type(weight) is np.ndarray and weight.shape == () and weight == 1


def npz():
    room = io.BytesIO()
    np.savez(room, w=np.ones(3))
    return room.getvalue()


def npy():
    room = io.BytesIO()
    np.save(room, np.array([{}]), allow_pickle=True)
    return room.getvalue()


def tar_like():
    return b"sys_info" + bytes(600)


def member_of_another_zip():
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w") as target:
        target.writestr("word/document.xml", "<a/>")
    return room.getvalue()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "starts with b''"),
        (b"\0" * 7, "starts with"),
        (npy(), "a NumPy array"),
        (npz(), "a zip archive with 0 data.pkl"),
        (member_of_another_zip(), "a zip archive with 0 data.pkl"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
        (b"\x80\x04\x95\x05\0\0\0\0\0\0\0}\x94.", "a pickle"),
        (tar_like(), "starts with b'sys_info'"),
        (safetensors({"w": entry("F8_E4M3", [1], 1)}, b"\0"), "dtype F8_E4M3"),
        (safetensors({"w": entry("F32", [2], 4)}, b"\0" * 4), ""),
        (safetensors({"w": entry("F32", [-1], 4)}, b"\0" * 4), ""),
        (safetensors({"w": entry("F32", [2**62, 4], 4)}, b"\0" * 4), ""),
        (safetensors({"w": entry("F32", [1], 4)}, b"\0" * 5), ""),
    ],
)
def test_what_is_no_file_of_weights(tmp_path, data, found):
    path = tmp_path / "file.pth"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        fastconv.read_weights(path)
    assert found in str(caught.value) and str(path) in str(caught.value)


def test_folders_and_missing_files(tmp_path):
    with pytest.raises(FormatError, match="a directory"):
        fastconv.read_weights(tmp_path)
    with pytest.raises(FileNotFoundError):
        fastconv.read_weights(tmp_path / "none.pth")


def test_assigned_weights_are_the_arrays_themselves():
    model = L.Sequential(L.Linear(3, 2), L.BatchNorm1d(2))
    state = model.state_dict()
    model.load_state_dict(state, assign=True)
    for name, value in model.state_dict(copy=False).items():
        assert value is state[name]
    frozen = {name: value.copy() for name, value in state.items()}
    for value in frozen.values():
        value.flags.writeable = False
    model.load_state_dict(frozen, assign=True)
    for name, value in model.state_dict(copy=False).items():
        assert value.flags.writeable
        np.testing.assert_array_equal(value, frozen[name])
    with pytest.raises(ValueError, match="missing"):
        model.load_state_dict({}, assign=True)
