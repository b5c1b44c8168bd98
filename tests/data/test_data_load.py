"""load(path): each kind of data set is recognised, and anything else says what was looked for."""

import os
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import fastconv.data
from fastconv.data import ArrayDataset, PictureFolder, Split, load
from fastconv.formats import FormatError


def test_digits():
    split = load("digits")
    assert (split.name, split.shape, split.classes) == ("digits", (1, 8, 8), tuple("0123456789"))
    assert (len(split.train), len(split.test)) == (1438, 359)
    x, y = split.train.batch([0, 5])
    assert (x.shape, y.shape, split.channels, split.size) == ((2, 1, 8, 8), (2,), 1, (8, 8))


@pytest.mark.parametrize("packed", [(), (0, 1, 2, 3)])
def test_idx(idx_folder, packed):
    folder, arrays = idx_folder(packed=packed)
    split = load(folder)
    assert (split.name, split.shape, split.classes) == ("mnist", (1, 4, 3), tuple("0123456789"))
    assert split.train.x.dtype == np.uint8
    x, y = split.test.batch([4])
    np.testing.assert_array_equal(x[0, 0], (arrays["t10k-images-idx3-ubyte"][4] / 255.0).astype(np.float32))
    assert y.tolist() == [4]


def test_idx_of_clothes(idx_folder):
    assert load(idx_folder(name="Fashion_MNIST")[0]).classes[9] == "Ankle boot"


def test_idx_that_is_incomplete(idx_folder):
    folder, _ = idx_folder()
    (folder / "train-images-idx3-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        load(folder)


def test_cifar10(tmp_path, cifar_bytes):
    (tmp_path / "data_batch_1.bin").write_bytes(cifar_bytes(4)[0])
    (tmp_path / "test_batch.bin").write_bytes(cifar_bytes(2, seed=1)[0])
    split = load(tmp_path)
    assert (split.shape, len(split.train), len(split.test)) == ((3, 32, 32), 4, 2)
    assert (split.classes[0], split.classes[9], split.name) == ("airplane", "truck", tmp_path.name)
    (tmp_path / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n\n")
    assert load(tmp_path).classes == tuple("abcdefghij")
    (tmp_path / "batches.meta.txt").write_text("a\nb\n")
    with pytest.raises(FormatError, match="found 2 class names, expected 10"):
        load(tmp_path)


def test_cifar100(tmp_path, cifar_bytes):
    for seed, name in enumerate(("train.bin", "test.bin")):
        (tmp_path / name).write_bytes(cifar_bytes(3, 2, seed)[0])
    split = load(tmp_path)
    assert (len(split.classes), split.classes[99]) == (100, "99")
    assert split.train.y.tolist() == cifar_bytes(3, 2, 0)[2][:, 1].tolist()
    coarse = load(tmp_path, labels="coarse")
    assert (len(coarse.classes), coarse.train.y.tolist()) == (20, cifar_bytes(3, 2, 0)[2][:, 0].tolist())
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(f"c{i}" for i in range(20)))
    assert load(tmp_path, labels="coarse").classes[19] == "c19"


def test_pictures(picture_folder):
    split = load(picture_folder(), size=(5, 6), channels=1, test_fraction=0.4, seed=None)
    assert isinstance(split.train, PictureFolder)
    assert (split.shape, split.classes, len(split.test)) == ((1, 5, 6), ("blue", "red"), 4)


def test_pictures_divided_by_hand(picture_folder, tmp_path):
    picture_folder(tmp_path / "set" / "train", count=2)
    picture_folder(tmp_path / "set" / "val", count=1)
    split = load(os.fsencode(tmp_path / "set"))
    assert (len(split.train), len(split.test), split.name) == (4, 2, "set")


def test_a_folder_called_digits(picture_folder, tmp_path, monkeypatch):
    picture_folder(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert load("./digits", size=4).classes == ("blue", "red")
    assert len(load("digits").classes) == 10


def test_nothing_recognised(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="nothing recognised") as caught:
        load(tmp_path)
    for word in (
        str(tmp_path),
        "digits",
        "train-images-idx3-ubyte",
        "data_batch_1.bin",
        "train.bin",
        "subfolder",
    ):
        assert word in str(caught.value)
    (tmp_path / "data_batch_1").write_bytes(b"")
    with pytest.raises(ValueError, match="made of pickles, which are refused: take the binary version"):
        load(tmp_path)


def test_not_a_folder(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for wrong in (path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="not a folder; looked for"):
            load(wrong)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(TypeError):
        load(3)


def test_options_that_do_not_apply(idx_folder, picture_folder):
    folder, _ = idx_folder()
    for path, kind in ((folder, "a folder of IDX files"), ("digits", "the digits")):
        with pytest.raises(TypeError, match=f"load: the option 'size' does not apply to {kind}"):
            load(path, size=3)
        assert load(path, size=None).channels == 1
    with pytest.raises(TypeError, match="'labels' does not apply to a folder of pictures"):
        load(picture_folder(), labels="fine")
    with pytest.raises(TypeError, match="sise"):
        load(picture_folder(), sise=3)


def test_split_is_frozen():
    data = ArrayDataset(np.zeros((1, 1, 2, 2)), [0])
    split = Split(data, data, ("a",), "x", (1, 2, 2))
    with pytest.raises(FrozenInstanceError):
        split.name = "y"


def test_public_names():
    assert len(set(fastconv.data.__all__)) == len(fastconv.data.__all__)  # their order is ruff's to check
    for name in fastconv.data.__all__:
        assert getattr(fastconv.data, name).__doc__
