"""The rows of `fastconv bench` and of the demo, as data: one line a row.
It must hold no code: operands are made in cases.py, times taken in measure.py."""

from typing import NamedTuple


class Row(NamedTuple):
    """One operation on one shape. `op` names the function in fastconv.functional; weight is (K, C/groups,
    R, S)."""

    op: str
    x: tuple[int, ...]
    weight: tuple[int, ...] | None = None
    options: dict[str, int] = {}  # noqa: RUF012 - a row is never changed
    algorithm: str = ""  # of fastconv's side; "" where the operation has no choice, or the default is meant


SAME = {"padding": 1}
HALVE = {"kernel_size": 2}
OVERLAP = {"kernel_size": 3, "stride": 2, "padding": 1}

# What the demo shows: small enough for a few seconds, large enough to be what a training step does.
DEMO = (
    Row("conv2d", (64, 32, 32, 32), (32, 32, 3, 3), SAME),
    Row("conv2d_backward", (64, 32, 32, 32), (32, 32, 3, 3), SAME),
    Row("max_pool2d", (64, 32, 32, 32), None, HALVE),
    Row("max_pool2d_backward", (64, 32, 32, 32), None, HALVE),
    Row("avg_pool2d", (64, 32, 32, 32), None, HALVE),
    Row("avg_pool2d_backward", (64, 32, 32, 32), None, HALVE),
)

TABLE = (
    *DEMO,
    Row("conv2d_grad_input", (64, 32, 32, 32), (32, 32, 3, 3), SAME),
    Row("conv2d_grad_weight", (64, 32, 32, 32), (32, 32, 3, 3), SAME),
    Row("max_pool2d", (16, 64, 56, 56), None, OVERLAP),
    Row("max_pool2d_backward", (16, 64, 56, 56), None, OVERLAP),
    Row("avg_pool2d", (16, 64, 56, 56), None, OVERLAP),
    Row("avg_pool2d_backward", (16, 64, 56, 56), None, OVERLAP),
    Row("conv2d", (16, 128, 28, 28), (128, 128, 3, 3), SAME, "direct"),
    Row("conv2d", (16, 128, 28, 28), (128, 128, 3, 3), SAME),
    Row("conv2d_backward", (16, 128, 28, 28), (128, 128, 3, 3), SAME),
    Row("conv2d", (1, 256, 56, 56), (512, 256, 1, 1), {"stride": 2}),
    Row("conv2d", (8, 3, 112, 112), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    Row("conv2d_backward", (8, 3, 112, 112), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
)
