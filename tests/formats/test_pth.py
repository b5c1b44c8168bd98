"""PyTorch's .pth: what torch.save wrote is read, everything else is a FormatError, and lies take no memory."""

import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pth_crafting import archive, integer, name, sizes, state, storage, stream, tensor, text

import fastconv
from fastconv.formats import FormatError

FOLDER = Path(__file__).parent / "pth_files"
CUBE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
EXPECTED = {
    "dense": CUBE,
    "permuted": CUBE.transpose(2, 0, 1),
    "part": CUBE[1, 1:],
    "double": CUBE.astype(np.float64) / 3,
    "half": CUBE[0] / 4,
    "bfloat16": CUBE[0] / 4,
    "int64": CUBE[0].astype(np.int64) - 2**40,
    "int32": CUBE[0].astype(np.int32) - 5,
    "int16": CUBE[0].astype(np.int16) - 5,
    "int8": CUBE[0].astype(np.int8) - 5,
    "uint8": CUBE[0].astype(np.uint8),
    "bool": CUBE[0] > 3,
    "parameter": CUBE[0, 0],
    "scalar": np.array(3.5, np.float32),
    "empty": np.empty((0, 5), np.float32),
}
FOUR = struct.pack("<4f", 1, 2, 3, 4)
ONE = {"w": tensor("0", 4, (2, 2), (2, 1))}


def read(tmp_path, data):
    path = tmp_path / "file.pth"
    path.write_bytes(data)
    return fastconv.read_weights(path)


STATES = ("archive", "archive_4", "archive_5", "stream", "stream_4", "stream_5")
CHECKPOINTS = ("checkpoint", "checkpoint_stream")


@pytest.mark.parametrize("file", STATES)
def test_what_torch_wrote(file):
    weights = fastconv.read_weights(FOLDER / f"{file}.pth")
    assert list(weights) == list(EXPECTED)
    for key, expected in EXPECTED.items():
        assert weights[key].dtype == expected.dtype and weights[key].shape == expected.shape, key
        np.testing.assert_array_equal(weights[key], expected, err_msg=key)
        assert weights[key].flags.c_contiguous and weights[key].flags.writeable, key
    weights["dense"][:] = -1  # arrays of their own, though the file keeps them in one storage
    np.testing.assert_array_equal(weights["part"], EXPECTED["part"])


@pytest.mark.parametrize("file", CHECKPOINTS)
def test_the_state_dict_of_a_checkpoint(file):
    weights = fastconv.read_weights(FOLDER / f"{file}.pth")
    assert {key: value.shape for key, value in weights.items()} == {
        "0.weight": (2, 1, 1, 1),
        "0.bias": (2,),
        "1.weight": (2,),
        "1.bias": (2,),
        "1.running_mean": (2,),
        "1.running_var": (2,),
        "1.num_batches_tracked": (),
    }
    model = fastconv.layers.Sequential(fastconv.layers.Conv2d(1, 2, 1), fastconv.layers.BatchNorm2d(2))
    model.load_state_dict(weights)


def test_a_model_as_a_whole_is_refused_by_the_name_it_would_run():
    with pytest.raises(FormatError, match=r"whole_model\.pth, data\.pkl byte 2: found the name 'torch\.nn\.modules"):
        fastconv.read_weights(FOLDER / "whole_model.pth")


def test_files_made_by_hand(tmp_path):
    expected = np.array([[1, 2], [3, 4]], np.float32)
    order = struct.pack(">4f", 1, 2, 3, 4)
    for data in (
        archive(state(**ONE), {"0": FOUR}),
        archive(state(**ONE), {"0": FOUR}, byteorder="little"),
        archive(state(**ONE), {"0": order}, byteorder="big"),
        stream(state(**ONE), ["0"], struct.pack("<q", 4) + FOUR),
        stream(state(**ONE), ["0"], struct.pack(">q", 4) + order, machine=b"\x80\x02}X\r\0\0\0little_endian\x89s."),
    ):
        weights = read(tmp_path, data)
        np.testing.assert_array_equal(weights["w"], expected)
    python2 = b"\x80\x02" + name("collections", "OrderedDict") + b"](" + text("w") + ONE["w"] + b"\x86e\x85R."
    np.testing.assert_array_equal(read(tmp_path, archive(python2, {"0": FOUR}))["w"], expected)


def pickle(value):
    return archive(b"\x80\x02" + value + b".", {"0": FOUR})


def one(**options):
    return archive(state(w=tensor(**{"key": "0", "count": 4, "size": (2, 2), "stride": (2, 1)} | options)), {"0": FOUR})


OTHER = text("a") + b"\x85"
HOSTILE = {
    "os.system": pickle(name("os", "system") + OTHER + b"R"),
    "builtins.eval": pickle(name("builtins", "eval") + OTHER + b"R"),
    "a name of protocol 4": pickle(b"\x8c\x05posix\x8c\x06system\x93" + OTHER + b"R"),
    "torch.load": pickle(name("torch", "load") + OTHER + b"R"),
    "a name of 201 bytes": pickle(b"c" + b"a" * 201 + b"\n"),
    "a call of a storage kind": pickle(name("torch", "FloatStorage") + b")R"),
    "a call of a value": pickle(b"K\x01)R"),
    "build of an object": pickle(name("collections", "OrderedDict") + b"}b"),
    "instruction INST": pickle(b"(ios\nsystem\n"),
    "instruction OBJ": pickle(b"(o"),
    "instruction NEWOBJ": pickle(b"))\x81"),
    "extension registry": pickle(b"\x82\x01"),
    "pops an empty stack": pickle(b"a"),
    "pops below a mark": pickle(b"}(s"),
    "no mark": pickle(b"t"),
    "append to a dict": pickle(b"}Na"),
    "items of a list": pickle(b"]NNs"),
    "odd items": pickle(b"}(" + text("a") + b"u"),
    "a missing reference": pickle(b"h\x07"),
    "a key that is a list": pickle(b"}]Ns"),
    "a key that is a tuple": pickle(b"})Ns"),
    "not UTF-8": pickle(b"X\x01\0\0\0\xff"),
    "a long text": pickle(b"X\xff\xff\xff\xff"),
    "another persistent id": pickle(b"K\x01Q"),
    "a view of a storage": pickle(storage("0", 4).replace(b"tQ", b"Nt\x85Q")),
    "a storage of -1": pickle(storage("0", -1)),
    "a key that is a number": pickle(b"(" + text("storage") + name("torch", "FloatStorage") + b"K\0NK\x04tQ"),
    "two descriptions": archive(state(a=ONE["w"], b=tensor("0", 3, (1,), (1,))), {"0": FOUR}),
    "a tensor of nothing": pickle(name("torch._utils", "_rebuild_tensor_v2") + b")R"),
    "a parameter of nothing": pickle(name("torch._utils", "_rebuild_parameter") + b")R"),
    "a size of nothing": pickle(name("torch", "Size") + b")R"),
    "pairs of three": pickle(name("collections", "OrderedDict") + b"](NNNte\x85R"),
    "not a dict": pickle(b"]"),
    "an entry that is no tensor": pickle(b"}" + text("a") + b"K\x01s"),
    "a number as a name": pickle(b"}K\x01" + ONE["w"] + b"s"),
    "size -1": one(size=(-1, 4)),
    "stride -1": one(stride=(-2, 1)),
    "offset -1": one(offset=-1),
    "offset past the end": one(offset=1),
    "too large": one(size=(2, 3)),
    "size 2**62": one(size=(2**62, 1)),
    "size 2**80": one(size=(2**80, 1)),
    "sizes whose product passes 2**64": one(size=(2**32, 2**32), stride=(0, 0)),
    "one element for ever": one(size=(10**9,), stride=(0,)),
    "an empty tensor of giants": one(size=(0, 2**61), stride=(1, 1)),
    "33 axes": one(size=(1,) * 33, stride=(1,) * 33),
    "strides of another length": one(stride=(1,)),
    "a storage that is longer": one(count=5),
    "a storage of 2**60": one(count=2**60, size=(2**60,), stride=(1,)),
    "no such storage": archive(state(**ONE)),
    "a storage kind of other width": one(kind="DoubleStorage"),
    "no pickle": archive(b""),
    "two pickles": archive(state(**ONE), {"0": FOUR}, **{"x/data.pkl": b""}),
    "a pickle elsewhere": archive(state(**ONE), {"0": FOUR}).replace(b"data.pkl", b"date.pkl"),
    "compressed": archive(state(**ONE), {"0": FOUR}, zipfile.ZIP_DEFLATED),
    "a bomb": archive(b"\0" * 10**6, {}, zipfile.ZIP_DEFLATED),
    "a zip of something else": archive(state(), {}).replace(b"model/", b"other/x"),
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "a changed weight": archive(state(**ONE), {"0": FOUR}).replace(FOUR, FOUR[::-1]),
    "another byte order": archive(state(**ONE), {"0": FOUR}, byteorder="middle"),
    "stream, other version": stream(state(**ONE), ["0"], struct.pack("<q", 4) + FOUR, version=b"\x80\x02K\x01."),
    "stream, no byte order": stream(state(**ONE), ["0"], struct.pack("<q", 4) + FOUR, machine=b"\x80\x02}."),
    "stream, no keys": stream(state(**ONE), [], struct.pack("<q", 4) + FOUR),
    "stream, a key twice": stream(state(**ONE), ["0", "0"], (struct.pack("<q", 4) + FOUR) * 2),
    "stream, other count": stream(state(**ONE), ["0"], struct.pack("<q", 5) + FOUR),
    "stream, count -1": stream(state(**ONE), ["0"], struct.pack("<q", -1) + FOUR),
    "stream, more bytes": stream(state(**ONE), ["0"], struct.pack("<q", 4) + FOUR + b"x"),
    "stream, a storage of 2**60": stream(state(w=tensor("0", 2**60, (1,), (1,))), ["0"], struct.pack("<q", 2**60)),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(tmp_path, data):
    with pytest.raises(FormatError, match=r"file\.pth"):
        read(tmp_path, data)


BOMBS = {
    "a memo of 2**32": b"Nr\xff\xff\xff\xff" * 1000 + b"0",
    "nesting": b"(" * 200_000 + b"t" * 200_000,
    "nested keys": b"})" + b"\x85" * 100_000 + b"Ns",
    "lists of lists": b"]q\0" + b"".join(b"](" + b"h\0" * 9 + b"eq\0" for _ in range(2000)),
    "instructions": b"N" * 1_200_000,
    "a list copied again and again": (
        b"](" + b"]NNe" * 1000 + b"eq\1" + (name("collections", "OrderedDict") + b"h\1\x85R") * 2000
    ),
}


@pytest.mark.parametrize("instructions", BOMBS.values(), ids=BOMBS)
def test_bombs_take_neither_memory_nor_time(tmp_path, instructions):
    data = pickle(instructions)
    started = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read(tmp_path, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(data) + 50_000_000
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("file", ("archive", "archive_4", "stream", "checkpoint_stream"))
def test_every_truncation_is_refused(tmp_path, file):
    data = (FOLDER / f"{file}.pth").read_bytes()
    path = tmp_path / "file.pth"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError):
            fastconv.read_weights(path)


NUMBERS = [0, -1, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, -(2**63), 2**63 - 1]


@pytest.mark.parametrize("file", ("archive", "stream", "checkpoint", "stream_4"))
def test_damaged_files_are_read_or_refused(tmp_path, file):
    data = (FOLDER / f"{file}.pth").read_bytes()
    generator = np.random.default_rng(4)
    path = tmp_path / "file.pth"
    refused = 0
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(generator.integers(1, 4)):
            place = int(generator.integers(len(damaged)))
            kind = generator.integers(4)
            if kind == 0:
                damaged[place] = generator.integers(256)
            elif kind == 1:
                damaged[place : place + 8] = struct.pack("<q", generator.choice(NUMBERS))
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
    assert refused > 500


def test_flipped_bits_of_an_archive_are_found(tmp_path):
    """The archive's checksums: no bit of a weight changes in silence."""
    data = (FOLDER / "archive.pth").read_bytes()
    place = data.index(CUBE.tobytes())
    for bit in range(0, 8 * CUBE.nbytes, 37):
        damaged = bytearray(data)
        damaged[place + bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError, match="checksum"):
            read(tmp_path, bytes(damaged))


def test_integers_of_any_length_are_read(tmp_path):
    assert integer(2**100) and sizes((2**100,))
    with pytest.raises(FormatError, match="whole numbers"):
        read(tmp_path, one(offset=2**100))
