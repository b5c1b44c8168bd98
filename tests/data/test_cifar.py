"""CIFAR-10 and CIFAR-100 binary files: records, labels, lengths, folders."""

import os
from contextlib import contextmanager

import numpy as np
import pytest
from damage import mutations

from fastconv.data import load_cifar10, load_cifar100, read_cifar10, read_cifar100
from fastconv.formats import FormatError
from fastconv.formats.files import open_regular


@pytest.fixture
def cifar10_folder(tmp_path, cifar_bytes):
    parts = []
    for i, name in enumerate(["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"]):
        content, x, labels = cifar_bytes(4 + i, seed=i)
        (tmp_path / name).write_bytes(content)
        parts.append((x, labels[:, 0]))
    return tmp_path, parts


def test_read_cifar10(tmp_path, cifar_bytes):
    content, x, labels = cifar_bytes(3)
    path = tmp_path / "b.bin"
    path.write_bytes(content)
    got_x, got_y = read_cifar10(path)
    assert (got_x.dtype, got_y.dtype) == (np.uint8, np.int64)
    assert got_x.flags.c_contiguous
    np.testing.assert_array_equal(got_x, x)
    np.testing.assert_array_equal(got_y, labels[:, 0])


def test_read_cifar100(tmp_path, cifar_bytes):
    content, x, labels = cifar_bytes(3, label_bytes=2)
    path = tmp_path / "train.bin"
    path.write_bytes(content)
    for column, name in enumerate(("coarse", "fine")):
        got_x, got_y = read_cifar100(path, labels=name)
        np.testing.assert_array_equal(got_x, x)
        np.testing.assert_array_equal(got_y, labels[:, column])
    with pytest.raises(ValueError, match="read_cifar100: labels must be 'fine' or 'coarse', got 'both'"):
        read_cifar100(path, labels="both")


@pytest.mark.parametrize(("reader", "label_bytes"), [(read_cifar10, 1), (read_cifar100, 2)])
def test_every_truncation(tmp_path, cifar_bytes, reader, label_bytes):
    content, _, _ = cifar_bytes(2, label_bytes)
    path, record = tmp_path / "b.bin", 3072 + label_bytes
    path.write_bytes(content)
    for length in range(len(content) - 1, -1, -1):
        os.truncate(path, length)
        if length == record:
            assert len(reader(path)[0]) == 1
        else:
            with pytest.raises(FormatError, match=f"whole records of {record} bytes"):
                reader(path)


def test_labels_out_of_range(tmp_path, cifar_bytes):
    path = tmp_path / "b.bin"
    for reader, label_bytes, column, label in [
        (read_cifar10, 1, 0, 10),
        (read_cifar100, 2, 0, 20),
        (read_cifar100, 2, 1, 100),
    ]:
        content = bytearray(cifar_bytes(3, label_bytes)[0])
        where = 2 * (3072 + label_bytes) + column
        content[where] = label
        path.write_bytes(content)
        with pytest.raises(FormatError, match=rf"label {label}, expected 0 to {label - 1}") as caught:
            reader(path)
        assert caught.value.where == where


def test_mutations_give_pictures_or_a_format_error(tmp_path, cifar_bytes):
    content, _, _ = cifar_bytes(2)
    path, accepted = tmp_path / "b.bin", 0
    for mutated in mutations(content, 400):
        path.write_bytes(mutated)
        try:
            x, y = read_cifar10(path)
            accepted += 1
            assert x.shape == (len(mutated) // 3073, 3, 32, 32)
            assert ((y >= 0) & (y < 10)).all()
        except FormatError:
            pass
    assert accepted > 0


@pytest.mark.parametrize("length", [3073, 4 * 3073])
def test_file_that_changes_while_it_is_read(tmp_path, cifar_bytes, monkeypatch, length):
    path = tmp_path / "b.bin"
    path.write_bytes(cifar_bytes(3)[0])

    @contextmanager
    def change(path):
        with open_regular(path) as (file, size):
            os.truncate(path, length)
            yield file, size

    monkeypatch.setattr("fastconv.data.cifar.open_regular", change)
    with pytest.raises(FormatError, match="a file that changed while it was read"):
        read_cifar10(path)


def test_sparse_giant_is_refused(tmp_path):
    path = tmp_path / "b.bin"
    path.touch()
    os.truncate(path, 3073 * (1 << 30))
    with pytest.raises(FormatError, match="at most"):
        read_cifar10(path)


def test_not_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(FormatError, match="a regular file"):
            read_cifar10(path)


def test_cifar10_folder(cifar10_folder):
    folder, parts = cifar10_folder
    (x, y), (x_test, y_test) = load_cifar10(folder)
    assert (x.shape, x.dtype, y.shape) == ((9, 3, 32, 32), np.float32, (9,))
    np.testing.assert_array_equal(x[4:], (parts[1][0] / 255.0).astype(np.float32))
    np.testing.assert_array_equal(y, np.concatenate([parts[0][1], parts[1][1]]))
    np.testing.assert_array_equal(y_test, parts[2][1])
    assert x_test.max() <= 1
    assert load_cifar10(folder, as_bytes=True)[1][0].dtype == np.uint8


def test_cifar10_folder_with_a_gap(cifar10_folder):
    folder, _ = cifar10_folder
    (folder / "data_batch_2.bin").rename(folder / "data_batch_3.bin")
    with pytest.raises(FileNotFoundError, match=r"data_batch_2\.bin"):
        load_cifar10(folder)
    (folder / "test_batch.bin").unlink()
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"test_batch\.bin"):
        load_cifar10(folder)


def test_cifar100_folder(tmp_path, cifar_bytes):
    for seed, name in enumerate(("train.bin", "test.bin")):
        (tmp_path / name).write_bytes(cifar_bytes(3, 2, seed)[0])
    (x, y), (_, y_test) = load_cifar100(tmp_path, labels="coarse")
    assert x.shape == (3, 3, 32, 32)
    np.testing.assert_array_equal(y, cifar_bytes(3, 2, 0)[2][:, 0])
    np.testing.assert_array_equal(y_test, cifar_bytes(3, 2, 1)[2][:, 0])
