"""Stochastic gradient descent with momentum.
A step must never write into a gradient, nor make a temporary."""

import math
from collections.abc import Iterable

from ..functional import update
from ..layers.parameter import Parameter
from .base import Group, Optimizer, require_number


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, PyTorch's formulas.

    g = grad + weight_decay * p;  v = g at first, then momentum * v + (1 - dampening) * g;
    p -= lr * v, or with nesterov p -= lr * (g + momentum * v).
    """

    state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
            },
        )

    def check(self, group: Group) -> None:
        super().check(group)
        require_number("SGD", group, "momentum", 0)
        require_number("SGD", group, "dampening", -math.inf)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum above 0 and dampening 0")

    def array_names(self, group: Group) -> tuple[str, ...]:
        return self.state_names if group["momentum"] else ()

    def update(self, parameter: Parameter, group: Group) -> None:
        velocity, first = None, False
        if group["momentum"]:
            first = self.add_arrays(parameter)
            velocity = self.state[parameter]["momentum_buffer"]
        settings = {name: group[name] for name in self.defaults}
        update.sgd(parameter.data, parameter.grad, velocity, first=first, **settings)
