"""Every network of fastconv.models, and how each is built small: few classes, the smallest pictures it takes.
A network that is added there is here by itself, and in every test that runs over this list."""

import numpy as np

from fastconv import layers as L
from fastconv import models

NAMES = tuple(name for name in models.__all__ if name not in ("SMALL_MODELS", "normalised"))
SMALL = {function.__name__ for function in models.SMALL_MODELS.values()}
# Height and width where 32 are too few, or not all that is interesting.
SIDES = {"alexnet": 63, "squeezenet1_1": 33, "yolov3": 64, "yolov3_tiny": 64} | dict.fromkeys(SMALL, 16)
VGG = tuple(name for name in NAMES if name.startswith("vgg"))


def shape_of(name: str, batch: int) -> tuple[int, ...]:
    """That of x."""
    side = SIDES.get(name, 32)
    return (batch, 1 if name in SMALL else 3, side, side)


def built(name: str, classes: int, *, small_head: bool = False) -> L.Layer:
    """The network with seeded weights and without dropout; with `small_head` VGG has one fully connected layer in
    place of three, whose weights are nine tenths of all."""
    if name in SMALL:
        model = getattr(models, name)(shape_of(name, 1)[1:], classes, generator=np.random.default_rng(0))
    else:
        model = getattr(models, name)(classes, seed=1)
    if small_head and name in VGG:
        generator = np.random.default_rng(1)
        model = L.Sequential(*model[:3], L.Linear(512 * 7 * 7, classes, generator=generator))
    return without_dropout(model)


def without_dropout(model: L.Layer) -> L.Layer:
    """The model, whose training then draws no random numbers."""
    for _, layer in model.named_layers():
        if isinstance(layer, L.Dropout):
            layer.p = 0.0
    return model
