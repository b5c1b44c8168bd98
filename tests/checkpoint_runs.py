"""A training with everything that a checkpoint must hold, and comparison of states to the bit.
Everything is seeded; nothing here asserts anything about fastconv but equality."""

import numpy as np

from fastconv import layers as L
from fastconv.callbacks import EarlyStopping, LearningRate
from fastconv.data import Compose, RandomCrop, RandomHorizontalFlip
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import SGD, Adam, AdamW
from fastconv.resuming import state_of
from fastconv.schedules import CosineAnnealingLR, OneCycleLR
from fastconv.trainer import Trainer

OPTIMIZERS = {
    "SGD": lambda params: SGD(params, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "Adam": lambda params: Adam(params, lr=1e-2, amsgrad=True),
    "AdamW": lambda params: AdamW(params, lr=1e-2),
}
TRANSFORM = Compose([RandomCrop(4, padding=1), RandomHorizontalFlip()])


def data(n=44):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, n)


def trainer_and_callbacks(kind="SGD", seed=3, per="step"):
    g = np.random.default_rng(seed)
    model = L.Sequential(
        L.Conv2d(1, 3, 3, padding=1, generator=g), L.BatchNorm2d(3, momentum=None), L.ReLU(), L.Dropout(0.2),
        L.Flatten(), L.Dropout(0.3, generator=np.random.Generator(np.random.Philox(seed))),
        L.Linear(48, 3, generator=g),
    )  # fmt: skip
    optimizer = OPTIMIZERS[kind](model.parameters())
    schedule = OneCycleLR(optimizer, 0.05, 24) if per == "step" else CosineAnnealingLR(optimizer, 4)
    callbacks = [EarlyStopping("loss", patience=50, restore_best=True), LearningRate(schedule, per)]
    return Trainer(model, optimizer, CrossEntropyLoss(0.1), seed=seed), callbacks


def run(trainer, callbacks, epochs=4, resume=None, **settings):
    x, y = data()
    settings = {"batch_size": 8, "validation_data": (x[:10], y[:10]), "transform": TRANSFORM, **settings}
    return trainer.fit(x, y, epochs, callbacks=callbacks, progress=False, resume=resume, **settings)


def assert_same(one, two):
    """Two trainers are in the same state, to the bit."""
    assert_same_tree(state_of(one, copy=False), state_of(two, copy=False))


def assert_same_tree(one, two, path=""):
    assert type(one) is type(two), path
    if isinstance(one, dict):
        assert list(one) == list(two), path
        for key in one:
            assert_same_tree(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), path
        for position, pair in enumerate(zip(one, two, strict=True)):
            assert_same_tree(*pair, f"{path}[{position}]")
    elif isinstance(one, np.ndarray):
        assert one.dtype == two.dtype and one.tobytes() == two.tobytes(), path
    else:
        assert one == two, path
