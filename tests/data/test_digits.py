"""The digits that come with the package: content, split, notice."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import fastconv.data
from fastconv.data import load_digits, read_idx

FOLDER = Path(fastconv.data.__file__).with_name("uci_digits")


def test_shapes_and_range():
    (x, y), (x_test, y_test) = load_digits()
    assert (x.shape, x_test.shape) == ((1438, 1, 8, 8), (359, 1, 8, 8))
    for part in (x, x_test):
        assert part.dtype == np.float32
        assert part.flags.c_contiguous
        assert (part.min(), part.max()) == (0, 1)
    assert y.dtype == y_test.dtype == np.int64
    assert np.bincount(y).tolist() == [142, 146, 142, 146, 145, 146, 145, 143, 139, 144]
    assert np.bincount(y_test).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]


def test_split_never_changes():
    """Results that people report depend on it."""
    (_, y), (x_test, y_test) = load_digits()
    digest = hashlib.sha256(x_test.astype("<f4").tobytes() + y_test.astype("<i8").tobytes() + y.astype("<i8").tobytes())
    assert digest.hexdigest() == "7ba342c5c829ef4647ca951f471d464fc6b9d2f3f6bbe06faee26681a893e6ae"


def test_each_call_gives_new_arrays():
    load_digits()[0][0][...] = 0
    assert load_digits()[0][0].max() == 1


def test_small_and_with_its_notice():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 64_000
    notice = (FOLDER / "NOTICE.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in notice
    assert "Alpaydin" in notice


def test_same_as_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    bunch = datasets.load_digits()
    np.testing.assert_array_equal(read_idx(FOLDER / "images-idx3-ubyte.gz"), bunch.images)
    np.testing.assert_array_equal(read_idx(FOLDER / "labels-idx1-ubyte.gz"), bunch.target)
