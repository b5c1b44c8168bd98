"""Folders of pictures: classes, division, batches, and folders that are not what they should be."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastconv.data import PictureFolder, Split, load_picture_folder
from fastconv.formats import FormatError

pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def test_batches(picture_folder):
    split = load_picture_folder(picture_folder(), size=(6, 8), seed=3)
    assert isinstance(split, Split)
    assert (split.classes, split.name, split.shape) == (("blue", "red"), "colours", (3, 6, 8))
    assert (split.channels, split.size) == (3, (6, 8))
    assert (len(split.train), len(split.test)) == (8, 2)
    x, y = split.train.batch(np.arange(8))
    assert (x.shape, x.dtype, y.dtype) == ((8, 3, 6, 8), np.float32, np.int64)
    assert x.flags.c_contiguous
    assert y.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    for picture, label in zip(x, y, strict=True):
        np.testing.assert_allclose(picture.mean(axis=(1, 2)), [(0, 0, 1), (1, 0, 0)][label], atol=0.02)
    again = load_picture_folder(picture_folder(), size=(6, 8), seed=3)
    assert (again.train.files, again.test.files) == (split.train.files, split.test.files)
    np.testing.assert_array_equal(again.train.batch([5, 0])[0], x[[5, 0]])


def test_in_memory_gives_the_same_batches(picture_folder):
    data = load_picture_folder(picture_folder(), size=(6, 8)).train
    held = data.in_memory()
    assert (held.x.dtype, held.x.shape) == (np.uint8, (8, 3, 6, 8))
    for one, two in zip(data.batch([7, 2]), held.batch([7, 2]), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype


def test_decoded_when_asked_for(picture_folder):
    split = load_picture_folder(picture_folder(), size=4)
    broken = split.train.files[0]
    broken.write_bytes(b"not a picture")
    assert len(split.train.batch([1])[1]) == 1
    with pytest.raises(FormatError, match="expected a whole picture") as caught:
        split.train.batch([1, 0])
    assert caught.value.path == str(broken)
    broken.unlink()
    with pytest.raises(FileNotFoundError):
        split.train.batch([0])


@pytest.mark.parametrize("test", ["test", "val"])
def test_divided_by_hand(picture_folder, tmp_path, test):
    picture_folder(tmp_path / "set" / "train", count=3)
    picture_folder(tmp_path / "set" / test, count=2)
    (tmp_path / "set" / test / "blue").rename(tmp_path / "set" / test / ".blue")
    split = load_picture_folder(tmp_path / "set", size=4)
    assert (split.classes, len(split.train), len(split.test)) == (("blue", "red"), 6, 2)
    assert split.test.y.tolist() == [1, 1]
    (tmp_path / "set" / test / ".blue").rename(tmp_path / "set" / test / "green")
    with pytest.raises(FormatError, match="found class 'green', expected a class of the training part"):
        load_picture_folder(tmp_path / "set")


def test_train_may_be_the_name_of_a_class(tmp_path, save_picture):
    for name in ("train", "test", "tram"):
        for i in range(2):
            save_picture(tmp_path / "set" / name / f"{i}.png", np.zeros((3, 3), np.uint8))
    assert load_picture_folder(tmp_path / "set").classes == ("test", "train", "tram")


def test_what_counts_as_a_picture(tmp_path, picture_folder, save_picture):
    root = picture_folder()
    (root / "red" / "notes.txt").write_text("not one")
    (root / "red" / ".hidden.png").write_bytes(b"")
    (root / ".git").mkdir()
    (root / "README").write_text("")
    (root / "red" / "loop").symlink_to(root)  # not followed: it would never end
    save_picture(root / "red" / "deeper" / "X.PNG", np.zeros((3, 3), np.uint8))
    split = load_picture_folder(root)
    assert split.classes == ("blue", "red")
    assert len(split.train) + len(split.test) == 11


def test_folders_without_pictures(tmp_path, picture_folder):
    root = picture_folder()
    (root / "green").mkdir()
    with pytest.raises(FormatError, match="found no pictures, expected at least one file of") as caught:
        load_picture_folder(root)
    assert caught.value.path == str(root / "green")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FormatError, match="found no subfolders, expected one subfolder a class"):
        load_picture_folder(empty)
    (root / "red").rename(empty / "red")
    with pytest.raises(FormatError, match="found 1 subfolders with pictures, expected at least 2"):
        load_picture_folder(empty)
    with pytest.raises(FileNotFoundError):
        load_picture_folder(tmp_path / "none")
    with pytest.raises(NotADirectoryError):
        load_picture_folder(__file__)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"size": 0}, ValueError, "size must be at least 1, got 0"),
        ({"size": (3, 4, 5)}, ValueError, "size must be an integer or"),
        ({"size": "3"}, TypeError, "size must be an integer"),
        ({"channels": 2}, ValueError, "channels must be 1"),
        ({"channels": True}, ValueError, "channels must be 1"),
        ({"fit": "pad"}, ValueError, "fit must be 'crop' or 'stretch', got 'pad'"),
        ({"transform": 1}, TypeError, "transform must be callable"),
        ({"labels": [0]}, ValueError, "labels must be 2 integers"),
        ({"labels": [0.0, 1.0]}, ValueError, "labels must be 2 integers"),
    ],
)
def test_bad_arguments(options, error, text):
    arguments = {"labels": [0, 1], **options}
    with pytest.raises(error, match=f"PictureFolder: {text}"):
        PictureFolder(["a", "b"], **arguments)


def test_transform(picture_folder):
    root = picture_folder()
    seen = []

    def transform(x, generator):
        seen.append(generator)
        return x * 0

    data = PictureFolder([root / "red" / "0.png"], [4], size=3, transform=transform)
    rng = np.random.default_rng(0)
    x, y = data.batch([0], rng)
    assert (x.max(), y.tolist(), seen) == (0, [4], [rng])


def test_without_pillow_the_extra_is_named(tmp_path):
    """In a process of its own: Pillow is not imported before it is needed, and its absence is explained."""
    code = (
        "import sys\n"
        "import fastconv.data as data\n"
        "assert not any(name.split('.')[0] in ('PIL', 'sklearn') for name in sys.modules)\n"
        "data.load_digits()\n"
        "sys.modules['PIL'] = None\n"
        "for call in (data.read_picture, data.load_picture_folder):\n"
        "    try:\n"
        "        call('x')\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == ""
    assert done.stdout == 'reading pictures needs Pillow: pip install "fastconv[train]"\n' * 2
