"""Calls one layer for a container: in place where that is safe, its name in front of a bad shape's message.
It must never change what a layer computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from .. import functional as F
from .base import Back, Layer

Shape = tuple[int, ...]
# (layer, shapes of its inputs, shape of its result) of each inference inside `recording`.
Calls = list[tuple[Layer, tuple[Shape, ...], Shape]]
_calls: ContextVar[Calls | None] = ContextVar("fastconv_calls", default=None)


@contextmanager
def recording() -> Iterator[Calls]:
    """Inside, this thread's inferences of layers in containers are noted in the list that it gives."""
    calls: Calls = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def note(calls: Calls, layer: Layer, xs: tuple[np.ndarray, ...], y: Any) -> None:
    """Add one call; a result of several arrays has no shape."""
    calls.append((layer, tuple(np.shape(x) for x in xs), getattr(y, "shape", ())))


def require_layer(kind: str, layer: Any) -> Layer:
    """`layer`, if it is one; TypeError in the name of the container `kind` otherwise."""
    if not isinstance(layer, Layer):
        raise TypeError(f"{kind}: expected layers, got {layer!r}")
    return layer


def call(name: str, layer: Layer, *xs: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
    """layer(*xs), written into `free`, one of xs that nobody else reads, if the layer can."""
    try:
        y = layer(*xs, out=free) if _fits(free) and layer.call_in_place else layer(*xs)
    except (ValueError, TypeError) as error:
        _name_layer(error, name, layer)
        raise
    if (calls := _calls.get()) is not None:
        note(calls, layer, xs, y)
    return y


def forward(
    name: str, layer: Layer, *xs: np.ndarray, free: np.ndarray | None = None, relu: bool = False
) -> tuple[np.ndarray, Back]:
    """layer.forward(*xs), written into `free`, one of xs that nobody else reads, if the layer can; with the ReLU
    behind it in one, if the layer says that it can."""
    more: dict[str, Any] = {"relu": True} if relu else {}
    if _fits(free) and layer.forward_in_place:
        more["out"] = free
    try:
        return layer.forward(*xs, **more)
    except (ValueError, TypeError) as error:
        _name_layer(error, name, layer)
        raise


def backward(layer: Layer, back: Back, dy: np.ndarray, needs_input: bool, free: bool) -> np.ndarray | None:
    """back(dy) of a layer, in place where dy is free to be overwritten and the layer can."""
    if free and layer.back_in_place and _fits(dy):
        return back(dy, needs_input=needs_input, out=dy)
    return back(dy, needs_input=needs_input)


def sum_of_gradients(dx: np.ndarray, other: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """dx + other; into dx, unless it may be dy itself, which belongs to the caller."""
    return F.add(dx, other, out=None if np.may_share_memory(dx, dy) or not _fits(dx) else dx)


def _fits(out: np.ndarray | None) -> bool:
    """Whether there is an array that a function can write into: layers such as Slice give views with gaps."""
    return out is not None and out.flags.c_contiguous


def _name_layer(error: Exception, name: str, layer: Layer) -> None:
    """Put the dotted name of the layer in front of the message of a bad shape or dtype, in place."""
    if type(error) not in (ValueError, TypeError) or len(error.args) != 1:
        return
    described = type(layer).__name__ if any(layer.children()) else repr(layer)
    path, described, message = getattr(error, "in_layer", ("", described, error.args[0]))
    path = f"{name}.{path}" if path else name
    error.in_layer = (path, described, message)
    error.args = (f"layer {path}, {described}: {message}",)
