"""Overlap, suppression and decoding, against plain loops in float64."""

import math

import numpy as np
import pytest
from detection_cases import ANCHORS, CLASSES, SIZE, two_heads

from fastconv import layers as L
from fastconv.data import Preprocess
from fastconv.detection import decode, detect, heads_of, iou, non_maximum_suppression


def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0


def random_boxes(count, seed):
    g = np.random.default_rng(seed)
    corners = g.uniform(0, 100, (count, 2))
    return np.concatenate([corners, corners + g.uniform(0, 60, (count, 2))], axis=1)


def test_iou():
    a, b = random_boxes(20, 0), random_boxes(30, 1)
    b[3], b[4, 2:] = a[5], b[4, :2]  # one equal, one empty
    expected = [[overlap(p, q) for q in b] for p in a]
    np.testing.assert_allclose(iou(a, b), expected, atol=1e-12)
    assert iou(a, b)[5, 3] == 1 and (iou(b[4:5], b[4:5]) == 0).all() and iou(a, b[:0]).shape == (20, 0)


@pytest.mark.parametrize("threshold", [0, 0.3, 0.45, 1])
def test_suppression_is_the_greedy_loop(threshold):
    for seed in range(20):
        boxes = random_boxes(40, seed)
        scores = np.round(np.random.default_rng(seed).random(40), 1)  # many are equal: the first one wins
        kept = []
        for i in sorted(range(40), key=lambda i: (-scores[i], i)):
            if all(overlap(boxes[i], boxes[j]) <= threshold for j in kept):
                kept.append(i)
        assert non_maximum_suppression(boxes, scores, threshold).tolist() == kept
    assert non_maximum_suppression(boxes[:0], scores[:0], 0.5).tolist() == []


def test_decode_obeys_masks_and_anchors():
    model = two_heads()
    outputs = model(np.random.default_rng(0).normal(size=(2, 3, *SIZE)) * 3)
    boxes, scores = decode(heads_of(model), outputs, SIZE)
    assert boxes.shape == (2, 2 * 4 * 6 + 2 * 8 * 12, 4) and scores.shape == (2, len(boxes[0]), CLASSES)
    sigmoid = lambda v: 1 / (1 + math.exp(-v))  # noqa: E731
    place = 0
    for y, mask in zip(outputs, ((3, 2), (0, 1)), strict=True):
        _, _, P, Q = y.shape
        for a, j, i in np.ndindex(2, P, Q):
            tx, ty, tw, th, to, *tc = y[1, a * 8 : a * 8 + 8, j, i]
            x, height = (i + sigmoid(tx)) / Q * SIZE[1], math.exp(th) * ANCHORS[mask[a]][1]
            yy, width = (j + sigmoid(ty)) / P * SIZE[0], math.exp(tw) * ANCHORS[mask[a]][0]
            expected = (x - width / 2, yy - height / 2, x + width / 2, yy + height / 2)
            np.testing.assert_allclose(boxes[1, place], expected, rtol=1e-9)
            np.testing.assert_allclose(scores[1, place], [sigmoid(to) * sigmoid(c) for c in tc], rtol=1e-9)
            place += 1


def one_head(y):
    """A Graph that gives `y` whatever it is given."""
    head = L.YoloHead(((10, 10),), 2)
    constant = L.Constant(y.shape)
    constant.value.data = y
    model = L.Graph([("y", constant, ()), ("yolo", head, "y")])
    model.preprocess = Preprocess((40, 40), "letterbox")
    return model


def test_detect_in_pixels_of_the_picture():
    y = np.full((1, 7, 4, 4), -20, np.float32)
    y[0, :4, 1, 2] = 0
    y[0, 4:, 1, 2] = 20, -20, 3
    model = one_head(y)
    picture = np.zeros((100, 200, 3), np.uint8)  # 40x20 in the letterbox, from row 10 on: 5 pixels a pixel
    (found,) = detect(model, picture, labels=("a", "b"))
    assert found.label == "b" and found.index == 1 and abs(found.score - 1 / (1 + math.exp(-3))) < 1e-6
    np.testing.assert_allclose(found.box, (100, 0, 50, 50), atol=1e-4)
    (found,) = detect(model, picture, fit="stretch")
    np.testing.assert_allclose(found.box, (100, 25, 50, 25), atol=1e-4)
    assert found.label == "class 1" and detect(model, picture, threshold=0.96) == []


def test_detect_passes_over_what_is_not_finite():
    y = np.zeros((1, 7, 2, 2), np.float32)
    y[:, 4:] = 9
    y[0, 2, 0, 0], y[0, 0, 0, 1], y[0, 5, 1, 0], y[0, 4, 1, 1] = np.inf, np.nan, np.nan, -np.inf
    assert detect(one_head(y), np.zeros((40, 40, 3), np.uint8)) == []


def test_detect_needs_heads_and_preprocessing():
    picture = np.zeros((4, 4, 3), np.uint8)
    for model in (L.ReLU(), L.Graph([("a", L.ReLU(), "x")]), L.Graph([("a", L.ReLU(), "x")], outputs=("a", "x"))):
        with pytest.raises(ValueError, match="YoloHead"):
            detect(model, picture)
    model = one_head(np.zeros((1, 7, 2, 2), np.float32))
    model.preprocess = None
    with pytest.raises(ValueError, match="preprocess is None"):
        detect(model, picture)


def test_bad_heads():
    for arguments in (
        {"anchors": (), "num_classes": 1},
        {"anchors": ((1,),), "num_classes": 1},
        {"anchors": ((1, 0),), "num_classes": 1},
        {"anchors": ((1, 1),), "num_classes": 0},
        {"anchors": ((1, 1),), "num_classes": 1, "mask": (1,)},
        {"anchors": ((1, 1), (2, 2)), "num_classes": 1, "mask": (1, 1)},
        {"anchors": ((1, 1),), "num_classes": 1, "ignore_thresh": 2},
    ):
        with pytest.raises(ValueError, match="YoloHead"):
            L.YoloHead(**arguments)
    with pytest.raises(ValueError, match="must have 4 dimensions and 6 channels"):
        L.YoloHead(((1, 1),), 1)(np.zeros((1, 7, 2, 2)))
