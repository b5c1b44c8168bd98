"""Graph: named layers wired to each other in any way that has no cycle; itself a layer with a backward.
It must never keep an array longer than some node, output or `back` needs it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple, Self

import numpy as np

from ._calling import call, forward, require_layer, sum_of_gradients
from .base import Back, Layer

Names = str | Iterable[str]
Arrays = np.ndarray | tuple[np.ndarray, ...]


class Node(NamedTuple):
    """One layer of a Graph: its name, which is also that of its result, and the names that it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


class Graph(Layer):
    """Layers by name, each reading inputs of the graph or results of other layers.

        Graph(
            [
                ("conv", Conv2d(8, 8, 3, padding=1), "x"),
                ("relu", ReLU(), "conv"),
                ("sum", Add(), ("relu", "x")),
            ]
        )

    `nodes` are (name, layer, name or names that it reads), in any order; a name is that of a node or one of
    `inputs`. `outputs` is the last node if it is not given. What no output depends on is not computed.

    `graph(x)` and `y, back = graph.forward(x)` take an array for each input and give the array of the output,
    of several outputs a tuple. `back(dy)` then takes a tuple of the gradients, in which None stands for 0,
    and of several inputs it returns a tuple. In inference an activation is freed when its last reader ran.

    Weights are named by node, as `<node>.weight`: a name may have dots, so that it is that of PyTorch's module.
    """

    def __init__(
        self, nodes: Iterable[tuple[str, Layer, Names] | Node], inputs: Names = "x", outputs: Names | None = None
    ) -> None:
        self.inputs = _distinct("inputs", inputs)
        self._nodes: dict[str, Node] = {}
        for node in map(_node, nodes):
            if node.name in self._nodes or node.name in self.inputs:
                raise ValueError(f"Graph: the name {node.name!r} is given twice")
            self._nodes[node.name] = node
        if not self._nodes:
            raise ValueError("Graph: expected at least one node, got none")
        self.outputs = (next(reversed(self._nodes)),) if outputs is None else _distinct("outputs", outputs)
        self._require_wiring()
        self._order = self._in_order()
        # How many nodes and outputs read each array, and after which node nobody does any more.
        self._readers = Counter([*self.outputs, *(read for node in self._order for read in node.inputs)])
        last = {read: node.name for node in self._order for read in node.inputs}
        self._done: dict[str, list[str]] = {node.name: [] for node in self._order}
        for read, name in last.items():
            if read not in self.outputs:
                self._done[name].append(read)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes in the order in which they were given: `Graph(graph.nodes, outputs=...)` shares them."""
        return tuple(self._nodes.values())

    @property
    def order(self) -> tuple[Node, ...]:
        """The nodes that an output depends on, each after those that it reads."""
        return self._order

    @property
    def input_count(self) -> int:
        return len(self.inputs)

    @property
    def output_count(self) -> int:
        return len(self.outputs)

    @property
    def result(self) -> str:
        return "new" if len(self.outputs) == 1 and self._is_free(self.outputs[0]) else "kept"

    def children(self) -> Iterator[tuple[str, Layer]]:
        return ((name, node.layer) for name, node in self._nodes.items())

    def __getitem__(self, name: str) -> Layer:
        return self._nodes[name].layer

    def __call__(self, *xs: np.ndarray) -> Arrays:
        values = self._bound(xs)
        for node in self._order:
            arrays = [values[read] for read in node.inputs]
            for read in self._done[node.name]:
                del values[read]
            values[node.name] = call(node.name, node.layer, *arrays, free=self._free(node, arrays))
        return self._results(values)

    def forward(self, *xs: np.ndarray) -> tuple[Arrays, Back]:
        values = self._bound(xs)
        backs: list[Back] = []
        trained: set[str] = set()  # names of what depends on a trainable weight
        kinds = [(name, x.shape, x.dtype) for name, x in values.items()]
        for node in self._order:
            arrays = [values[read] for read in node.inputs]
            for read in self._done[node.name]:
                del values[read]
            values[node.name], back_one = forward(node.name, node.layer, *arrays, free=self._free(node, arrays))
            backs.append(back_one)
            if not trained.isdisjoint(node.inputs) or node.layer.is_trainable():
                trained.add(node.name)

        def back(dy: Any, needs_input: bool = True) -> Arrays | None:
            gradients = _Gradients(zip(self.outputs, self._gradients_of_outputs(dy), strict=True))
            for node, back_one in zip(reversed(self._order), reversed(backs), strict=True):
                given = gradients.taken(node.name)
                if given is None or not (needs_input or node.name in trained):
                    continue
                needed = needs_input or not trained.isdisjoint(node.inputs)
                found = back_one(given, needs_input=needed)
                if needed:
                    gradients.add(node.inputs, found if isinstance(found, tuple) else (found,), given)
            if not needs_input:
                return None
            found = ((gradients.taken(name), shape, dtype) for name, shape, dtype in kinds)
            dxs = tuple(np.zeros(shape, dtype) if dx is None else dx for dx, shape, dtype in found)
            return dxs[0] if len(dxs) == 1 else dxs

        return self._results(values), back

    def __repr__(self) -> str:
        lines = (f"({node.name}): {node.layer!r} <- {_listed(node.inputs)}" for node in self.nodes)
        head = f"Graph({_listed(self.inputs)} -> {_listed(self.outputs)}"
        return "\n".join([head, *("  " + line.replace("\n", "\n  ") for line in lines), ")"])

    def config(self) -> dict[str, Any]:
        return {"nodes": list(self.nodes), "inputs": self.inputs, "outputs": self.outputs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(config["nodes"], config["inputs"], config["outputs"])

    def _bound(self, xs: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        if len(xs) != len(self.inputs):
            raise TypeError(f"Graph: expected {len(self.inputs)} arrays ({_listed(self.inputs)}), got {len(xs)}")
        return {name: np.asarray(x) for name, x in zip(self.inputs, xs, strict=True)}

    def _results(self, values: dict[str, np.ndarray]) -> Arrays:
        results = tuple(values[name] for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def _gradients_of_outputs(self, dy: Any) -> tuple[np.ndarray | None, ...]:
        if len(self.outputs) == 1:
            return (dy,)
        if not isinstance(dy, (tuple, list)) or len(dy) != len(self.outputs):
            raise ValueError(f"Graph: back expects a tuple of {len(self.outputs)} gradients ({_listed(self.outputs)})")
        return tuple(dy)

    def _is_free(self, name: str) -> bool:
        """Whether the one that reads this result may overwrite it."""
        return self._readers[name] == 1 and name in self._nodes and self._nodes[name].layer.result == "new"

    def _free(self, node: Node, arrays: list[np.ndarray]) -> np.ndarray | None:
        free = (array for name, array in zip(node.inputs, arrays, strict=True) if self._is_free(name))
        return next(free, None)

    def _require_wiring(self) -> None:
        """ValueError for a name that nobody has, a wrong number of inputs, or weights that share a name."""
        known = {*self.inputs, *self._nodes}
        for node in self.nodes:
            for name in node.inputs:
                if name not in known:
                    raise ValueError(f"Graph: node {node.name!r} reads {name!r}, which is no node and no input")
            wanted = node.layer.input_count
            if wanted is not None and wanted != len(node.inputs):
                kind = type(node.layer).__name__
                raise ValueError(
                    f"Graph: node {node.name!r} reads {len(node.inputs)} arrays, {kind} takes {wanted} array(s)"
                )
            if node.layer.output_count != 1:
                raise ValueError(f"Graph: node {node.name!r} gives {node.layer.output_count} arrays, expected one")
        for name in self.outputs:
            if name not in known:
                raise ValueError(f"Graph: output {name!r} is no node and no input")
        entries = Counter(name for name, _, _ in self.named_entries())
        if twice := [name for name, count in entries.items() if count > 1]:
            raise ValueError(f"Graph: several weights have the name {twice[0]!r}")

    def _in_order(self) -> tuple[Node, ...]:
        """The nodes that an output depends on, each after those it reads: as given where that is such an order."""
        reads = {name: [read for read in node.inputs if read in self._nodes] for name, node in self._nodes.items()}
        try:
            order = list(TopologicalSorter(reads).static_order())
        except CycleError as error:
            raise ValueError(f"Graph: cycle {' -> '.join(error.args[1])}") from None
        places = {name: place for place, name in enumerate(self._nodes)}
        if all(places[read] < places[name] for name in reads for read in reads[name]):
            order = list(self._nodes)
        needed = set(self.outputs)
        for name in reversed(order):
            if name in needed:
                needed.update(reads[name])
        return tuple(self._nodes[name] for name in order if name in needed)


class _Gradients:
    """Sums of gradients by name. It never writes into an array that a caller or a back still reads."""

    def __init__(self, given: Iterable[tuple[str, np.ndarray | None]]) -> None:
        self._sums = {name: dy for name, dy in given if dy is not None}
        self._own: set[str] = set()

    def add(self, names: tuple[str, ...], dxs: tuple[np.ndarray, ...], dy: np.ndarray) -> None:
        """Add to each name its dx, which is new or shares memory with dy."""
        for name, dx in zip(names, dxs, strict=True):
            if name in self._sums:
                total = self._sums[name]
                # The one that is ours goes first, which is where the sum may be written to.
                dx = sum_of_gradients(total, dx, dx) if name in self._own else sum_of_gradients(dx, total, dy)
                self._own.add(name)
            elif not np.may_share_memory(dx, dy):
                self._own.add(name)
            self._sums[name] = dx

    def taken(self, name: str) -> np.ndarray | None:
        """The sum, handed over; None if nothing was added."""
        return self._sums.pop(name, None)


def _node(value: Any) -> Node:
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise ValueError(f"Graph: a node is (name, layer, names that it reads), got {value!r}")
    name, layer, reads = value
    if not isinstance(name, str) or not name:
        raise ValueError(f"Graph: the name of a node is text, got {name!r}")
    return Node(name, require_layer("Graph", layer), _names(f"what {name!r} reads", reads))


def _names(what: str, value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (tuple, list)) else None
    if names is None or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"Graph: {what}: expected names, got {value!r}")
    return names


def _distinct(what: str, value: Any) -> tuple[str, ...]:
    names = _names(what, value)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"Graph: {what}: expected at least one name and none twice, got {value!r}")
    return names


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
