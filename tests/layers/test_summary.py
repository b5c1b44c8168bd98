"""The summary of a model: rows in order, shapes of results, parameters counted once, FLOPs by hand."""

import numpy as np
import pytest

from fastconv import layers as L


def model():
    return L.Graph(
        [
            ("stem", L.Sequential(L.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), L.BatchNorm2d(8), L.ReLU()), "x"),
            ("group", L.Conv2d(8, 8, 3, padding=1, groups=4), "stem"),
            ("sum", L.Add(), ("group", "stem")),
            ("up", L.ConvTranspose2d(8, 2, 2, stride=2), "sum"),
            ("flat", L.Flatten(), "up"),
            ("fc", L.Linear(32, 5), "flat"),
        ]
    )


def test_rows_and_totals():
    summary = L.summarize(model(), (2, 3, 4, 4))
    assert [(row.name, row.kind, row.output, row.parameters, row.flops) for row in summary.rows] == [
        ("stem.0", "Conv2d", (2, 8, 2, 2), 216, 2 * 2 * 8 * 4 * 27),
        ("stem.1", "BatchNorm2d", (2, 8, 2, 2), 16, 0),
        ("stem.2", "ReLU", (2, 8, 2, 2), 0, 0),
        ("group", "Conv2d", (2, 8, 2, 2), 152, 2 * 2 * 8 * 4 * 18),
        ("sum", "Add", (2, 8, 2, 2), 0, 0),
        ("up", "ConvTranspose2d", (2, 2, 4, 4), 66, 2 * 2 * 8 * 4 * 8),
        ("flat", "Flatten", (2, 32), 0, 0),
        ("fc", "Linear", (2, 5), 165, 2 * 2 * 5 * 32),
    ]
    assert summary.parameters == summary.trainable == 216 + 16 + 152 + 66 + 165
    assert summary.flops == sum(row.flops for row in summary.rows)


def test_without_a_shape_there_are_parameters_alone():
    summary = L.summarize(model())
    assert summary.flops is None and {row.output for row in summary.rows} == {None}
    assert summary.parameters == 615


def test_a_layer_that_is_used_twice_counts_its_weights_once_and_its_work_twice():
    shared = L.Linear(4, 4)
    twice = L.summarize(L.Sequential(shared, L.Tanh(), shared).astype(np.float64), (3, 4))
    assert [(row.name, row.parameters, row.flops) for row in twice.rows] == [("0", 20, 192), ("1", 0, 0)]
    assert twice.parameters == 20 and twice.flops == 192


def test_frozen_parameters_are_told(capsys):
    net = model()
    net["stem"].requires_grad_(False)
    assert L.summarize(net).trainable == 615 - 232
    net.summary((2, 3, 4, 4))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "MFLOPs"]
    assert lines[2].split() == ["stem.0", "Conv2d", "2x8x2x2", "216"]  # less than 0.05 MFLOPs
    assert lines[-1] == "383 parameters are trained, 232 frozen"
    assert lines[-2].strip().startswith("615")


def test_a_model_that_is_one_layer():
    (row,) = L.summarize(L.Linear(3, 2), (4, 3)).rows
    assert (row.name, row.kind, row.output, row.parameters, row.flops) == ("", "Linear", (4, 2), 8, 48)


def test_a_shape_that_does_not_fit_is_the_layers_error():
    with pytest.raises(ValueError, match=r"layer stem\.0, Conv2d"):
        L.summarize(model(), (1, 4, 4, 4))
