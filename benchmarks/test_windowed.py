"""pytest-benchmark over every row of shapes.WINDOWED and every implementation of it; a group a row.
Times of different groups or runs must not be compared: `fastconv bench` interleaves, this does not."""

import pytest
from shapes import WINDOWED

from fastconv.bench import IMPLEMENTATIONS, TABLE, Row, build, sample


def _name(row: Row) -> str:
    options = "-".join(f"{key}{value}" for key, value in row.options.items())
    weight = "x".join(map(str, row.weight or ()))
    return "_".join(filter(None, (row.op, "x".join(map(str, row.x)), weight, options, row.algorithm)))


# The naive loops take seconds a picture on the layers of networks: they are timed on the table's rows alone.
_PAIRS = [
    pytest.param(row, implementation, id=f"{_name(row)}-{implementation}")
    for row in WINDOWED
    for implementation in IMPLEMENTATIONS
    if implementation != "naive" or row in TABLE
]


@pytest.mark.parametrize(("row", "implementation"), _PAIRS)
def test_row(benchmark, row, implementation):
    # One sample of the batch, and one call, of what takes seconds.
    small = sample(row) if implementation == "naive" else row
    calls = build(small, among=(implementation,)).calls
    benchmark.group = _name(row)
    benchmark.extra_info["samples"] = small.x[0]
    if implementation == "naive":
        benchmark.pedantic(calls[implementation], rounds=1, iterations=1)
    else:
        benchmark(calls[implementation])
