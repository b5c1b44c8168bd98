"""Activations and softmax, as PyTorch's. Each can work in place where the layer before gave a new array.
`inplace` is taken for PyTorch's sake: Sequential decides by itself where it is safe."""

from typing import Any

import numpy as np

from .. import functional as F
from . import _arguments as read
from .base import Back, Layer


class _Activation(Layer):
    """y of the shape of x, element by element.

    Gradients are taken from the output, so that forward may overwrite its input; SiLU alone cannot.
    """

    forward_in_place = True
    call_in_place = True

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        raise NotImplementedError

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """dx from dy and the output."""
        raise NotImplementedError

    def forward(self, x: np.ndarray, *, out: np.ndarray | None = None) -> tuple[np.ndarray, Back]:
        y = self(x, out=out)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return self.gradient(dy, y) if needs_input else None

        return y, back


class _Rectifier(_Activation):
    """One whose gradient can be taken in place too."""

    back_in_place = True

    def gradient(self, dy: np.ndarray, y: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        raise NotImplementedError

    def forward(self, x: np.ndarray, *, out: np.ndarray | None = None) -> tuple[np.ndarray, Back]:
        y = self(x, out=out)
        signs = y if self.forward_in_place else x

        def back(dy: np.ndarray, needs_input: bool = True, *, out: np.ndarray | None = None) -> np.ndarray | None:
            return self.gradient(dy, signs, out=out) if needs_input else None

        return y, back


class ReLU(_Rectifier):
    """max(x, 0); a NaN passes."""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = read.flag("ReLU", "inplace", inplace)

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.relu(x, out=out)

    def gradient(self, dy: np.ndarray, y: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.relu_backward(dy, y, out=out)


class ReLU6(_Rectifier):
    """min(max(x, 0), 6)."""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = read.flag("ReLU6", "inplace", inplace)

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.relu6(x, out=out)

    def gradient(self, dy: np.ndarray, y: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.relu6_backward(dy, y, out=out)  # y is strictly inside (0, 6) exactly where x is


class LeakyReLU(_Rectifier):
    """x where x > 0, else negative_slope * x."""

    arguments = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = read.number("LeakyReLU", "negative_slope", negative_slope)
        self.inplace = read.flag("LeakyReLU", "inplace", inplace)
        # The output tells the sign of the input only for a slope that keeps it.
        self.forward_in_place = self.negative_slope >= 0

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.leaky_relu(x, self.negative_slope, out=out)

    def gradient(self, dy: np.ndarray, y: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.leaky_relu_backward(dy, y, self.negative_slope, out=out)

    def describe(self) -> str:
        return f"negative_slope={self.negative_slope:g}"


class Sigmoid(_Activation):
    """1 / (1 + exp(-x))."""

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.sigmoid(x, out=out)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        return F.sigmoid_backward(dy, y)


class Tanh(_Activation):
    """The hyperbolic tangent."""

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.tanh(x, out=out)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        return F.tanh_backward(dy, y)


class SiLU(_Activation):
    """x * sigmoid(x), also called swish."""

    forward_in_place = False
    result = "new"

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = read.flag("SiLU", "inplace", inplace)

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.silu(x, out=out)

    def forward(self, x: np.ndarray, *, out: np.ndarray | None = None) -> tuple[np.ndarray, Back]:
        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return F.silu_backward(dy, x) if needs_input else None

        return self(x), back


class Softmax(_Activation):
    """exp(x) / sum of exp(x) along the axis `dim`."""

    arguments = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = read.size(type(self).__name__, "dim", dim, -32)

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.softmax(x, self.dim, out=out)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        return F.softmax_backward(dy, y, self.dim)

    def describe(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """x - log of the sum of exp(x) along the axis `dim`."""

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        return F.log_softmax(x, self.dim, out=out)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        return F.log_softmax_backward(dy, y, self.dim)


class Identity(Layer):
    """y = x, the same array. Takes and ignores any arguments, as PyTorch's does."""

    result = "input"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        return x, lambda dy, needs_input=True: dy if needs_input else None
