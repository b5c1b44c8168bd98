"""Adam and AdamW.
A step must never write into a gradient, nor make a temporary."""

import math
from collections.abc import Iterable
from typing import ClassVar

from ..functional import update
from ..layers.parameter import Parameter
from .base import Group, Optimizer, require_number


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), PyTorch's formulas; weight_decay is added to the gradient.

    m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g * g;
    p -= lr / (1 - beta1**t) * m / (sqrt(v) / sqrt(1 - beta2**t) + eps). With amsgrad v there is the largest
    so far.
    """

    decoupled: ClassVar[bool] = False
    state_names = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad},
        )

    def check(self, group: Group) -> None:
        super().check(group)
        require_number(type(self).__name__, group, "eps", 0)
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(0 <= b < 1 for b in betas):
            raise ValueError(f"{type(self).__name__}: betas must be two numbers, 0 <= beta < 1, got {betas!r}")

    def array_names(self, group: Group) -> tuple[str, ...]:
        return self.state_names[1 : 4 if group["amsgrad"] else 3]

    def update(self, parameter: Parameter, group: Group) -> None:
        state = self.state.setdefault(parameter, {"step": 0})
        self.add_arrays(parameter)
        state["step"] += 1
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        update.adam(
            parameter.data,
            parameter.grad,
            state["exp_avg"],
            state["exp_avg_sq"],
            state["max_exp_avg_sq"] if group["amsgrad"] else None,
            step_size=lr / (1 - beta1 ** state["step"]),
            betas=(beta1, beta2),
            root=math.sqrt(1 - beta2 ** state["step"]),
            eps=group["eps"],
            keep=1 - lr * decay if self.decoupled else 1.0,
            weight_decay=0.0 if self.decoupled else decay,
        )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p *= 1 - lr * weight_decay first (Loshchilov 2019)."""

    decoupled = True

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)
