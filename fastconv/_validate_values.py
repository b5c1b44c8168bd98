"""Judges arguments that are values rather than sizes: numbers, probabilities, axes, class labels, random
generators. Raises TypeError and ValueError as fastconv._validate does; computes nothing."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from fastconv import _validate as check


def number(op: str, name: str, value: Any, minimum: float = -math.inf) -> float:
    """One real number, not NaN, at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        check.reject(op, f"{name} is {value!r}; expected a number", TypeError)
    value = float(value)
    if math.isnan(value) or value < minimum:
        expected = "a number" if minimum == -math.inf else f"a number of at least {minimum:g}"
        check.reject(op, f"{name} is {value}; expected {expected}")
    return value


def probability(op: str, name: str, value: Any, *, below_one: bool) -> float:
    value = number(op, name, value)
    if not 0 <= value <= 1 or (below_one and value == 1):
        check.reject(op, f"{name} is {value}; expected 0 <= {name} {'<' if below_one else '<='} 1")
    return value


def axis(op: str, value: Any, dimensions: int) -> int:
    if dimensions == 0:
        check.reject(op, "x has 0 dimensions; expected at least 1")
    number = check.size(op, "axis", value, -dimensions)
    if number >= dimensions:
        check.reject(op, f"axis is {number}; expected {-dimensions} to {dimensions - 1}")
    return number % dimensions


def labels(op: str, value: Any, count: int, classes: int) -> np.ndarray:
    """`count` class labels, integers from 0 to classes - 1."""
    try:
        value = np.asarray(value)
    except ValueError as error:
        check.reject(op, f"labels cannot be made an array: {error}")
    if value.dtype.kind not in "iu":
        check.reject(op, f"labels has dtype {value.dtype}; expected integers", TypeError)
    check.shaped(op, "labels", value, (count,))
    if count and not (value.min() >= 0 and value.max() < classes):
        i = int(np.flatnonzero((value < 0) | (value >= classes))[0])
        check.reject(op, f"labels[{i}] is {value[i]}; expected 0 to {classes - 1}")
    return value.astype(np.intp, copy=False)


def generator(op: str, value: Any) -> np.random.Generator:
    if not isinstance(value, np.random.Generator):
        given = type(value).__name__
        check.reject(op, f"generator is {given}; expected a numpy.random.Generator (default_rng())", TypeError)
    return value
