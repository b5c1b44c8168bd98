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


def small_file():
    values = {
        "a.weight": np.arange(6, dtype=np.float32),
        "b": np.arange(4, dtype=np.int64),
        "c": np.zeros(0, np.float64),
    }
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, value in values.items():
        kind = {"f": "F", "i": "I"}[value.dtype.kind] + str(8 * value.itemsize)
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [end, end + value.nbytes]}
        end += value.nbytes
    return safetensors(header, b"".join(value.tobytes() for value in values.values())), values


def test_every_truncation_of_a_safetensors_file_is_refused(tmp_path):
    data, values = small_file()
    path = tmp_path / "file"
    path.write_bytes(data)
    for name, value in fastconv.read_weights(path).items():
        np.testing.assert_array_equal(value, values[name])
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError):
            fastconv.read_weights(path)


def test_damaged_safetensors_files_are_read_or_refused(tmp_path):
    data, _ = small_file()
    generator = np.random.default_rng(5)
    path = tmp_path / "file"
    refused = 0
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(generator.integers(1, 4)):
            place = int(generator.integers(len(damaged) - 60 * (generator.random() < 0.8)))
            kind = generator.integers(4)
            if kind == 0:
                damaged[place] = generator.integers(256)
            elif kind == 1:
                damaged[place : place + 1] = str(generator.choice([0, -1, 2**31, 2**62, 2**63, 2**64 - 1])).encode()
            elif kind == 2:
                del damaged[place : place + int(generator.integers(1, 9))]
            else:
                damaged[place:place] = damaged[place : place + int(generator.integers(1, 40))]
        path.write_bytes(damaged)
        try:
            weights = fastconv.read_weights(path)
        except FormatError:
            refused += 1
        else:
            assert all(type(value) is np.ndarray for value in weights.values())
    assert refused > 1000


@pytest.mark.parametrize("names", (["../x", "/etc/passwd", "a\0b"], ["w" * 10**6]))
def test_names_are_keys_and_never_paths(tmp_path, names):
    path = tmp_path / "file"
    path.write_bytes(safetensors({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names}))
    assert set(fastconv.read_weights(path)) == set(names)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
