"""Preprocessed: the pictures of a data set as the input of a network, from files and from arrays."""

import numpy as np
import pytest
from PIL import Image

from fastconv.data import IMAGENET, ArrayDataset, PictureFolder, Preprocess, Preprocessed, RandomHorizontalFlip

PREPROCESS = Preprocess((6, 8), "stretch", mean=(0.1, 0.2, 0.3), std=(0.5, 1, 2))


def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, 3, 12, 10), np.uint8)


def expected(x):
    return np.stack([PREPROCESS(one.transpose(1, 2, 0)) for one in x])


def test_arrays_of_bytes_and_of_numbers():
    x, y, chosen = pictures(), np.arange(5), np.array([4, 0, 0])
    for given in (x, x / np.float32(255), x / 255):
        data = Preprocessed(ArrayDataset(given, y), PREPROCESS)
        found, labels = data.batch(chosen)
        assert np.array_equal(found, expected(x[chosen])) and found.dtype == np.float32
        assert np.array_equal(labels, chosen) and len(data) == 5 and np.array_equal(data.y, y)


def test_grey_pictures_for_a_network_of_colours_and_the_other_way_round():
    grey = pictures()[:, :1]
    found, _ = Preprocessed(ArrayDataset(grey, np.zeros(5, int)), PREPROCESS).batch(np.arange(5))
    assert np.array_equal(found, expected(np.repeat(grey, 3, axis=1)))
    found, _ = Preprocessed(ArrayDataset(pictures(), np.zeros(5, int)), Preprocess((4, 4), channels="L")).batch([1])
    assert found.shape == (1, 1, 4, 4)


def test_files_are_read_at_their_own_size(tmp_path):
    x = pictures()
    for number, one in enumerate(x):
        Image.fromarray(one.transpose(1, 2, 0)).save(tmp_path / f"{number}.png")
    files = PictureFolder([tmp_path / f"{number}.png" for number in range(5)], np.arange(5), size=2, channels=1)
    assert np.array_equal(Preprocessed(files, PREPROCESS).batch([3, 1])[0], expected(x[[3, 1]]))


def test_the_transform_comes_last_and_draws_from_the_generator():
    data = Preprocessed(ArrayDataset(pictures(), np.zeros(5, int)), PREPROCESS, RandomHorizontalFlip(1.0))
    found, _ = data.batch([2], np.random.default_rng(0))
    assert np.array_equal(found, expected(pictures()[[2]])[..., ::-1])
    with pytest.raises(TypeError, match="generator"):
        data.batch([2])


def test_wrong_arguments():
    data = ArrayDataset(pictures(), np.zeros(5, int))
    with pytest.raises(TypeError, match="preprocess must be a Preprocess"):
        Preprocessed(data, "imagenet")
    with pytest.raises(TypeError, match="transform must be callable"):
        Preprocessed(data, IMAGENET, 1)
    with pytest.raises(ValueError, match="from 0 to 4, got 5"):
        Preprocessed(data, IMAGENET).batch([5])
    assert "256" in repr(Preprocessed(data, IMAGENET))
