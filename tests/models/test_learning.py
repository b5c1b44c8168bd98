"""Deep networks learn real pictures: the digits that come along, enlarged."""

import numpy as np
import pytest

import fastconv
from fastconv import models


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
