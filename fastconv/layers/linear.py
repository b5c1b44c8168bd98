"""The fully connected layer, as PyTorch's Linear.
It must never compute anything itself: fastconv.functional does."""

import math

import numpy as np

from .. import functional as F
from . import _arguments as read
from .base import Back, Layer
from .initial import uniform
from .parameter import Parameter


class Linear(Layer):
    """x (N, in_features) -> (N, out_features): x times weight (out, in) transposed, plus bias.

    Both start as U(-b, b) with b = 1 / sqrt(in_features), drawn from `generator`.
    """

    arguments = ("in_features", "out_features", "bias")
    result = "new"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.in_features = read.size("Linear", "in_features", in_features)
        self.out_features = read.size("Linear", "out_features", out_features)
        self.weight = Parameter(uniform((self.out_features, self.in_features), self.in_features, generator))
        wanted = read.flag("Linear", "bias", bias)
        self.bias = Parameter(uniform((self.out_features,), self.in_features, generator)) if wanted else None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return F.linear(x, self.weight.data, None if self.bias is None else self.bias.data)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        weight, bias, version = self.weight, self.bias, self.weight.version

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            needs = (needs_input, weight.requires_grad, bias is not None and bias.requires_grad)
            if not any(needs):
                return None
            dx, dweight, dbias = F.linear_backward(dy, x, weight.require_version(version), needs=needs)
            weight.add_gradient(dweight)
            if bias is not None:
                bias.add_gradient(dbias)
            return dx

        return self(x), back

    def flops(self, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> int:
        return 2 * math.prod(output) * self.in_features

    def describe(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
