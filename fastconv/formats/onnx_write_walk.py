"""Walks through a model as inference would, layer by layer, and has each written as ONNX nodes.
It must never guess a shape: it asks the layers, with zeros, at two sizes of the batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Add, Cat, Concat, Graph, Residual, Sequential
from ..layers._calling import call
from ..layers.base import Layer
from .onnx_write_graph import At, Collected, Op, Shape, Value

Writer = Callable[..., str]
Values = tuple[Value, ...]
BATCH = "N"


class _BatchIsFixedError(Exception):
    """The model does not take, or does not keep in the first axis, a batch of another size."""


@dataclass(frozen=True)
class Walked:
    """What the file will hold; `inputs` and `outputs` are (name, sizes), of which "N" is any and None any other."""

    dtype: np.dtype
    nodes: list[Op]
    weights: dict[str, np.ndarray]
    inputs: list[tuple[str, list[Any]]]
    outputs: list[tuple[str, list[Any]]]


def walk(model: Layer, shapes: list[Shape], writers: Mapping[type[Layer], Writer]) -> Walked:
    """All nodes of `model` for inputs of these shapes, batch included."""
    try:
        return _Walk(model, shapes, writers, free=True).walked()
    except _BatchIsFixedError:
        return _Walk(model, shapes, writers, free=False).walked()


class _Walk:
    """One walk. Where the batch is `free` every layer is asked for its result at two sizes of it."""

    def __init__(self, model: Layer, shapes: list[Shape], writers: Mapping[type[Layer], Writer], free: bool) -> None:
        self.model = model
        self.writers = writers
        dtype = next((parameter.data.dtype for parameter in model.parameters()), np.dtype(np.float32))
        self.graph = model if isinstance(model, Graph) else None
        names = _numbered("x", len(shapes)) if self.graph is None else self.graph.inputs
        self.xs = tuple(
            Value(name, tuple((*(size + more for size in shape[:1]), *shape[1:]) for more in range(1 + free)))
            for name, shape in zip(names, shapes, strict=True)
        )
        self.sizes = 1 + free
        self.out = Collected(dtype.newbyteorder("="), model.state_dict(copy=False), set(names))
        self.renamed: dict[str, str] = {}

    def walked(self) -> Walked:
        ys = self.write("", self.model, *self.xs)
        wanted = _numbered("y", len(ys)) if self.graph is None else self.graph.outputs
        outputs: list[tuple[str, list[Any]]] = []
        for name, y in zip(wanted, ys, strict=True):
            outputs.append((self._named(name, y.name, [found for found, _ in outputs]), self._dims(y)))
        inputs = [(x.name, self._dims(x)) for x in self.xs]
        return Walked(self.out.dtype, self.out.nodes, self.out.weights, inputs, outputs)

    def write(self, path: str, layer: Layer, *xs: Value) -> Values:
        """Add the layer at `path` and all inside it; the values that it gives."""

        def inside(name: str, child: Layer, *xs: Value) -> Values:
            return self.write(f"{path}.{name}" if path else name, child, *xs)

        kind = type(layer)
        if kind is Sequential:
            for name, child in layer.children():
                xs = inside(name, child, *xs)
            return xs
        if kind is Residual:
            others = xs if layer.shortcut is None else inside("shortcut", layer.shortcut, *xs)
            return (self._leaf(path, Add(), *inside("body", layer.body, *xs), *others),)
        if kind is Concat:
            parts = [part for name, child in layer.children() for part in inside(name, child, *xs)]
            return (self._leaf(path, Cat(layer.axis), *parts),)
        if kind is Graph:
            values = dict(zip(layer.inputs, xs, strict=True))
            for node in layer.order:
                (values[node.name],) = inside(node.name, node.layer, *(values[read] for read in node.inputs))
            return tuple(values[name] for name in layer.outputs)
        return (self._leaf(path, layer, *xs),)

    def _leaf(self, path: str, layer: Layer, *xs: Value) -> Value:
        writer = self.writers.get(type(layer))
        if writer is None:
            place = f"layer {path}" if path else "the model"
            raise TypeError(f"save: {place}, {type(layer).__name__}, is not fastconv's: ONNX has its own layers alone")
        shapes = tuple(self._shape(path, layer, xs, place) for place in range(self.sizes))
        if any(shape[1:] != shapes[0][1:] for shape in shapes):
            raise _BatchIsFixedError
        return Value(writer(At(self.out, path, shapes[0]), layer, *xs), shapes)

    def _shape(self, path: str, layer: Layer, xs: Values, place: int) -> Shape:
        """That of the layer's result, at one of the sizes of the batch."""
        zeros = [np.zeros(x.shapes[place], self.out.dtype) for x in xs]
        try:
            return (call(path, layer, *zeros) if path else layer(*zeros)).shape
        except ValueError:
            if place:
                raise _BatchIsFixedError from None
            raise

    def _named(self, wanted: str, name: str, others: list[str]) -> str:
        """Give a result of the model its name, by a node of its own where it is an input, a weight, or one already."""
        name = self.renamed.get(name, name)
        made = any(node.output == name for node in self.out.nodes)
        if made and name == wanted:
            return name
        final = self.out.fresh(wanted)
        if made and name not in others:
            self.out.rename(name, final)
            self.renamed[name] = final
        else:
            self.out.nodes.append(Op("Identity", (name,), final, {}))
        return final

    def _dims(self, value: Value) -> list[Any]:
        """The sizes for the file: "N" is the batch, None a size that follows from it in another way."""
        batch, found = ([shapes[:1] for shapes in v.shapes] for v in (self.xs[0] if self.xs else value, value))
        if found[0] == found[-1]:
            return list(value.shape)
        return [BATCH if found == batch else None, *value.shape[1:]]


def _numbered(letter: str, count: int) -> tuple[str, ...]:
    return (letter,) if count == 1 else tuple(f"{letter}{place}" for place in range(count))
