"""JAX on the CPU, compiled, for float64: the one peer with fast convolutions of that type."""

from typing import Any

import jax
import numpy as np

from ..cases import Case
from ..operands import operands
from . import Contestant


class Library:
    """XLA takes its threads from the CPUs it may use, which the worker has set."""

    def __init__(self, threads: int) -> None:
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "cpu")

    def versions(self) -> dict[str, Any]:
        return {"jax": jax.__version__}

    def contestants(self, case: Case) -> dict[str, Contestant]:
        if case.dtype != "float64":
            return {}
        given = operands(case)
        padding, stride = case.options.get("padding", 0), case.options.get("stride", 1)

        def forward(x: Any, weight: Any) -> Any:
            return jax.lax.conv_general_dilated(
                x, weight, [stride] * 2, [(padding, padding)] * 2, feature_group_count=case.groups
            )

        x, weight, dy = (jax.device_put(array) for array in (given.x, given.weight, given.dy))
        shape = {"conv2d_grad_input": case.x, "conv2d_grad_weight": case.weight}.get(case.op)
        like = jax.ShapeDtypeStruct(shape, case.dtype) if shape else None
        function, *arguments = {
            "conv2d": (forward, x, weight),
            "conv2d_grad_input": (
                lambda dy, weight: jax.linear_transpose(lambda x: forward(x, weight), like)(dy)[0],
                dy,
                weight,
            ),
            "conv2d_grad_weight": (lambda dy, x: jax.linear_transpose(lambda w: forward(x, w), like)(dy)[0], dy, x),
        }[case.op]
        compiled = jax.jit(function)
        return {"JAX": Contestant(lambda: compiled(*arguments).block_until_ready(), np.asarray)}
