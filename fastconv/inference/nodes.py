"""What a model becomes before it is planned: values, and nodes of a few kinds that make them.
It must never hold an array but weights and constants."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ..layers import Layer


@dataclass(eq=False)
class Value:
    """An array that the network reads or makes; `shape` is that for the planned batch."""

    name: str
    shape: tuple[int, ...]
    maker: "Node | None" = None
    constant: np.ndarray | None = None

    @property
    def image(self) -> int:
        """Elements of one image, that is of one index of the first axis."""
        return prod(self.shape[1:])


@dataclass(eq=False)
class Node:
    """One step: its kind, the values it reads, the one it makes, and what its kind needs to know.

    Kinds: conv, expand (a depthwise conv together with the 1x1 before it, the node `first`), linear, batch_norm,
    activation, add, concat, max_pool, avg_pool, upsample, response_norm, pad, view (the same elements under another
    shape), copy, and call, which is any layer as it is.
    """

    kind: str
    name: str
    inputs: list[Value]
    output: Value
    settings: dict[str, Any] = field(default_factory=dict)
    layer: Layer | None = None

    def __post_init__(self) -> None:
        self.output.maker = self

    @property
    def multiply_adds(self) -> int:
        """Of one image; 0 where that says nothing."""
        if self.kind in ("conv", "expand"):
            own = self.output.image * prod(self.settings["geometry"].weight_shape[1:])
            return own + (self.settings["first"].multiply_adds if self.kind == "expand" else 0)
        return self.output.image * self.inputs[0].image if self.kind == "linear" else 0

    def described(self) -> str:
        """What it does, in a few words."""
        if self.kind == "call":
            return type(self.layer).__name__
        how, words = self.settings, [self.kind]
        conv = self.kind in ("conv", "expand")
        if conv:
            kernel, groups = how["geometry"].weight_shape[2:], how["how"][3]
            words = [] if self.kind == "conv" else [how["first"].described() + ","]
            words += ["conv", "x".join(map(str, kernel))]
            words += [f"groups {groups}"] if groups > 1 else []
        words += ["of batch norm and relu"] if "entry" in how else []
        words += ["+ batch norm"] if "scale" in how else []
        words += ["+ add"] if "add" in how else []
        function = how.get("function", "")
        words += [f"+ {function}"] if conv and function else [function] if function else []
        words += ["+ relu"] if how.get("relu") else []
        return " ".join(words)


@dataclass(eq=False)
class Network:
    """Nodes in the order in which they run."""

    inputs: list[Value]
    nodes: list[Node]
    outputs: list[Value]
    dtype: np.dtype

    @property
    def batch(self) -> int:
        return self.inputs[0].shape[0]

    @property
    def fixed(self) -> bool:
        """Whether only the planned batch size will do: some array has no batch."""
        return any(node.output.shape[:1] != (self.batch,) for node in self.nodes)

    def readers(self) -> dict[Value, list[Node]]:
        """Who reads each value, an entry a place; a result of the network is read by no node more."""
        readers: dict[Value, list[Node]] = {value: [] for value in self.inputs}
        for node in self.nodes:
            readers.setdefault(node.output, [])
            for value in node.inputs:
                readers.setdefault(value, []).append(node)
        return readers

    def only_reader(self, value: Value, readers: dict[Value, list[Node]]) -> bool:
        """Whether exactly one node reads a value that a node makes, and nobody outside."""
        return value.maker is not None and len(readers[value]) == 1 and value not in self.outputs

    def take_out(self, node: Node, value: Value) -> None:
        """Remove `node`; whoever read its output reads `value`, which the caller has seen to."""
        self.nodes.remove(node)
        for other in self.nodes:
            other.inputs = [value if read is node.output else read for read in other.inputs]
        self.outputs = [value if read is node.output else read for read in self.outputs]
