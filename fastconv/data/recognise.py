"""Tells what kind of data set a path holds and loads it for the command line.
It must never guess from the content of a file what its name does not say."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..formats.files import PathType
from . import cifar, digits, folder, idx
from .dataset import ArrayDataset
from .split import Split

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_LOOKED_FOR = (
    "the name 'digits'; a folder with train-images-idx3-ubyte[.gz] and its three companions (MNIST, "
    "Fashion-MNIST); a folder with data_batch_1.bin ... and test_batch.bin (CIFAR-10) or train.bin and "
    "test.bin (CIFAR-100); a folder of pictures with one subfolder a class, or with train/ and test/ "
    "(or val/) of such subfolders"
)


def load(path: PathType, **options: Any) -> Split:
    """Load whatever data set `path` holds, ready for training.

    `path` is "digits" (the set that comes with fastconv; a folder of that name is "./digits"), a folder of
    IDX files (`load_idx_folder`), of CIFAR binary files (`load_cifar10`, `load_cifar100`) or of pictures
    (`load_picture_folder`). `options` are those of `load_picture_folder` (size, channels, fit, test_fraction,
    seed) or of `load_cifar100` (labels); one that is None counts as not given, one that the kind does not
    take is a TypeError. Arrays stay uint8 in memory and each batch is scaled to float32 0..1. ValueError
    where the path is none of these, FormatError for a malformed file, OSError for a missing one.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(path, str) and path == "digits":
        _refuse(given, "the digits")
        (x, y), test = digits.load_digits()
        return Split(ArrayDataset(x, y), ArrayDataset(*test), digits.CLASSES, "digits", x.shape[1:])
    root = Path(os.fsdecode(path))
    os.stat(root)  # a path that does not exist is the OSError of `open`
    if not root.is_dir():
        raise ValueError(f"load: {root} is a file, not a folder; looked for {_LOOKED_FOR}")
    if idx.has_idx_files(root):
        _refuse(given, "a folder of IDX files")
        return _from_idx(root)
    if cifar.has_cifar10_files(root):
        _refuse(given, "a folder of CIFAR-10 files")
        return _in_memory(cifar.load_cifar10(root, as_bytes=True), cifar.cifar10_class_names(root), root)
    if cifar.has_cifar100_files(root):
        labels = given.pop("labels", "fine")
        _refuse(given, "a folder of CIFAR-100 files")
        parts = cifar.load_cifar100(root, labels=labels, as_bytes=True)
        return _in_memory(parts, cifar.cifar100_class_names(root, labels=labels), root)
    if folder.has_class_folders(root):
        _refuse({name: value for name, value in given.items() if name == "labels"}, "a folder of pictures")
        return folder.load_picture_folder(root, **given)
    hint = ""
    if (root / "data_batch_1").exists() or (root / "meta").exists():
        hint = " (the Python version of CIFAR is made of pickles, which are refused: take the binary version)"
    raise ValueError(f"load: nothing recognised in {root}{hint}; looked for {_LOOKED_FOR}")


def _from_idx(root: Path) -> Split:
    parts = idx.load_idx_folder(root, as_bytes=True)
    count = int(max(y.max() for _, y in parts)) + 1
    classes = tuple(str(label) for label in range(count))
    # The files carry no names; only the folder can say that the ten classes are clothes.
    if count == 10 and "fashion" in root.resolve().name.lower():
        classes = FASHION_MNIST_CLASSES
    return _in_memory(parts, classes, root)


def _in_memory(parts: tuple, classes: tuple[str, ...], root: Path) -> Split:
    train, test = (ArrayDataset(x, y) for x, y in parts)
    shape: tuple[int, ...] = np.shape(parts[0][0])[1:]
    return Split(train, test, classes, root.resolve().name, shape)


def _refuse(options: dict[str, Any], kind: str) -> None:
    if options:
        raise TypeError(f"load: the option {next(iter(options))!r} does not apply to {kind}")
