"""Times are taken in turn, rows say what was measured, and the table is aligned."""

import json
import math

import numpy as np
import pytest

from fastconv import bench, functional
from fastconv.bench import measure


def test_rounds_take_turns():
    order = []
    times = bench.rounds({name: lambda name=name: order.append(name) for name in "ab"}, seconds=0, min_rounds=3)
    assert "ba" in "".join(order)
    assert list(times) == ["a", "b"] and all(len(values) >= 3 for values in times.values())


@pytest.mark.parametrize(
    ("result", "expected", "off"),
    [
        (np.ones(2), np.full(2, 2.0), 0.5),
        (np.array([[1.4, -3.6]]), np.array([[1.0, -4.0]]), 0.1),
        (np.array([[1.0, 2.0], [3.0, 4.5]]), np.array([[1.0, 2.0], [3.0, 5.0]]), 0.1),
        (np.float32(0.75), np.float32(1), 0.25),
        ((np.ones(2), np.zeros(3)), (np.ones(2), np.ones(3)), 1),
        ((np.ones(2), np.ones(2)), (np.ones(2),), math.inf),
        (np.ones(2), np.ones(3), math.inf),
        (np.ones(2, np.float32), np.ones(2), 0),
        (np.array([1, np.nan]), np.ones(2), math.inf),
        (np.array([[1.0], [np.nan]]), np.ones((2, 1)), math.inf),
        (np.ones(2), np.array([np.nan, 1]), math.inf),
    ],
)
def test_deviation(result, expected, off):
    """A NaN in an engine's result once counted as none."""
    assert measure.deviation(result, expected) == pytest.approx(off)


def test_every_row_of_the_table_names_operations_that_all_sides_have():
    for row in bench.TABLE:
        assert row.op in functional.__all__
        for name, module in bench.IMPLEMENTATIONS.items():
            assert hasattr(module, row.op), f"{name} has no {row.op}"


@pytest.mark.parametrize("row", sorted({row.op: row for row in bench.TABLE}.values()), ids=lambda row: row.op)
def test_calls_of_a_row_agree(row):
    """On a small picture every implementation of a row gives fastconv's answer."""
    channels = row.weight[1] if row.weight else row.x[1]
    small = row._replace(x=(2, channels, 8, 8), weight=row.weight and (3, *row.weight[1:]))
    calls = bench.build(small, np.float64).calls
    assert list(calls) == list(bench.IMPLEMENTATIONS)
    expected = calls["fastconv"]()
    for name, call in calls.items():
        got = call()
        pairs = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)


def test_a_measured_row():
    row = bench.Row("conv2d", (2, 4, 8, 8), (6, 4, 3, 3), {"padding": 1})
    result = bench.measure_row(row, seconds=0.01)
    assert set(result.seconds) == set(bench.IMPLEMENTATIONS)
    assert all(seconds > 0 for seconds in result.seconds.values())
    assert result.gflops == pytest.approx(2 * 2 * 6 * 64 * 36 / result.seconds["fastconv"] / 1e9)
    assert result.peak_gflops > 0
    json.dumps(result.as_dict())
    table = bench.Table([row])
    title, rule = table.header().splitlines()
    assert len(title) == len(rule) == len(table.line(result))
    assert "2x4x8x8 -> 6, 3x3" in table.line(result)
    assert "one sample" in table.footnote() and "GFLOP/s" in table.footnote()


def test_a_pooling_row_has_no_peak():
    row = bench.Row("max_pool2d", (1, 2, 8, 8), None, {"kernel_size": 2})
    result = bench.measure_row(row, seconds=0.01)
    assert result.gflops == result.peak_gflops == 0
    assert bench.Table([row]).line(result).endswith("-")
