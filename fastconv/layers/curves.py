"""Activations that networks bring along from elsewhere, as PyTorch's: piecewise linear, exponential, with a slope to
learn; more are in smooth_curves.py. They are plain NumPy, several passes over x each; what is fast is in
activation.py."""

import numpy as np

from . import _arguments as read
from .base import Back, Layer
from .initial import filled
from .parameter import Parameter


class Curve(Layer):
    """y of the shape of x, element by element; the gradient needs x."""

    result = "new"

    def value(self, x: np.ndarray) -> np.ndarray:
        """y."""
        raise NotImplementedError

    def slope(self, x: np.ndarray) -> np.ndarray:
        """dy / dx."""
        raise NotImplementedError

    def __call__(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.value(np.asarray(x))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            with np.errstate(all="ignore"):
                return dy * self.slope(x) if needs_input else None

        return self(x), back


class Hardtanh(Curve):
    """min(max(x, min_val), max_val); None is no bound."""

    arguments = ("min_val", "max_val")

    def __init__(self, min_val: float | None = -1.0, max_val: float | None = 1.0) -> None:
        self.min_val = None if min_val is None else read.number("Hardtanh", "min_val", min_val)
        self.max_val = None if max_val is None else read.number("Hardtanh", "max_val", max_val)
        if self._low > self._high:
            raise ValueError(f"Hardtanh: min_val {min_val!r} is above max_val {max_val!r}")

    @property
    def _low(self) -> float:
        return -np.inf if self.min_val is None else self.min_val

    @property
    def _high(self) -> float:
        return np.inf if self.max_val is None else self.max_val

    def value(self, x: np.ndarray) -> np.ndarray:
        return np.clip(x, x.dtype.type(self._low), x.dtype.type(self._high))

    def slope(self, x: np.ndarray) -> np.ndarray:
        return ((x > self._low) & (x < self._high)).astype(x.dtype)

    def describe(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class Threshold(Curve):
    """x where x > threshold, else 0: ReLU that begins later."""

    arguments = ("threshold",)

    def __init__(self, threshold: float) -> None:
        self.threshold = read.number("Threshold", "threshold", threshold)

    def value(self, x: np.ndarray) -> np.ndarray:
        return np.where(x <= self.threshold, x.dtype.type(0), x)

    def slope(self, x: np.ndarray) -> np.ndarray:
        return (x > self.threshold).astype(x.dtype)

    def describe(self) -> str:
        return f"threshold={self.threshold:g}"


class Hardsigmoid(Curve):
    """min(max(x / 6 + 1 / 2, 0), 1) (Courbariaux et al. 2015; the slope of MobileNetV3)."""

    def value(self, x: np.ndarray) -> np.ndarray:
        return np.clip(x / 6 + x.dtype.type(0.5), 0, 1)

    def slope(self, x: np.ndarray) -> np.ndarray:
        return np.where(np.abs(x) < 3, x.dtype.type(1 / 6), x.dtype.type(0))


class Hardswish(Curve):
    """x * hardsigmoid(x) (Howard et al. 2019)."""

    def value(self, x: np.ndarray) -> np.ndarray:
        return x * np.clip(x / 6 + x.dtype.type(0.5), 0, 1)

    def slope(self, x: np.ndarray) -> np.ndarray:
        inside = x / 3 + x.dtype.type(0.5)
        return np.where(x < -3, x.dtype.type(0), np.where(x > 3, x.dtype.type(1), inside))


class ELU(Curve):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016)."""

    arguments = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = read.number("ELU", "alpha", alpha)

    def value(self, x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, x.dtype.type(self.alpha) * np.expm1(np.minimum(x, 0)))

    def slope(self, x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(self.alpha) * np.exp(np.minimum(x, 0)))

    def describe(self) -> str:
        return f"alpha={self.alpha:g}"


class Softplus(Curve):
    """log(1 + exp(x))."""

    def value(self, x: np.ndarray) -> np.ndarray:
        return np.logaddexp(x, x.dtype.type(0))

    def slope(self, x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))


class PReLU(Layer):
    """x where x > 0, else weight * x, one weight a channel, or one for all (He et al. 2015)."""

    arguments = ("num_parameters", "init")
    result = "new"

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.num_parameters = read.size("PReLU", "num_parameters", num_parameters)
        self.init = read.number("PReLU", "init", init)
        self.weight = Parameter(filled((self.num_parameters,), self.init))

    def _weight(self, x: np.ndarray) -> np.ndarray:
        data = self.weight.data
        if self.num_parameters == 1:
            return data
        if x.ndim < 2 or x.shape[1] != self.num_parameters:
            raise ValueError(f"PReLU: x must have {self.num_parameters} channels on axis 1, got {x.shape}")
        return data.reshape(-1, *(1,) * (x.ndim - 2))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            return np.where(x > 0, x, self._weight(x) * x)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        version = self.weight.version

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            self.weight.require_version(version)
            with np.errstate(all="ignore"):
                if self.weight.requires_grad:
                    parts = np.where(x > 0, 0, dy * x).astype(dy.dtype, copy=False)
                    axes = None if self.num_parameters == 1 else (0, *range(2, x.ndim))
                    self.weight.add_gradient(parts.sum(axis=axes).reshape(self.num_parameters))
                return np.where(x > 0, dy, self._weight(x) * dy) if needs_input else None

        return self(x), back

    def describe(self) -> str:
        return f"num_parameters={self.num_parameters}"
