"""The arrays of a case, the same in every worker: normal data from one seed.
It must import nothing but NumPy."""

from dataclasses import dataclass

import numpy as np

from .cases import Case


@dataclass(frozen=True)
class Operands:
    """x (N, C, H, W), the weight or None, and dy of the output's shape; for batch norm one value a channel each."""

    x: np.ndarray
    weight: np.ndarray | None
    dy: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    labels: np.ndarray


def operands(case: Case) -> Operands:
    """What every library computes this case from. An array that the operation does not read is empty."""
    generator = np.random.default_rng(0)

    def normal(wanted: bool, shape: tuple[int, ...]) -> np.ndarray:
        return generator.standard_normal(shape if wanted else (0,), case.dtype)

    gradient = "_grad_" in case.op or case.op.endswith("_backward")
    of_weights = case.op in ("conv2d_grad_input", "avg_pool2d_backward", "global_avg_pool2d_backward")
    C = case.x[1]
    return Operands(
        x=normal(not of_weights, case.x),
        weight=None if case.weight is None else normal(True, case.weight),
        dy=normal(gradient, case.y),
        scale=np.linspace(0.5, 1.5, C, dtype=case.dtype),
        shift=np.linspace(-1.0, 1.0, C, dtype=case.dtype),
        labels=generator.integers(0, 10, case.x[0]),
    )
