"""Small trainings that several tests share: data, a trainer, comparisons to the bit.
Everything is seeded; nothing here asserts anything about fastconv but equality."""

import numpy as np

from fastconv import layers as L
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import Adam
from fastconv.trainer import Trainer


def small_data(n=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, n)


def small_trainer(seed=0, kind=Adam, **settings):
    g = np.random.default_rng(1)
    model = L.Sequential(
        L.Conv2d(1, 3, 3, padding=1, generator=g), L.BatchNorm2d(3), L.ReLU(), L.Flatten(), L.Dropout(0.3),
        L.Linear(48, 3, generator=g),
    )  # fmt: skip
    return Trainer(model, kind(model.parameters(), **settings), CrossEntropyLoss(), seed=seed)


def fit(trainer, *arguments, **settings):
    return trainer.fit(*arguments, progress=False, **settings)


def assert_same_state(one, two):
    for (name, value), other in zip(one.items(), two.values(), strict=True):
        np.testing.assert_array_equal(value, other, err_msg=name)


def jitter(x, generator):
    return x + generator.normal(size=x.shape).astype(x.dtype) * np.float32(0.1)
