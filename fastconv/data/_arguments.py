"""Checks of the arguments of the data functions: the only texts for bad arguments in this package.
Contents of files are not checked here: those are FormatErrors, raised where they are read."""

import operator
from typing import Any

import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def integer(op: str, name: str, value: Any, minimum: int) -> int:
    """`value` as an int of at least `minimum`."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be an integer, got {value!r} (a bool)")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{op}: {name} must be an integer, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{op}: {name} must be at least {minimum}, got {number}")
    return number


def pair(op: str, name: str, value: Any, minimum: int) -> tuple[int, int]:
    """An int (both axes) or (vertical, horizontal) as two ints of at least `minimum`."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{op}: {name} must be an integer or (vertical, horizontal), got {value!r}")
        return integer(op, name, value[0], minimum), integer(op, name, value[1], minimum)
    number = integer(op, name, value, minimum)
    return number, number


def fraction(op: str, name: str, value: Any, *, open_ends: bool) -> float:
    """A number from 0 to 1, the ends excluded where `open_ends`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{op}: {name} must be a number, got {value!r}")
    number = float(value)
    if not (0.0 < number < 1.0 if open_ends else 0.0 <= number <= 1.0):
        wanted = "between 0 and 1, both excluded" if open_ends else "from 0 to 1"
        raise ValueError(f"{op}: {name} must be {wanted}, got {value!r}")
    return number


def generator(op: str, value: Any) -> np.random.Generator:
    """`value`, which must be a numpy Generator."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"{op}: generator must be a numpy.random.Generator, such as numpy.random.default_rng(0), got {value!r}"
        )
    return value


def array(op: str, name: str, value: Any) -> np.ndarray:
    """`value` as a plain ndarray; a masked array is refused because its mask would be lost."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{op}: {name} is a masked array, whose mask would be lost; pass {name}.filled(...)")
    return np.asarray(value)


def pictures(op: str, value: Any) -> np.ndarray:
    """`value` as a float32 or float64 array (N, C, H, W)."""
    x = array(op, "x", value)
    if x.dtype.newbyteorder("=") not in FLOATS:
        raise TypeError(f"{op}: x must be float32 or float64, got {x.dtype}; use x.astype(numpy.float32)")
    if x.ndim != 4:
        raise ValueError(f"{op}: x must have 4 dimensions (N, C, H, W), got {x.ndim} (shape {x.shape})")
    return x


def indices(op: str, value: Any, n: int) -> np.ndarray:
    """`value` as a 1-d array of integers, each from 0 to n-1."""
    chosen = array(op, "indices", value)
    if chosen.ndim != 1:
        raise ValueError(f"{op}: indices must have 1 dimension, got {chosen.ndim} (shape {chosen.shape})")
    if chosen.size == 0:
        return np.empty(0, np.int64)
    if chosen.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices must be integers, got {chosen.dtype}")
    wrong = (chosen < 0) | (chosen >= n)
    if wrong.any():
        raise ValueError(f"{op}: indices must be from 0 to {n - 1}, got {chosen[wrong][0]}")
    return chosen.astype(np.int64)
