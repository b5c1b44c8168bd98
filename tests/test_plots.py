"""Plots: a PNG of the stated parts, without a window and without matplotlib's global state."""

import sys

import numpy as np
import pytest

from fastconv.plots import save_confusion, save_curves, save_predictions, save_report

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

HISTORY = {"loss": [1.0, 0.5, 0.4], "val_loss": [1.1, 0.7, float("nan")], "accuracy": [0.5, 0.7, 0.8], "lr": [1, 1, 1]}


def pixels(path):
    with PIL_Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_curves(tmp_path):
    save_curves(HISTORY, tmp_path / "a.png")
    save_curves({"loss": [1.0]}, tmp_path / "b.png")
    assert pixels(tmp_path / "a.png").std() > 0 and pixels(tmp_path / "b.png").std() > 0
    assert "matplotlib.pyplot" not in sys.modules


def test_curves_of_two_trainings_are_marked(tmp_path):
    save_curves(HISTORY, tmp_path / "one.png")
    save_curves(HISTORY, tmp_path / "two.png", phases={"head": 2, "fine-tuning": 1})
    assert pixels(tmp_path / "one.png").tobytes() != pixels(tmp_path / "two.png").tobytes()


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_confusion(tmp_path, classes):
    right, path = 7 * np.eye(classes, dtype=int), tmp_path / "a.png"
    right[-1] = 0  # a class without pictures
    names = [f"a class of a long name, {number}" for number in range(classes)]
    save_confusion(right, names, path, title="all right")
    picture = pixels(path).astype(int)
    assert min(picture.shape[:2]) > 300 and (picture[..., 2] > picture[..., 0] + 100).any()
    red = right.copy()
    red[0, 1] = 1
    save_confusion(red, names, path)
    assert ((pixels(path)[..., 0] > 180) & (pixels(path)[..., 1] < 90)).any() == (classes <= 30)
    with pytest.raises(ValueError, match=r"must be \(3, 3\) for 3 classes"):
        save_confusion(np.eye(2), ["a", "b", "c"], path)


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_with_wrong_ones_in_red(tmp_path, channels):
    images = np.random.default_rng(0).random((11, channels, 8, 8), np.float32)
    labels = np.arange(11) % 3
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    save_predictions(images * 0, labels, np.eye(3)[labels], right, classes=["a", "b", "c"])
    save_predictions(images * 0, labels, (labels + 1) % 3, wrong)

    def is_red(picture):
        return ((picture[..., 0] > 180) & (picture[..., 1] < 90)).any()

    assert is_red(pixels(wrong)) and not is_red(pixels(right))


def test_a_report_holds_both(tmp_path):
    images, labels = np.zeros((3, 1, 4, 4)), np.zeros(3, int)
    save_curves(HISTORY, tmp_path / "curves.png")
    save_report(HISTORY, tmp_path / "both.png", images=images, labels=labels, predictions=labels, title="digits")
    assert pixels(tmp_path / "both.png").shape[0] > pixels(tmp_path / "curves.png").shape[0]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "nothing to draw"),
        ({"images": np.zeros((2, 2, 4, 4)), "labels": [0, 0], "predictions": [0, 0]}, "must be"),
        ({"images": np.zeros((2, 1, 4, 4)), "labels": [0], "predictions": [0, 0]}, "2 images, 1 labels"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, error):
    with pytest.raises(ValueError, match=error):
        save_report({}, tmp_path / "a.png", **arguments)


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"fastconv\[train\]"):
        save_curves(HISTORY, tmp_path / "a.png")
