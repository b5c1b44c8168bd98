"""IDX files: every number type, every way to be broken, and the folder of MNIST."""

import gzip
import os
import struct
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from damage import mutations

from fastconv.data import load_idx_folder, read_idx
from fastconv.formats import FormatError
from fastconv.formats.files import open_regular


@pytest.fixture
def write(tmp_path):
    def write(content, name="file-idx"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@contextmanager
def allocating_at_most(limit):
    """Holds the peak of all memory allocated in between, arrays included, to `limit` bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("code", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_round_trip(write, idx_bytes, code, packed):
    array = (np.arange(24).reshape(2, 3, 4) * 5 - 3).astype(code)
    content = idx_bytes(array)
    read = read_idx(write(gzip.compress(content) if packed else content))
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)
    read[...] = 0  # ours to change


def test_content_and_not_the_name_tells_gzip(write, idx_bytes):
    content = idx_bytes(np.arange(5, dtype=np.uint8))
    assert read_idx(write(content, "plain.gz")).tolist() == [0, 1, 2, 3, 4]
    assert read_idx(write(gzip.compress(content), "packed")).tolist() == [0, 1, 2, 3, 4]
    two_members = gzip.compress(content[:6]) + gzip.compress(content[6:])
    assert read_idx(write(two_members)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("packed", [False, True])
def test_every_truncation_of_the_content(write, idx_bytes, packed):
    content = idx_bytes(np.arange(12, dtype=np.uint8).reshape(2, 3, 2))
    for length in range(len(content)):
        cut = content[:length]
        with pytest.raises(FormatError):
            read_idx(write(gzip.compress(cut) if packed else cut))


def test_every_truncation_of_the_gzip_file(write, idx_bytes):
    content = gzip.compress(idx_bytes(np.arange(12, dtype=np.uint8)))
    for length in range(len(content)):
        with pytest.raises(FormatError):
            read_idx(write(content[:length]))


@pytest.mark.parametrize("packed", [False, True])
def test_trailing_bytes(write, idx_bytes, packed):
    content = idx_bytes(np.arange(3, dtype=np.uint8)) + b"\0"
    with pytest.raises(FormatError):
        read_idx(write(gzip.compress(content) if packed else content))


@pytest.mark.parametrize(
    ("magic", "where"),
    [("01000801", 0), ("00010801", 0), ("00000a01", 0), ("00000001", 0), ("00000800", 3), ("000008ff", 3)],
)
def test_wrong_magic(write, magic, where):
    with pytest.raises(FormatError) as caught:
        read_idx(write(bytes.fromhex(magic) + struct.pack(">I", 4) + bytes(4)))
    assert caught.value.where == where


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "shape", [(0,), (3, 0), (2**31,), (2**32 - 1,) * 8, (2**16, 2**15), (2**32 - 1, 1), (0, 2**32 - 1)]
)
def test_absurd_dimensions_are_refused_before_allocating(write, shape, packed):
    content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(16)
    path = write(gzip.compress(content) if packed else content)
    with allocating_at_most(500_000), pytest.raises(FormatError) as caught:
        read_idx(path)
    assert caught.value.where >= 4


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_is_not_a_data_set(write, packed):
    content = struct.pack(">HBBII", 0, 8, 2, 3, 0)
    with pytest.raises(FormatError, match="byte 8: found a dimension of 0, expected at least 1"):
        read_idx(write(gzip.compress(content) if packed else content))


def test_limit_of_size(write, idx_bytes):
    path = write(idx_bytes(np.zeros(100, np.int32)))
    assert read_idx(path, max_bytes=400).shape == (100,)
    with pytest.raises(FormatError, match="400 bytes of data, expected at most 399"):
        read_idx(path, max_bytes=399)


def test_gzip_bomb_costs_no_more_than_it_announces(write):
    """4 announced bytes, 256 MB of zeros behind them, then garbage that reading must never come to."""
    bomb = gzip.compress(struct.pack(">HBBI", 0, 8, 1, 4)) + gzip.compress(bytes(1 << 24)) * 16
    path = write(bomb + b"garbage")
    with (
        allocating_at_most(1_000_000),
        pytest.raises(FormatError, match="byte 12: found more data than the header announces"),
    ):
        read_idx(path)


def test_gzip_that_cannot_hold_what_it_announces(write):
    path = write(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 2**30) + bytes(1000)))
    with pytest.raises(FormatError, match=r"all that .* gzipped bytes can hold"):
        read_idx(path)


def test_gzip_garbage(write, idx_bytes):
    good = gzip.compress(idx_bytes(np.arange(50, dtype=np.uint8)))
    wrong_sum = good[:-8] + bytes(4) + good[-4:]
    for content in (
        b"\x1f\x8b",
        b"\x1f\x8b" + bytes(40),
        good[:12] + b"\xff" * 20,
        wrong_sum,
        good + b"garbage",
    ):
        with pytest.raises(FormatError):
            read_idx(write(content))


@pytest.mark.parametrize("packed", [False, True])
def test_mutations_give_an_array_or_a_format_error(write, idx_bytes, packed):
    content = idx_bytes(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    content = gzip.compress(content, mtime=0) if packed else content
    accepted = 0
    for mutated in mutations(content, 1500):
        path = write(mutated)
        try:
            accepted += read_idx(path).size > 0
        except FormatError as error:
            assert error.path == str(path)
    assert accepted > 0


def test_file_that_shrinks_while_it_is_read(write, idx_bytes, monkeypatch):
    path = write(idx_bytes(np.zeros(100_000, np.uint8)))

    @contextmanager
    def shrink(path):
        with open_regular(path) as (file, size):
            os.truncate(path, 50_000)
            yield file, size

    monkeypatch.setattr("fastconv.data.idx.open_regular", shrink)
    with pytest.raises(FormatError, match="byte 50000: found the end of the data, expected 50008 more bytes"):
        read_idx(path)


def test_not_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(FormatError, match="a regular file"):
            read_idx(path)
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")


@pytest.mark.parametrize("packed", [(), (0, 1, 2, 3), (0, 3)])
def test_folder(idx_folder, packed):
    folder, arrays = idx_folder(packed=packed)
    (x, y), (x_test, y_test) = load_idx_folder(folder)
    assert (x.shape, x.dtype, y.dtype) == ((12, 1, 4, 3), np.float32, np.int64)
    assert (x_test.shape, y_test.shape) == ((5, 1, 4, 3), (5,))
    np.testing.assert_array_equal(x[:, 0], (arrays["train-images-idx3-ubyte"] / 255.0).astype(np.float32))
    np.testing.assert_array_equal(y_test, arrays["t10k-labels-idx1-ubyte"])
    (x_bytes, _), _ = load_idx_folder(str(folder), as_bytes=True)
    assert x_bytes.dtype == np.uint8
    np.testing.assert_array_equal(x_bytes[:, 0], arrays["train-images-idx3-ubyte"])


def test_folder_with_the_other_spelling(idx_folder):
    folder, _ = idx_folder()
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))
    assert load_idx_folder(folder)[0][0].shape == (12, 1, 4, 3)


def test_folder_without_one_of_the_files(idx_folder):
    folder, _ = idx_folder()
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        load_idx_folder(folder)


def test_folder_whose_files_do_not_fit(idx_folder, idx_bytes):
    folder, arrays = idx_folder()
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.zeros(11, np.uint8)))
    with pytest.raises(FormatError, match="found 11 labels, expected 12, one for each picture"):
        load_idx_folder(folder)
    labels.write_bytes(idx_bytes(np.zeros(12, np.int32)))
    with pytest.raises(FormatError, match="found int32 with 1 dimensions, expected labels: uint8 with 1"):
        load_idx_folder(folder)
    labels.write_bytes(idx_bytes(arrays["train-images-idx3-ubyte"]))
    with pytest.raises(FormatError, match="uint8 with 3 dimensions"):
        load_idx_folder(folder)
    labels.write_bytes(idx_bytes(arrays["train-labels-idx1-ubyte"]))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((5, 4, 4), np.uint8)))
    with pytest.raises(FormatError, match="pictures of 4x4, expected pictures of 4x3"):
        load_idx_folder(folder)
