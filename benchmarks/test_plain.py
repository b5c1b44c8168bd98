"""pytest-benchmark over every row of shapes.PLAIN: fastconv and its NumPy reference; a group a row.
These operations have no naive or im2col version: their reference is what anybody would write in NumPy."""

import numpy as np
import pytest
from shapes import PLAIN, Plain

from fastconv import functional, reference


def _name(row: Plain) -> str:
    options = "-".join(f"{key}{value}" for key, value in row.options.items())
    return "_".join(filter(None, (row.op, *("x".join(map(str, shape)) for shape in row.arrays), options)))


@pytest.mark.parametrize("module", (functional, reference), ids=("fastconv", "reference"))
@pytest.mark.parametrize("row", PLAIN, ids=_name)
def test_row(benchmark, row, module):
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape, np.float32) for shape in row.arrays]
    benchmark.group = _name(row)
    benchmark(getattr(module, row.op), *arrays, **row.options)
