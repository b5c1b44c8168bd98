"""Every network trains: a few steps reduce its loss. Deep ones learn the digits that come along, enlarged.
It must never need a file or a network connection."""

import numpy as np
import pytest
from network_list import NAMES, SMALL, VGG, built, shape_of

import fastconv
from fastconv import models
from fastconv.detection import YoloLoss

# Without batch norm SGD's steps are small, the larger the deeper; with it Adam's, the smallest in the deepest.
RATES = {
    **dict.fromkeys(VGG, ("SGD", 1e-3)),
    **dict.fromkeys(("vgg13", "vgg16"), ("SGD", 1e-2)),
    "vgg19": ("SGD", 3e-2),
    **dict.fromkeys(SMALL, ("Adam", 3e-3)),
    **dict.fromkeys(("cifar_resnet20", "yolov3", "yolov3_tiny"), ("Adam", 1e-3)),
    "alexnet": ("SGD", 1e-3),
    "resnet152": ("Adam", 1e-5),
}
DTYPES = {"resnet152": np.float64}  # in float32 rounding alone changes the gradients of its first layers by a tenth


class YoloPictures:
    """The loss of YOLOv3's heads for one object in each picture, by the interface of cross entropy."""

    def __init__(self, model):
        self.loss = YoloLoss(model, (64, 64))
        self.target = np.array([[[0, 0.4, 0.5, 0.3, 0.6]], [[2, 0.6, 0.3, 0.8, 0.5]]])

    def __call__(self, y):
        return self.loss.forward(y, self.target)


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_reduce_the_loss(name):
    dtype, finds_objects = DTYPES.get(name, np.float32), name.startswith("yolo")
    model = built(name, 4).astype(dtype)
    x = np.random.default_rng(0).standard_normal(shape_of(name, 2 if finds_objects else 8), np.float32).astype(dtype)
    labels = np.arange(8) % 4
    loss = YoloPictures(model) if finds_objects else lambda y: fastconv.cross_entropy(y, labels)
    kind, rate = RATES.get(name, ("Adam", 1e-4))
    optimizer = getattr(fastconv.optim, kind)(model.parameters(), lr=rate)
    losses = []
    for _ in range(6):
        y, back = model.forward(x)
        value, dy = loss(y)
        losses.append(float(value))
        model.zero_grad()
        back(dy, needs_input=False)
        optimizer.step()
    assert losses[-1] < (0.6 if finds_objects else 0.95) * losses[0], losses


def enlarged(x, factor):
    """Digits (N, 1, 8, 8) as pictures of three equal channels with mean 0 and deviation 1."""
    x = (fastconv.upsample(x, factor, "bilinear") - np.float32(0.305)) / np.float32(0.376)
    return np.repeat(x, 3, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "factor"), [("cifar_resnet18", 2), ("densenet121", 4)])
def test_digits(name, factor):
    (x, labels), (test_x, test_labels) = fastconv.data.load_digits()
    model = getattr(models, name)(10, seed=0)
    optimizer = fastconv.optim.Adam(model.parameters(), lr=2e-3)
    steps = -(-len(x) // 64)
    schedule = fastconv.schedules.OneCycleLR(optimizer, 2e-3, epochs=3, steps_per_epoch=steps)
    trainer = fastconv.Trainer(model, optimizer, fastconv.losses.CrossEntropyLoss(), seed=0)
    rate = fastconv.callbacks.LearningRate(schedule, per="step")
    trainer.fit(enlarged(x, factor), labels, epochs=3, batch_size=64, callbacks=[rate], progress=False)
    assert trainer.evaluate(enlarged(test_x, factor), test_labels, batch_size=64)["accuracy"] > 0.96
