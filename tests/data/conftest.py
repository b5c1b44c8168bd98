"""Builders of real data files: IDX, CIFAR records, pictures.
Values come from fixed seeds, so that a failing test names the same file every time."""

import gzip
import struct

import numpy as np
import pytest


@pytest.fixture
def idx_bytes():
    """An array as the bytes of an IDX file."""
    codes = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

    def build(array):
        header = struct.pack(f">HBB{array.ndim}I", 0, codes[array.dtype.str[1:]], array.ndim, *array.shape)
        return header + array.astype(array.dtype.newbyteorder(">")).tobytes()

    return build


@pytest.fixture
def idx_folder(tmp_path, idx_bytes):
    """A folder like MNIST's, small; gives (folder, the four arrays by name)."""

    def build(*, packed=(), train=12, test=5, size=(4, 3), name="mnist"):
        rng = np.random.default_rng(1)
        folder = tmp_path / name
        folder.mkdir()
        arrays = {
            "train-images-idx3-ubyte": rng.integers(0, 256, (train, *size), np.uint8),
            "train-labels-idx1-ubyte": (np.arange(train) % 10).astype(np.uint8),
            "t10k-images-idx3-ubyte": rng.integers(0, 256, (test, *size), np.uint8),
            "t10k-labels-idx1-ubyte": (np.arange(test) % 10).astype(np.uint8),
        }
        for i, (file, array) in enumerate(arrays.items()):
            content = idx_bytes(array)
            if i in packed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / file).write_bytes(content)
        return folder, arrays

    return build


@pytest.fixture
def cifar_bytes():
    """n records of CIFAR; `label_bytes` 1 (CIFAR-10) or 2 (CIFAR-100). Gives (bytes, pictures, labels)."""

    def build(n, label_bytes=1, seed=0):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 256, (n, 3, 32, 32), np.uint8)
        counts = {1: (10,), 2: (20, 100)}[label_bytes]
        labels = np.stack([rng.integers(0, count, n).astype(np.uint8) for count in counts], axis=1)
        return np.concatenate([labels, x.reshape(n, -1)], axis=1).tobytes(), x, labels.astype(np.int64)

    return build


@pytest.fixture
def save_picture():
    """Write an array (H, W) or (H, W, 3), uint8 or uint16, as a picture; the suffix tells the format."""
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

    def save(path, array, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path, **options)
        return path

    return save


@pytest.fixture
def picture_folder(tmp_path, save_picture):
    """A folder of two classes, plain colours: blue/ and red/, `count` pictures each, PNG and JPEG in turn."""

    def build(root=None, *, count=5, size=(12, 10)):
        root = root or tmp_path / "colours"
        for name, channel in (("red", 0), ("blue", 2)):
            for i in range(count):
                picture = np.zeros((*size, 3), np.uint8)
                picture[:, :, channel] = 255
                save_picture(root / name / f"{i}.{('png', 'jpg')[i % 2]}", picture)
        return root

    return build
