"""The reference's own reading of arguments: sizes, padding, layout, element type. It never imports the
kernels or their validation, so that the two sides can be held against each other."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

Pairs = tuple[tuple[int, int], ...]


def integer(value: Any, name: str, minimum: int) -> int:
    """One size as a Python int >= minimum; a bool or a float is a TypeError."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected an integer, got the bool {value}")
    try:
        size = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {value!r}") from None
    if size < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {size}")
    return size


def sizes(value: Any, axes: int, name: str, minimum: int) -> tuple[int, ...]:
    """One size for all spatial axes, or one for each."""
    if isinstance(value, str) or not (isinstance(value, Sequence) or getattr(value, "ndim", 0)):
        return (integer(value, name, minimum),) * axes
    if len(value) != axes:
        raise ValueError(f"{name}: expected one size or {axes}, got {value!r}")
    return tuple(integer(size, name, minimum) for size in value)


def pairs(padding: Any, axes: int) -> Pairs:
    """Padding as (before, after) for each spatial axis, from an int, one int per axis or the pairs
    themselves."""
    if isinstance(padding, Sequence) and not isinstance(padding, str) and len(padding) == axes:
        return tuple((p[0], p[1]) for p in (_pair(one) for one in padding))
    return tuple((p, p) for p in sizes(padding, axes, "padding", 0))


def _pair(value: Any) -> tuple[int, ...]:
    return sizes(value, 2, "padding", 0)


def conv_pairs(padding: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Pairs:
    """As `pairs`, and "valid" (none) or "same" (output as large as the input, the odd one at the end)."""
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * len(kernel)
        if padding != "same":
            raise ValueError(f'padding: expected "same" or "valid", got {padding!r}')
        if any(s != 1 for s in stride):
            raise ValueError(f'padding: "same" needs stride 1, got stride {stride}')
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return pairs(padding, len(kernel))


def count(size: int, pad: tuple[int, int], kernel: int, stride: int, dilation: int) -> int:
    """Number of windows along one axis; none is a ValueError."""
    room = size + sum(pad) - dilation * (kernel - 1) - 1
    if room < 0:
        raise ValueError(f"output would be empty: size {size}, padding {pad}, kernel {kernel}, dilation {dilation}")
    return room // stride + 1


def array(x: Any, name: str, ndim: int | None = None) -> np.ndarray:
    """x as an ndarray of float32 or float64, of that many dimensions, of which only the first may be 0."""
    if x is None or isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an array, got {type(x).__name__}")
    x = np.asarray(x)
    if x.dtype.newbyteorder("=") not in (np.float32, np.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {x.dtype}")
    x = np.array(x, x.dtype.newbyteorder("="), copy=None, order="C")
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimensions, got shape {x.shape}")
    if 0 in x.shape[1:]:
        raise ValueError(f"{name}: only the first axis may be empty, got shape {x.shape}")
    return x


def vector(v: Any, name: str, length: int, dtype: np.dtype) -> np.ndarray:
    """v as a vector of exactly that length and dtype."""
    v = array(v, name, 1)
    expect(v, name, (length,))
    alike(dtype, v, name)
    return v


def alike(dtype: np.dtype, x: np.ndarray, name: str) -> None:
    """All operands have one element type."""
    if x.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype} like the other operands, got {x.dtype}")


def expect(x: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    """x has exactly this shape."""
    if x.shape != tuple(shape):
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {x.shape}")


def shape_of(shape: Any, name: str, ndim: int, empty_first: bool = True) -> tuple[int, ...]:
    """A shape given as an argument; only its first size may be 0."""
    shape = sizes(shape, ndim, name, 0) if isinstance(shape, Sequence) else sizes(tuple(shape), ndim, name, 0)
    if 0 in (shape[1:] if empty_first else shape):
        raise ValueError(f"{name}: no size but the first may be 0, got {shape}")
    return shape


def channels_first(x: np.ndarray, layout: str) -> np.ndarray:
    """A view of x with its channels at axis 1."""
    if layout not in ("NCHW", "NHWC"):
        raise ValueError(f'layout: expected "NCHW" or "NHWC", got {layout!r}')
    return x if layout == "NCHW" else np.moveaxis(x, -1, 1)


def shape_first(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """A shape in `layout` with its channels moved to axis 1."""
    return shape if layout == "NCHW" else (shape[0], shape[-1], *shape[1:-1])


def deliver(y: np.ndarray, layout: str = "NCHW", out: np.ndarray | None = None) -> np.ndarray:
    """y, whose channels are at axis 1, in `layout` and C order; copied into `out` if there is one."""
    y = np.ascontiguousarray(y if layout == "NCHW" else np.moveaxis(y, 1, -1))
    if out is None:
        return y
    if out.dtype != y.dtype or out.shape != y.shape:
        raise ValueError(f"out: expected {y.dtype} {y.shape}, got {out.dtype} {out.shape}")
    out[...] = y
    return out
