"""im2col in NumPy (sliding_window_view and matmul): what good code without kernels of its own does."""

import functools
from typing import Any

import numpy as np

from fastconv.bench import im2col

from ..cases import Case
from ..operands import operands
from . import Contestant

# The one layer on which it is compared.
_X, _WEIGHT = (64, 32, 32, 32), (32, 32, 3, 3)


class Library:
    """Its threads are those of NumPy's BLAS, which the environment sets."""

    def __init__(self, threads: int) -> None:
        pass

    def versions(self) -> dict[str, Any]:
        return {"numpy": np.__version__}

    def contestants(self, case: Case) -> dict[str, Contestant]:
        if (case.x, case.weight) != (_X, _WEIGHT):
            return {}
        given = operands(case)
        arguments = {
            "conv2d": (given.x, given.weight),
            "conv2d_grad_input": (given.dy, given.weight, case.x),
            "conv2d_grad_weight": (given.dy, given.x, case.weight),
        }[case.op]
        call = functools.partial(getattr(im2col, case.op), *arguments, **case.options)
        return {"im2col NumPy": Contestant(call, np.asarray)}
