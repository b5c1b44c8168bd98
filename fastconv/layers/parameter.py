"""Parameter: an array that training changes, its gradient and the count of its changes.
It must know nothing of layers."""

from collections.abc import Callable

import numpy as np


class Parameter:
    """Weights `data` that training changes, and their gradient `grad` (None: nothing was added yet).

    Where `requires_grad` is False gradients are neither computed nor added. `version` counts the changes of
    `data` in place, so that a gradient is never taken with weights other than those of the forward pass, nor what
    `pack` prepared of others used: whoever writes into `data` adds 1, as optimizers do. Where `receiver` is set it
    is called with what layers add, in place of adding it: for sums over several processes.
    """

    __slots__ = ("data", "grad", "receiver", "requires_grad", "version")

    def __init__(self, data: np.ndarray, requires_grad: bool = True) -> None:
        self.data = data
        self.grad: np.ndarray | None = None
        self.receiver: Callable[[np.ndarray], None] | None = None
        self.requires_grad = requires_grad
        self.version = 0

    def __repr__(self) -> str:
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype})"

    def add_gradient(self, gradient: np.ndarray | None) -> None:
        """Add `gradient`, a new array which then belongs to the parameter; None adds nothing."""
        if gradient is None or not self.requires_grad:
            return
        if self.receiver is not None:
            self.receiver(gradient)
        elif self.grad is None:
            self.grad = gradient
        else:
            self.grad += gradient

    def require_version(self, version: int) -> np.ndarray:
        """`data`, if it is still what it was at `version`; RuntimeError otherwise."""
        if version != self.version:
            raise RuntimeError(
                "back: the weights were changed after forward, so this gradient would be wrong; "
                "call back before the optimizer's step, or run forward again"
            )
        return self.data
