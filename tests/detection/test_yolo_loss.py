"""YOLOv3's loss: its gradient is Darknet's delta, written out in loops, and its own derivative; and it learns."""

import math

import numpy as np
import pytest
from detection_cases import ANCHORS, CLASSES, SIZE, TARGET, two_heads

import fastconv
from fastconv.callbacks import LearningRate
from fastconv.data import Preprocess
from fastconv.detection import YoloLoss, detect
from fastconv.schedules import CosineAnnealingLR


def overlap(a, b):
    """Of boxes (x, y, width, height) with the centre first."""
    w = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    h = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    both = max(w, 0) * max(h, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def darknet_delta(y, mask, objects, ignore):
    """What Darknet's yolo layer adds to the gradient of one picture (its sign turned round), (A, 8, P, Q)."""
    _, P, Q = y.shape
    H, W = SIZE
    y = y.reshape(len(mask), 5 + CLASSES, P, Q)
    delta = np.zeros(y.shape)
    for a, j, i in np.ndindex(len(mask), P, Q):
        tx, ty, tw, th, to = y[a, :5, j, i]
        pw, ph = ANCHORS[mask[a]]
        box = ((i + sigmoid(tx)) / Q, (j + sigmoid(ty)) / P, math.exp(tw) * pw / W, math.exp(th) * ph / H)
        if max((overlap(box, one[1:]) for one in objects), default=0) <= ignore:
            delta[a, 4, j, i] = sigmoid(to)
    for kind, x, yy, w, h in objects:
        shapes = [overlap((0, 0, w, h), (0, 0, pw / W, ph / H)) for pw, ph in ANCHORS]
        best = shapes.index(max(shapes))
        if best not in mask:
            continue
        a, i, j = mask.index(best), min(int(x * Q), Q - 1), min(int(yy * P), P - 1)
        t, d, (pw, ph) = y[a, :, j, i], delta[a, :, j, i], ANCHORS[best]
        scale = 2 - w * h
        d[0] = scale * (sigmoid(t[0]) - (x * Q - i))
        d[1] = scale * (sigmoid(t[1]) - (yy * P - j))
        d[2] = scale * (t[2] - math.log(w * W / pw))
        d[3] = scale * (t[3] - math.log(h * H / ph))
        d[4] = sigmoid(t[4]) - 1
        if not d[5:].any():  # a second object in this place only adds its class
            d[5:] = [sigmoid(v) for v in t[5:]]
        d[5 + int(kind)] = sigmoid(t[5 + int(kind)]) - 1
    return delta.reshape(-1, P, Q)


def prediction(model, seed=3, scale=2.0):
    return model(np.random.default_rng(seed).normal(size=(2, 3, *SIZE)) * scale)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradient_is_darknets(dtype):
    model = two_heads(dtype)
    outputs = prediction(model.astype(np.float64))
    _, gradients = YoloLoss(model, SIZE).forward(tuple(y.astype(dtype) for y in outputs), TARGET)
    ignored = 0
    for y, gradient, mask in zip(outputs, gradients, ((3, 2), (0, 1)), strict=True):
        assert gradient.dtype == dtype and gradient.shape == y.shape
        for n in range(2):
            objects = [tuple(one) for one in TARGET[n] if one[0] >= 0]
            expected = darknet_delta(y[n], mask, objects, 0.4)
            np.testing.assert_allclose(gradient[n] * 2, expected, atol=1e-10 if dtype is np.float64 else 1e-5)
            ignored += (expected.reshape(2, 8, *y.shape[2:])[:, 4] == 0).sum()
    assert ignored > 0


def test_gradient_is_the_derivative_of_the_loss():
    model = two_heads()
    outputs, loss = prediction(model), YoloLoss(model, SIZE)
    _, gradients = loss.forward(outputs, TARGET)
    generator = np.random.default_rng(4)
    for y, gradient in zip(outputs, gradients, strict=True):
        places = [*np.argwhere(np.abs(gradient) > 0.2)[:40].tolist(), *generator.integers(0, y.shape, (40, 4)).tolist()]
        for place in map(tuple, places):
            kept, h = y[place], 1e-6
            y[place] = kept + h
            above = loss(outputs, TARGET)
            y[place] = kept - h
            below = loss(outputs, TARGET)
            y[place] = kept
            assert abs((above - below) / (2 * h) - gradient[place]) < 1e-6


def test_a_perfect_prediction_costs_nothing():
    """An object of exactly the size of a prior, in the middle of a cell, said with certainty."""
    model = two_heads()
    target = np.array([[[1, 3.5 / 6, 2.5 / 4, 12 / 48, 30 / 32]]])
    outputs = tuple(np.full(y[:1].shape, -40.0) for y in prediction(model))
    outputs[0].reshape(2, 8, 4, 6)[1, :, 2, 3] = (0, 0, 0, 0, 40, -40, 40, -40)
    loss = YoloLoss(model, SIZE)
    assert loss(outputs, target) < 1e-12
    outputs[0].reshape(2, 8, 4, 6)[1, 2, 2, 3] = 1
    assert abs(loss(outputs, target) - (2 - 12 / 48 * 30 / 32) / 2) < 1e-12


def test_no_objects_and_no_pictures():
    model = two_heads()
    loss = YoloLoss(model, SIZE)
    outputs = prediction(model)
    value, gradients = loss.forward(outputs, np.zeros((2, 0, 5)))
    assert value > 0 and all((g.reshape(2, 2, 8, -1)[:, :, [0, 1, 2, 3, 5]] == 0).all() for g in gradients)
    value, gradients = loss.forward(tuple(y[:0] for y in outputs), TARGET[:0])
    assert value == 0 and gradients[0].shape == (0, *outputs[0].shape[1:])


@pytest.mark.parametrize(
    "change",
    [(0, 3), (0, 0.5), (1, 1.5), (2, -0.1), (3, 0), (4, 1.1), (1, np.nan), (0, np.inf)],
    ids=str,
)
def test_bad_targets(change):
    model = two_heads()
    target = TARGET.copy()
    target[0, 1, change[0]] = change[1]
    with pytest.raises(ValueError, match="YoloLoss: an object is"):
        YoloLoss(model, SIZE)(prediction(model), target)


def test_bad_shapes():
    model = two_heads()
    loss, outputs = YoloLoss(model, SIZE), prediction(model)
    with pytest.raises(ValueError, match=r"target must be \(2, T, 5\)"):
        loss(outputs, TARGET[:1])
    with pytest.raises(ValueError, match="2 heads, got 1"):
        loss(outputs[0], TARGET)
    with pytest.raises(ValueError, match="channels"):
        loss(tuple(y[:, :5] for y in outputs), TARGET)


def shapes(count):
    """Pictures with one or two coloured rectangles on noise; their colour is their class."""
    generator = np.random.default_rng(8)
    pictures = generator.integers(0, 160, (count, *SIZE, 3), np.uint8)
    target = np.full((count, 2, 5), -1.0)
    for n in range(count):
        for t, left in enumerate((2, 26)[: 1 + n % 2]):
            kind = int(generator.integers(3))
            x, y = left + int(generator.integers(6)), int(generator.integers(1, 12))
            w, h = int(generator.integers(6, 15)), int(generator.integers(8, 19))
            pictures[n, y : y + h, x : x + w, kind] = 255
            target[n, t] = (kind, (x + w / 2) / SIZE[1], (y + h / 2) / SIZE[0], w / SIZE[1], h / SIZE[0])
    return pictures, target


def test_training_finds_the_objects_of_a_few_pictures():
    """Six pictures learnt by heart through the Trainer: every object is found, at its place, and nothing else."""
    pictures, target = shapes(6)
    model = two_heads(np.float32, ignore=0.7)
    model.preprocess, model.labels = Preprocess(SIZE, "stretch"), ("red", "green", "blue")
    x = np.stack([model.preprocess(picture) for picture in pictures])
    loss = YoloLoss(model, SIZE)
    optimizer = fastconv.optim.Adam(model.parameters(), lr=5e-3)
    trainer = fastconv.Trainer(model, optimizer, loss)
    # A rate that falls: with the same to the end, the last steps still move boxes about, differently by every rounding.
    falling = LearningRate(CosineAnnealingLR(optimizer, 150))
    history = trainer.fit(x, target, epochs=150, batch_size=3, callbacks=[falling], progress=False)
    assert history["loss"][-1] < 0.002 * history["loss"][0]
    for y, wanted in zip(trainer.predict(x, batch_size=4), model(x), strict=True):
        np.testing.assert_allclose(y, wanted, atol=1e-4)  # the algorithm of a convolution depends on N
    assert trainer.evaluate(x, target)["loss"] < 0.01 * history["loss"][0]
    for picture, objects in zip(pictures, target, strict=True):
        found = detect(model, picture, threshold=0.5)
        objects = objects[objects[:, 0] >= 0]
        assert sorted(one.index for one in found) == sorted(objects[:, 0])
        for kind, cx, cy, w, h in objects:
            wanted = (cx * SIZE[1], cy * SIZE[0], w * SIZE[1], h * SIZE[0])
            same = [one for one in found if one.index == kind]
            centred = [(b[0] + b[2] / 2, b[1] + b[3] / 2, b[2], b[3]) for b in (one.box for one in same)]
            assert max(overlap(one, wanted) for one in centred) > 0.8
