"""Reader of the binary versions of CIFAR-10 and CIFAR-100.
It must never read the Python versions: those are pickles, which can run code."""

import os
from pathlib import Path
from typing import Literal

import numpy as np

from ..formats.errors import FormatError
from ..formats.files import PathType, open_regular, read_text
from .dataset import scale_bytes

# Layout: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version". A record is one label byte
# (CIFAR-100: the coarse label, then the fine one), then the planes red, green, blue of 32 rows of 32 bytes.
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_LABELS_10 = (("label", 10),)
_LABELS_100 = (("coarse label", 20), ("fine label", 100))
_MAX_BYTES = 1 << 31
_MAX_NAMES_BYTES = 1 << 16

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Arrays = tuple[np.ndarray, np.ndarray]


def read_cifar10(path: PathType) -> Arrays:
    """Read one CIFAR-10 file (data_batch_1.bin ... test_batch.bin).

    Gives pictures, uint8 (N, 3, 32, 32), and labels, int64 (N,).
    FormatError: not a regular file, empty or not whole records of 3,073 bytes, a label over 9.
    """
    x, labels = _read_records(path, _LABELS_10)
    return x, labels[:, 0]


def read_cifar100(path: PathType, *, labels: Literal["fine", "coarse"] = "fine") -> Arrays:
    """Read one CIFAR-100 file (train.bin, test.bin), with its 100 fine or 20 coarse labels.

    Gives pictures, uint8 (N, 3, 32, 32), and labels, int64 (N,).
    FormatError: not a regular file, empty or not whole records of 3,074 bytes, a label out of range.
    """
    if labels not in ("fine", "coarse"):
        raise ValueError(f"read_cifar100: labels must be 'fine' or 'coarse', got {labels!r}")
    x, both = _read_records(path, _LABELS_100)
    return x, both[:, 1 if labels == "fine" else 0]


def load_cifar10(path: PathType, *, as_bytes: bool = False) -> tuple[Arrays, Arrays]:
    """Load the folder cifar-10-batches-bin: `((x_train, y_train), (x_test, y_test))`.

    The training part is data_batch_1.bin and the consecutive ones after it that are there (the whole set has
    five), the test part test_batch.bin. x is float32 (N, 3, 32, 32), RGB, scaled to 0..1, or uint8 with
    `as_bytes`; y is int64 (N,). A missing file is a FileNotFoundError.
    """
    folder = Path(os.fsdecode(path))
    numbers = sorted(_batch_numbers(folder))
    # Whatever the highest number there, every one below it must be there: opening says which is not.
    parts = [read_cifar10(folder / f"data_batch_{i}.bin") for i in range(1, max(numbers, default=1) + 1)]
    train = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return _scaled(train, read_cifar10(folder / "test_batch.bin"), as_bytes)


def load_cifar100(
    path: PathType, *, labels: Literal["fine", "coarse"] = "fine", as_bytes: bool = False
) -> tuple[Arrays, Arrays]:
    """Load the folder cifar-100-binary (train.bin, test.bin): `((x_train, y_train), (x_test, y_test))`.

    As `load_cifar10`, with the 100 fine or the 20 coarse labels.
    """
    folder = Path(os.fsdecode(path))
    train = read_cifar100(folder / "train.bin", labels=labels)
    return _scaled(train, read_cifar100(folder / "test.bin", labels=labels), as_bytes)


def has_cifar10_files(folder: Path) -> bool:
    """Whether the folder holds any file of the binary CIFAR-10."""
    return bool(_batch_numbers(folder)) or (folder / "test_batch.bin").exists()


def has_cifar100_files(folder: Path) -> bool:
    """Whether the folder holds the two files of the binary CIFAR-100."""
    return (folder / "train.bin").exists() and (folder / "test.bin").exists()


def cifar10_class_names(folder: Path) -> tuple[str, ...]:
    """The names in batches.meta.txt, or the well-known ones where that file is not there."""
    return _names(folder / "batches.meta.txt", 10) or CIFAR10_CLASSES


def cifar100_class_names(folder: Path, *, labels: Literal["fine", "coarse"] = "fine") -> tuple[str, ...]:
    """The names in fine_label_names.txt (coarse_...), or the numbers where that file is not there."""
    count = dict(_LABELS_100)[f"{labels} label"]
    return _names(folder / f"{labels}_label_names.txt", count) or tuple(str(i) for i in range(count))


def _names(path: Path, count: int) -> tuple[str, ...]:
    try:
        text = read_text(path, _MAX_NAMES_BYTES)
    except FileNotFoundError:
        return ()
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(names) != count:
        raise FormatError(path, None, f"{len(names)} class names", str(count))
    return names


def _batch_numbers(folder: Path) -> set[int]:
    return {i for i in range(1, 100) if (folder / f"data_batch_{i}.bin").exists()}


def _read_records(path: PathType, labels: tuple[tuple[str, int], ...]) -> Arrays:
    """Pictures (N, 3, 32, 32) and labels (N, len(labels)) of a file of records; every label is checked."""
    record = len(labels) + _PIXELS
    with open_regular(path) as (file, size):
        if size == 0 or size % record:
            raise FormatError(path, None, f"{size} bytes", f"one or more whole records of {record} bytes")
        if size > _MAX_BYTES:
            raise FormatError(path, None, f"{size} bytes", f"at most {_MAX_BYTES}")
        data = np.empty((size // record, record), np.uint8)
        got = file.readinto(memoryview(data).cast("B"))
        if got != size or file.read(1):
            raise FormatError(path, got, "a file that changed while it was read", f"{size} bytes")
    for column, (name, count) in enumerate(labels):
        wrong = np.flatnonzero(data[:, column] >= count)
        if wrong.size:
            row = int(wrong[0])
            raise FormatError(path, row * record + column, f"{name} {data[row, column]}", f"0 to {count - 1}")
    x = np.ascontiguousarray(data[:, len(labels) :]).reshape(-1, *_SHAPE)
    return x, data[:, : len(labels)].astype(np.int64)


def _scaled(train: Arrays, test: Arrays, as_bytes: bool) -> tuple[Arrays, Arrays]:
    if as_bytes:
        return train, test
    return (scale_bytes(train[0]), train[1]), (scale_bytes(test[0]), test[1])
