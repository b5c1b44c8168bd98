"""Fashion-MNIST as Debian packages it (dataset-fashion-mnist): real files, read where they are installed."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from fastconv.data import channel_mean_std, load, load_idx_folder

FOLDER = Path("/usr/share/datasets/fashion-mnist")

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"{FOLDER} is not there (Debian package dataset-fashion-mnist)"
)


@pytest.fixture(scope="module")
def parts():
    return load_idx_folder(FOLDER, as_bytes=True)


def test_shapes_and_label_counts(parts):
    for (x, y), n in zip(parts, (60_000, 10_000), strict=True):
        assert (x.shape, x.dtype, y.dtype) == ((n, 1, 28, 28), np.uint8, np.int64)
        assert np.bincount(y).tolist() == [n // 10] * 10


def test_content(parts):
    digests = [hashlib.sha256(a.astype(np.uint8).tobytes()).hexdigest()[:16] for part in parts for a in part]
    assert digests == ["2e487a6c89124f78", "657fbd221bfc9f41", "c867c93ff9536059", "3d0e6c6ea990b53b"]


def test_loaded_for_training():
    split = load(FOLDER)
    assert (split.name, split.shape, len(split.train), len(split.test)) == (
        "fashion-mnist",
        (1, 28, 28),
        60_000,
        10_000,
    )
    assert (split.classes[0], split.classes[9]) == ("T-shirt/top", "Ankle boot")
    x, y = split.train.batch([0, 59_999])
    assert x.dtype == np.float32
    assert y.tolist() == [9, 5]
    mean, std = channel_mean_std(split.test)
    np.testing.assert_allclose([mean[0], std[0]], [0.2868, 0.3524], atol=1e-4)
