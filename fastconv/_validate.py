"""Judges arguments: the one place that raises TypeError and ValueError for arrays and sizes. Every text names the
operation, the argument, what was given and what was expected. Nothing here computes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
LIMIT = 2**60
"""No size, stride, padding or number of elements may exceed this, so that sums of a few of them fit 64 bits."""


def reject(op: str, text: str, kind: type[Exception] = ValueError) -> NoReturn:
    raise kind(f"{op}: {text}")


def array(op: str, name: str, x: Any) -> np.ndarray:
    """`x` as a C-contiguous, aligned, native float32 or float64 ndarray: itself where it is one, else a copy."""
    if type(x) is np.ndarray and (x.dtype is FLOAT32 or x.dtype is FLOAT64):
        flags = x.flags
        if flags.c_contiguous and flags.aligned:
            return x
    return _converted(op, name, x)


def _converted(op: str, name: str, x: Any) -> np.ndarray:
    if x is None:
        reject(op, f"{name} is None; expected an array", TypeError)
    if isinstance(x, np.ma.MaskedArray):
        reject(
            op,
            f"{name} is a masked array, whose mask would be lost; fill it first (x.filled(...))",
            TypeError,
        )
    if not isinstance(x, np.ndarray):
        try:
            x = np.asarray(x)
        except ValueError as error:
            reject(op, f"{name} cannot be made an array: {error}")
    if x.dtype.kind != "f" or x.dtype.itemsize not in (4, 8):
        hint = "" if x.dtype.kind not in "fiub" else f"; cast it, e.g. {name}.astype(numpy.float32)"
        reject(op, f"{name} has dtype {x.dtype}; expected float32 or float64{hint}", TypeError)
    if type(x) is np.ndarray and _plain(x):
        return x  # a dtype may be equal to NumPy's own and another object: one from a pickle or a memory map is
    native = FLOAT32 if x.dtype.itemsize == 4 else FLOAT64
    return np.array(x, dtype=native, order="C", copy=None, subok=False, ndmin=0) if _plain(x) else _copied(x, native)


def _plain(x: np.ndarray) -> bool:
    return x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative


def _copied(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    copy = np.empty(x.shape, dtype)
    copy[...] = x
    return copy


def same_dtype(op: str, name: str, x: np.ndarray, other_name: str, other: np.ndarray) -> None:
    if x.dtype != other.dtype:
        text = f"{name} is {x.dtype} but {other_name} is {other.dtype}; all operands must have one dtype"
        reject(op, f"{text}; cast one, e.g. {other_name}.astype(numpy.{x.dtype})", TypeError)


def shaped(op: str, name: str, x: np.ndarray, shape: tuple[int, ...]) -> None:
    if x.shape != shape:
        reject(op, f"{name} has shape {x.shape}; expected {shape}")


def dimensions(op: str, name: str, x: np.ndarray, count: int, letters: str) -> None:
    if x.ndim != count:
        hint = "; add x[None]" if x.ndim == count - 1 and name == "x" else ""
        reject(op, f"{name} has {x.ndim} dimensions; expected {count} dimensions {letters}{hint}")


def no_empty_axis(op: str, name: str, shape: tuple[int, ...], first: int = 1) -> None:
    """Only the batch may be empty: the axes from `first` on must not be."""
    if 0 in shape[first:]:
        reject(op, f"{name} has shape {shape}; only the batch size may be 0")


def size(op: str, name: str, value: Any, minimum: int) -> int:
    """One integer: an int or NumPy integer, not a bool, at least `minimum`, at most LIMIT."""
    if type(value) is int and minimum <= value <= LIMIT:
        return value
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, np.ndarray) and value.dtype == bool):
        reject(op, f"{name} is {value!r}, a bool; expected an integer", TypeError)
    try:
        number = operator.index(value)
    except TypeError:
        reject(op, f"{name} is {value!r}; expected an integer", TypeError)
    if number < minimum:
        kind = {0: "a non-negative", 1: "a positive"}.get(minimum, f"an at least {minimum}")
        reject(op, f"{name} is {number}; expected {kind} integer")
    if number > LIMIT:
        reject(op, f"{name} is {number}, which is too large")
    return number


def sizes(op: str, name: str, value: Any, axes: int, minimum: int) -> tuple[int, ...]:
    """One integer for all axes, or one for each."""
    if type(value) is int:
        return (size(op, name, value, minimum),) * axes
    if type(value) is tuple and len(value) == axes:
        return tuple([size(op, name, v, minimum) for v in value])
    if isinstance(value, np.ndarray) and value.ndim > 0:
        value = tuple(value)
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        return (size(op, name, value, minimum),) * axes
    if len(value) != axes:
        reject(op, f"{name} is {value!r}; expected one integer or {axes} of them, one for each spatial axis")
    return tuple(size(op, name, v, minimum) for v in value)


def flag(op: str, name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        reject(op, f"{name} is {value!r}; expected True or False", TypeError)
    return bool(value)


def choice(op: str, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if type(value) is str and value in allowed:
        return value
    if not isinstance(value, str) or value not in allowed:
        kind = ValueError if isinstance(value, str) else TypeError
        reject(op, f"{name} is {value!r}; expected one of {', '.join(map(repr, allowed))}", kind)
    return value


def shape(op: str, name: str, value: Any, count: int) -> tuple[int, ...]:
    """A shape given as an argument: `count` integers, of which only the first (the batch) may be 0."""
    if isinstance(value, np.ndarray):
        value = tuple(value)
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        reject(op, f"{name} is {value!r}; expected {count} integers", TypeError)
    if len(value) != count:
        reject(op, f"{name} is {tuple(value)}; expected {count} integers")
    return (
        size(op, f"{name}[0]", value[0], 0),
        *(size(op, f"{name}[{i}]", value[i], 1) for i in range(1, count)),
    )


def fits(op: str, name: str, dims: tuple[int, ...]) -> None:
    """A result this large can be addressed (whether memory holds it is the allocator's question)."""
    if (math.prod(dims) or math.prod([d for d in dims if d])) > LIMIT:
        reject(op, f"{name} would have shape {dims}, which does not fit in memory")


def output(op: str, out: Any, dims: tuple[int, ...], dtype: np.dtype, *inputs: np.ndarray | None) -> np.ndarray:
    """A caller's `out=`: exactly right, or refused."""
    if not isinstance(out, np.ndarray):
        reject(op, f"out is {type(out).__name__}; expected a NumPy array", TypeError)
    if out.dtype != dtype or not out.dtype.isnative:
        reject(op, f"out has dtype {out.dtype}; expected {dtype}")
    shaped(op, "out", out, dims)
    if not (out.flags.c_contiguous and out.flags.aligned):
        reject(op, "out is not C-contiguous and aligned")
    if not out.flags.writeable:
        reject(op, "out is read-only")
    for x in inputs:
        if x is not None and np.may_share_memory(out, x):
            reject(op, "out overlaps an input array")
    return out
