"""Collects the nodes and weights of an ONNX graph while a model is walked through, and gives every array its name.
It must never look into a layer: what a layer becomes is said in onnx_write_layers and onnx_write_pool."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Value(NamedTuple):
    """An array of the graph: its name, and its shape at each of the batch sizes that the model is walked with."""

    name: str
    shapes: tuple[Shape, ...]

    @property
    def shape(self) -> Shape:
        return self.shapes[0]


class Op(NamedTuple):
    """A node as it will be written, named as its result is; an input "" is one that is left out."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass
class Collected:
    """Nodes in the order in which they run, and the weights and constants that they read, by name.

    `states` are the model's weights by the names of its state dict, which they keep; `taken` all names in use.
    """

    dtype: np.dtype
    states: Mapping[str, np.ndarray]
    taken: set[str]
    nodes: list[Op] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names: dict[int, str] = {}
        for name, array in self.states.items():  # one that several layers share has the first of its names
            if id(array) not in self._names:
                self._names[id(array)] = self.fresh(name)

    def fresh(self, name: str) -> str:
        """`name`, or with a number behind it where somebody has it already."""
        found, number = name, 0
        while found in self.taken:
            number += 1
            found = f"{name}_{number}"
        self.taken.add(found)
        return found

    def weight(self, array: np.ndarray) -> str:
        """The name of a parameter or buffer of the model, which is then part of the file."""
        name = self._names[id(array)]
        self.weights[name] = array
        return name

    def rename(self, old: str, new: str) -> None:
        """Call the result `old` of a node `new` wherever it is written or read."""
        self.taken.discard(old)
        for place, node in enumerate(self.nodes):
            inputs = tuple(new if name == old else name for name in node.inputs)
            self.nodes[place] = node._replace(inputs=inputs, output=new if node.output == old else node.output)


class At:
    """Where one layer is written: everything that it adds is named after its path in the model."""

    def __init__(self, collected: Collected, path: str, y: Shape) -> None:
        self._collected = collected
        self._path = path
        self.y = y
        """The shape of the layer's result."""

    @property
    def dtype(self) -> np.dtype:
        """That of the model's weights."""
        return self._collected.dtype

    def op(self, kind: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Add a node; returns the name of its result. `part` says what it is where a layer is several nodes."""
        path = f"{self._path}.{part}" if part and self._path else self._path or part or kind.lower()
        output = self._collected.fresh(path)
        self._collected.nodes.append(Op(kind, inputs, output, attributes))
        return output

    def weight(self, array: np.ndarray) -> str:
        """The name of one of the model's own arrays."""
        return self._collected.weight(array)

    def floats(self, part: str, values: Any) -> str:
        """The name of a new constant of the model's dtype."""
        return self._constant(part, np.asarray(values, self.dtype))

    def scales(self, part: str, values: Iterable[float]) -> str:
        """The name of a new constant that is float32 whatever the model's dtype."""
        return self._constant(part, np.array(list(values), np.float32))

    def integers(self, part: str, values: Iterable[int]) -> str:
        """The name of a new constant: sizes, axes or places."""
        return self._constant(part, np.array(list(values), np.int64))

    def _constant(self, part: str, array: np.ndarray) -> str:
        name = self._collected.fresh(f"{self._path}.{part}" if self._path else part)
        self._collected.weights[name] = array
        return name
