"""Activations of exponentials and the error function, as PyTorch's: SELU, CELU, Mish, GELU, Softsign, Erf.
They are plain NumPy, several passes over x each; what is fast is in activation.py."""

import math

import numpy as np

from . import _arguments as read
from .curves import Curve
from .error_function import erf


class SELU(Curve):
    """scale * x where x > 0, else scale * alpha * (exp(x) - 1) (Klambauer et al. 2017, whose numbers are the usual)."""

    arguments = ("alpha", "scale")

    def __init__(self, alpha: float = 1.6732632423543772, scale: float = 1.0507009873554805) -> None:
        self.alpha = read.number("SELU", "alpha", alpha)
        self.scale = read.number("SELU", "scale", scale)

    def value(self, x: np.ndarray) -> np.ndarray:
        kind = x.dtype.type
        return kind(self.scale) * np.where(x > 0, x, kind(self.alpha) * np.expm1(np.minimum(x, 0)))

    def slope(self, x: np.ndarray) -> np.ndarray:
        kind = x.dtype.type
        return kind(self.scale) * np.where(x > 0, kind(1), kind(self.alpha) * np.exp(np.minimum(x, 0)))

    def describe(self) -> str:
        return f"alpha={self.alpha:g}, scale={self.scale:g}"


class CELU(Curve):
    """x where x > 0, else alpha * (exp(x / alpha) - 1) (Barron 2017); alpha is above 0."""

    arguments = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = read.number("CELU", "alpha", alpha)
        if self.alpha <= 0:
            raise ValueError(f"CELU: alpha must be above 0, got {alpha!r}")

    def value(self, x: np.ndarray) -> np.ndarray:
        alpha = x.dtype.type(self.alpha)
        return np.maximum(x, 0) + np.minimum(alpha * np.expm1(x / alpha), 0)

    def slope(self, x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x.dtype.type(1), np.exp(np.minimum(x, 0) / x.dtype.type(self.alpha)))

    def describe(self) -> str:
        return f"alpha={self.alpha:g}"


class Mish(Curve):
    """x * tanh(log(1 + exp(x))) (Misra 2019)."""

    def value(self, x: np.ndarray) -> np.ndarray:
        return x * np.tanh(np.logaddexp(x, x.dtype.type(0)))

    def slope(self, x: np.ndarray) -> np.ndarray:
        gate = np.tanh(np.logaddexp(x, x.dtype.type(0)))
        return gate + x * (1 - gate * gate) / (1 + np.exp(-x))


class GELU(Curve):
    """x * (1 + erf(x / sqrt(2))) / 2 (Hendrycks and Gimpel 2016); `approximate` "tanh" is their formula with tanh."""

    arguments = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = read.choice("GELU", "approximate", approximate, ("none", "tanh"))

    def _gate(self, x: np.ndarray) -> np.ndarray:
        """From -1 to 1."""
        kind = x.dtype.type
        if self.approximate == "none":
            return erf(x * kind(math.sqrt(0.5)))
        return np.tanh(kind(math.sqrt(2 / math.pi)) * (x + kind(0.044715) * x * x * x))

    def value(self, x: np.ndarray) -> np.ndarray:
        return x.dtype.type(0.5) * x * (1 + self._gate(x))

    def slope(self, x: np.ndarray) -> np.ndarray:
        kind, gate = x.dtype.type, self._gate(x)
        steep = kind(math.sqrt(2 / math.pi))
        if self.approximate == "none":
            return kind(0.5) * (1 + gate + steep * x * np.exp(kind(-0.5) * x * x))
        return kind(0.5) * (1 + gate + steep * x * (1 - gate * gate) * (1 + kind(3 * 0.044715) * x * x))

    def describe(self) -> str:
        return f"approximate={self.approximate!r}"


class Softsign(Curve):
    """x / (1 + abs(x))."""

    def value(self, x: np.ndarray) -> np.ndarray:
        return x / (1 + np.abs(x))

    def slope(self, x: np.ndarray) -> np.ndarray:
        return (1 + np.abs(x)) ** -2


class Erf(Curve):
    """The error function, which exporters spell GELU out with."""

    def value(self, x: np.ndarray) -> np.ndarray:
        return erf(x)

    def slope(self, x: np.ndarray) -> np.ndarray:
        return x.dtype.type(2 / math.sqrt(math.pi)) * np.exp(-x * x)
