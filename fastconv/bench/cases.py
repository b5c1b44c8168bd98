"""Makes operands for a row of shapes.py and finds who can do it: fastconv, reference, im2col, naive loops.
All four have functions of the same names and signatures, so that a row needs no code of its own."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import functional, reference
from . import im2col, naive
from .shapes import Row

# Fastest first. `naive` takes seconds where the others take milliseconds.
IMPLEMENTATIONS = {"fastconv": functional, "im2col": im2col, "reference": reference, "naive": naive}


@dataclass(frozen=True)
class Case:
    """`calls[implementation]()` runs a row once; `flops` are the operations of the direct method, 0 for
    pooling."""

    row: Row
    calls: dict[str, Callable[[], Any]]
    flops: int


def build(row: Row, dtype: Any = np.float32, *, seed: int = 0, among: tuple[str, ...] = tuple(IMPLEMENTATIONS)) -> Case:
    """The case of a row: normal data from `seed`, and a call for each of `among` that has the operation."""
    operands, output = _operands(row, np.dtype(dtype), np.random.default_rng(seed))
    calls = {}
    for name in among:
        function = getattr(IMPLEMENTATIONS[name], row.op, None)
        if function is not None:
            choice = {"algorithm": row.algorithm} if row.algorithm and name == "fastconv" else {}
            calls[name] = functools.partial(function, *operands, **_keywords(row), **choice)
    return Case(row, calls, _flops(row, output))


def sample(row: Row) -> Row:
    """The row with a batch of one: what the naive loops are timed on; their time grows as the batch does."""
    return row._replace(x=(1, *row.x[1:]))


def _forward(row: Row) -> str:
    return row.op.split("_backward")[0].split("_grad")[0]


def _operands(row: Row, dtype: np.dtype, generator: np.random.Generator) -> tuple[tuple, tuple[int, ...]]:
    """The positional arguments of row.op, and the shape of the forward's output."""

    def normal(shape: tuple[int, ...]) -> np.ndarray:
        return generator.standard_normal(shape, dtype)

    x = normal(row.x)
    if row.weight is not None:
        weight = normal(row.weight)
        output = im2col.conv2d(x[:1], weight, **row.options).shape
        output = (len(x), *output[1:])
        by_op = {
            "conv2d": lambda: (x, weight),
            "conv2d_backward": lambda: (normal(output), x, weight),
            "conv2d_grad_input": lambda: (normal(output), weight, x.shape),
            "conv2d_grad_weight": lambda: (normal(output), x, weight.shape),
        }
        return by_op[row.op](), output
    if row.op == "max_pool2d_backward":
        y, indices = functional.max_pool2d(x, **row.options, return_indices=True)
        return (normal(y.shape), indices, x.shape), y.shape
    output = getattr(functional, _forward(row))(x, **row.options).shape
    if row.op == "avg_pool2d_backward":
        return (normal(output), x.shape), output
    return (x,), output


def _keywords(row: Row) -> dict[str, int]:
    # The indices say all about the windows.
    return {} if row.op == "max_pool2d_backward" else row.options


def _flops(row: Row, output: tuple[int, ...]) -> int:
    if row.weight is None:
        return 0
    once = 2 * int(np.prod(output)) * int(np.prod(row.weight[1:]))
    return 2 * once if row.op == "conv2d_backward" else once
