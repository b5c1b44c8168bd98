"""Reads the constructor arguments of layers: sizes, padding, numbers; the only texts for bad ones.
It must never look at the arrays that a layer is called with: those are checked by fastconv.functional."""

import math
import operator
from collections.abc import Iterable
from typing import Any

Padding = str | tuple[int, ...] | tuple[tuple[int, int], ...]


def size(layer: str, name: str, value: Any, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`; a bool or a float is a TypeError."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{layer}: {name} must be an integer, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{layer}: {name} must be at least {minimum}, got {number}")
    return number


def sizes(layer: str, name: str, value: Any, axes: int, minimum: int = 1) -> tuple[int, ...]:
    """One int for all axes, or one per axis, as a tuple."""
    if not isinstance(value, (tuple, list)):
        return (size(layer, name, value, minimum),) * axes
    if len(value) != axes:
        raise ValueError(f"{layer}: {name} must be one integer or {axes}, got {value!r}")
    return tuple(size(layer, name, item, minimum) for item in value)


def padding(layer: str, value: Any, axes: int, *, words: bool = True) -> Padding:
    """An int, one per axis, ((before, after), ...), or where `words` are allowed "same" or "valid"."""
    if isinstance(value, str):
        if words and value in ("same", "valid"):
            return value
        wanted = 'integers, "same" or "valid"' if words else "integers"
        raise ValueError(f"{layer}: padding must be {wanted}, got {value!r}")
    if isinstance(value, (tuple, list)) and any(isinstance(item, (tuple, list)) for item in value):
        if len(value) != axes:
            raise ValueError(f"{layer}: padding must be {axes} pairs (before, after), got {value!r}")
        return tuple(sizes(layer, "padding", pair, 2, 0) for pair in value)
    return sizes(layer, "padding", value, axes, 0)


def flag(layer: str, name: str, value: Any) -> bool:
    """`value`, which must be True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{layer}: {name} must be True or False, got {value!r}")
    return value


def choice(layer: str, name: str, value: Any, allowed: Iterable[str]) -> str:
    """`value`, which must be one of these words."""
    words = tuple(allowed)
    if value not in words:
        raise ValueError(f"{layer}: {name} must be {' or '.join(map(repr, words))}, got {value!r}")
    return value


def number(layer: str, name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a finite float from `low` to `high`."""
    if isinstance(value, (bool, str)):
        raise TypeError(f"{layer}: {name} must be a number, got {value!r}")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{layer}: {name} must be a number, got {value!r}") from None
    if not (math.isfinite(result) and low <= result <= high):
        limits = "finite" if math.isinf(low) and math.isinf(high) else f"from {low:g} to {high:g}"
        raise ValueError(f"{layer}: {name} must be {limits}, got {value!r}")
    return result
