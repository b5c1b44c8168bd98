"""The arithmetic of the optimizers, in place on a parameter and its state: one pass of a kernel over memory. For
fastconv.optim, which holds the settings and the state; never writes into a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv import _validate as check


def _judged(op: str, parameter: Any, gradient: Any, **state: Any) -> np.ndarray:
    """The gradient as the kernels take it; TypeError or ValueError unless all fit one another and what is written to
    can be."""
    for name, array in {"parameter": parameter, **state}.items():
        if check.array(op, name, array) is not array or not array.flags.writeable:
            check.reject(op, f"{name} is to be a writeable C-contiguous array in native byte order, changed in place")
    gradient = check.array(op, "gradient", gradient)
    for name, array in {"gradient": gradient, **state}.items():
        check.same_dtype(op, "parameter", parameter, name, array)
        check.shaped(op, name, array, parameter.shape)
    return gradient


def sgd(
    parameter: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray | None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    first: bool = False,
) -> None:
    """g = gradient + weight_decay * p; v = g if `first`, else momentum * v + (1 - dampening) * g; p -= lr * v, or
    with nesterov p -= lr * (g + momentum * v). Without momentum (velocity None) p -= lr * g. All arrays are of
    one shape and dtype; what is written to is C-contiguous."""
    gradient = _judged("sgd", parameter, gradient, **({} if velocity is None else {"velocity": velocity}))
    settings = (lr, momentum, dampening, weight_decay, nesterov, first)
    _kernels.sgd(parameter.size, settings, gradient, parameter, velocity)


def adam(
    parameter: np.ndarray,
    gradient: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    largest: np.ndarray | None,
    *,
    step_size: float,
    betas: tuple[float, float],
    root: float,
    eps: float,
    keep: float = 1.0,
    weight_decay: float = 0.0,
) -> None:
    """p *= keep; g = gradient + weight_decay * p; mean += (1 - beta1) * (g - mean); square = beta2 * square +
    (1 - beta2) * g * g; p -= step_size * mean / (sqrt(square) / root + eps), where `largest`, if given, keeps the
    largest square so far and stands for it. Arrays as for sgd."""
    state = {"mean": mean, "square": square} | ({} if largest is None else {"largest": largest})
    gradient = _judged("adam", parameter, gradient, **state)
    settings = (step_size, *betas, root, eps, keep, weight_decay)
    _kernels.adam(parameter.size, settings, gradient, parameter, mean, square, largest)
