"""The confusion matrix and the scores of classes, against counts by hand."""

import math

import numpy as np
import pytest

from fastconv.metrics import class_scores, confusion_matrix

MATRIX = np.array([[2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 3, 0], [0, 0, 0, 0]])


def test_counts_of_classes_and_of_scores():
    labels, found = [0, 0, 0, 1, 2, 2, 2], [0, 0, 1, 2, 2, 2, 2]
    assert np.array_equal(confusion_matrix(labels, found, 4), MATRIX)
    assert np.array_equal(confusion_matrix(labels, np.eye(4)[found], 4), MATRIX)
    assert confusion_matrix(np.zeros(0, int), np.zeros(0, int), 2).sum() == 0


def test_scores_of_each_class():
    zero, one, two, three = class_scores(MATRIX)
    assert zero == (1, 2 / 3, 3) and one == (0, 0, 1) and two == (0.75, 1, 3)
    assert math.isnan(three.precision) and math.isnan(three.recall) and three.count == 0


@pytest.mark.parametrize(
    ("labels", "found", "error", "words"),
    [
        ([0, 1], [0], ValueError, "do not fit"),
        ([[0]], [[0]], ValueError, "do not fit"),
        ([0, 4], [0, 1], ValueError, "labels must be from 0 to 3"),
        ([0, 1], [-1, 1], ValueError, "predictions must be from 0 to 3"),
        ([0.0, 1.0], [0, 1], TypeError, "labels must be integers"),
    ],
)
def test_what_cannot_be(labels, found, error, words):
    with pytest.raises(error, match=words):
        confusion_matrix(labels, found, 4)
