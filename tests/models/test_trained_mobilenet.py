"""MobileNetV2 with torchvision's trained weights on photographs, where weights and photographs are installed."""

import numpy as np
import pytest
from trained_files import MOBILENET_V2, installed

import fastconv

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
# The class of ImageNet, and its probability by PyTorch for the same pixels.
PICTURES = {
    "chelsea.png": (285, 0.714),  # Egyptian cat
    "coffee.png": (967, 0.992),  # espresso
    "rocket.jpg": (812, 0.296),  # space shuttle
    "eagle.jpg": (22, 0.729),  # bald eagle
    "giraffe.jpg": (340, 0.733),  # zebra
}


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
    return fastconv.models.mobilenet_v2(weights=installed(MOBILENET_V2))


@pytest.mark.parametrize("name", PICTURES)
def test_labels_and_probabilities(model, name):
    label, probability = PICTURES[name]
    y = fastconv.softmax(model(pixels(installed(name))))[0]
    assert y.argmax() == label
    assert abs(y[label] - probability) < 0.005
