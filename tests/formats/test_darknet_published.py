"""Darknet's own files: every .cfg of the famous networks opens, and all of them compute what OpenCV computes.

OpenCV's results are in darknet_values.json, which make_darknet_values.py writes.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from darknet_files import SEEDED, opencv_resized, published, resized_cfg, sampled, seed_weights, seeded_input

import fastconv
from fastconv.data import read_picture
from fastconv.detection import detect
from fastconv.layers import Add, Upsample, YoloHead

VALUES = json.loads((Path(__file__).parents[1] / "darknet_values.json").read_text())


def agree(outputs, expected, tolerance):
    """Largest difference of the sampled elements, relative to the largest of all."""
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert len(outputs) == len(expected)
    for y, wanted in zip(outputs, expected, strict=True):
        assert np.abs(sampled(y) - wanted["sampled"]).max() <= tolerance * wanted["largest"]


@pytest.mark.parametrize(("name", "size"), SEEDED, ids=str)
def test_seeded_networks_compute_what_opencv_computes(tmp_path, name, size):
    path = tmp_path / f"{name}.cfg"
    path.write_text(resized_cfg(name, size))
    model = seed_weights(fastconv.load(path))
    agree(model(seeded_input(size)), VALUES["seeded"][name], 1e-5)


@pytest.mark.parametrize(
    ("name", "convolutions", "weights"),
    [
        ("yolov3", 75, 61_949_149),
        ("yolov3-spp", 76, 62_998_749),
        ("yolov3-tiny", 13, 8_852_366),
        ("resnet50", 50, 22_780_456),
        ("resnet101", 101, 41_772_584),
        ("resnet152", 152, 57_416_232),
        ("vgg-16", 13, 138_357_544),
        ("densenet201", 201, 17_173_160),
        ("darknet53", 53, 41_609_928),
    ],
)
def test_published_cfgs_open(name, convolutions, weights):
    model = fastconv.load(published(f"cfg/{name}.cfg"))
    kinds = [type(layer).__name__ for _, layer in model.named_layers()]
    assert kinds.count("Conv2d") == convolutions
    counted = sum(parameter.data.size for parameter in model.parameters())
    assert counted == weights
    if name == "yolov3":
        layers = [layer for _, layer in model.named_layers()]
        found = [sum(isinstance(layer, kind) for layer in layers) for kind in (Add, Upsample, YoloHead)]
        assert found == [23, 2, 3] and len(model.nodes) == 107


@pytest.fixture(scope="module")
def tiny():
    model = fastconv.load(published("cfg/yolov3-tiny.cfg"), weights=published("yolov3-tiny.weights"))
    model.labels = fastconv.data.load_labels("coco")
    return model


@pytest.mark.parametrize("name", ["dog", "person"])
def test_tiny_finds_what_opencv_finds(tiny, name):
    """The official weights on Darknet's own pictures, brought to 416x416 as OpenCV does: heads, classes, boxes."""
    picture = read_picture(published(f"data/{name}.jpg"))
    expected, small = VALUES["tiny"][name], opencv_resized(picture, 416)
    agree(tiny(tiny.preprocess(small)[None]), expected["heads"], 5e-5)
    found = detect(tiny, small, threshold=0.25, nms=0.45)
    assert [one.index for one in found] == [one["class"] for one in expected["boxes"]]
    factors = np.array([picture.shape[1], picture.shape[0]] * 2) / 416
    for one, wanted in zip(found, expected["boxes"], strict=True):
        assert abs(one.score - wanted["score"]) < 1e-3
        assert np.abs(one.box * factors - wanted["box"]).max() < 0.1


@pytest.mark.parametrize("name", ["dog", "person"])
def test_tiny_on_the_picture_itself(tiny, name):
    """Stretched by our own filter, which does not cut to bytes: the same objects within 2 pixels."""
    expected = VALUES["tiny"][name]["boxes"]
    found = detect(tiny, read_picture(published(f"data/{name}.jpg")), threshold=0.25, nms=0.45, fit="stretch")
    assert [one.index for one in found] == [one["class"] for one in expected]
    for one, wanted in zip(found, expected, strict=True):
        assert abs(one.score - wanted["score"]) < 0.02
        assert np.abs(np.subtract(one.box, wanted["box"])).max() < 2


def test_tiny_in_darknets_letterbox(tiny):
    """What Darknet's authors print for dog.jpg: dog 57 %, truck 56 %, bicycle 59 %, cars 52 and 62 %."""
    found = detect(tiny, read_picture(published("data/dog.jpg")), threshold=0.5)
    scores = {one.label: one.score for one in found}
    assert set(scores) == {"dog", "truck", "car", "bicycle"}
    for label, score in (("dog", 0.57), ("truck", 0.56), ("bicycle", 0.59), ("car", 0.62)):
        assert abs(scores[label] - score) < 0.05
