"""A small set of real pictures on which raw pixels do poorly: pieces of eight photographs that come with scikit-image.
Training pieces are from the left half of each photograph, test pieces from the right: none shares a pixel."""

from pathlib import Path

import numpy as np
from PIL import Image
from trained_files import installed

from fastconv.data import ArrayDataset, read_picture

PHOTOGRAPHS = ("brick.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png")
PHOTOGRAPHS += ("retina.jpg",)
CLASSES = tuple(name.split(".")[0].split("_")[0] for name in PHOTOGRAPHS)
SIDE = 96


def pieces(name: str, part: str, count: int) -> np.ndarray:
    """(count, SIDE, SIDE) grey uint8; place, turn, brightness and contrast are drawn, so that none tells the class."""
    photograph = read_picture(installed(name), channels=1)[:, :, 0].astype(np.float64)
    height, width = photograph.shape
    left, right = (0, width // 2) if part == "train" else (width // 2, width)
    rng = np.random.default_rng([PHOTOGRAPHS.index(name), part == "test"])
    found = np.empty((count, SIDE, SIDE), np.uint8)
    for piece in found:
        top, start = rng.integers(0, height - SIDE + 1), rng.integers(left, right - SIDE + 1)
        values = np.rot90(photograph[top : top + SIDE, start : start + SIDE], rng.integers(4))
        values = (values - values.mean()) / max(values.std(), 1) * rng.uniform(25, 55) + rng.uniform(90, 160)
        piece[:] = np.clip(values, 0, 255)
    return found


def textures(part: str, count: int) -> ArrayDataset:
    """`count` pieces of each photograph, (N, 1, SIDE, SIDE), labelled by it."""
    x = np.concatenate([pieces(name, part, count) for name in PHOTOGRAPHS])
    return ArrayDataset(x[:, None], np.repeat(np.arange(len(PHOTOGRAPHS)), count))


def write_textures(folder: Path, count: int) -> None:
    """The same as a folder of pictures: train/ and test/, one subfolder a class."""
    for part in ("train", "test"):
        for name, label in zip(PHOTOGRAPHS, CLASSES, strict=True):
            (folder / part / label).mkdir(parents=True)
            for number, piece in enumerate(pieces(name, part, count)):
                Image.fromarray(piece).save(folder / part / label / f"{number}.png")
