"""Cuts a network into trunk and head, and puts the two together again.
It must never cut where more than one array would cross: a head has one input."""

from collections.abc import Iterator
from typing import Any

from ..layers import Conv1d, Conv2d, Conv3d, Dropout, Graph, Layer, Linear, Node, Sequential

Path = tuple[str, ...]
Network = Sequential | Graph
CLASSIFYING = (Linear, Conv1d, Conv2d, Conv3d)


def split(model: Network, at: str | None = None) -> tuple[Network, Network]:
    """(trunk, head) of a Sequential or a Graph: `head(trunk(x))` is `model(x)`, and their state dicts are its own.

    `at` is the dotted name of the first layer of the head, of a Graph that of a node: "classifier.1" in mobilenet_v2,
    "fc" in a ResNet, "classifier" for all three fully connected layers of a VGG. Without it that is the last
    convolution or fully connected layer, with the Dropout directly before it. Both parts share the layers of the
    model. ValueError where there is no such layer, nothing before it, or where a node reads past it.
    """
    path = place(model, at)
    if isinstance(model, Graph):
        trunk, head = _split_graph(model, path[0])
    else:
        trunk, head = _split_sequential(model, path)
        if not any(True for _ in leaves(trunk)):
            raise ValueError(f"split: {'.'.join(path)!r} is the first layer, so nothing would be left for the trunk")
    trunk.preprocess, head.labels = model.preprocess, model.labels
    return trunk, head


def join(trunk: Network, head: Network) -> Network:
    """The network whose parts `split` gave, or one with another head; it has the trunk's preprocessing and the head's
    labels."""
    _require_network("join", head)
    if isinstance(_require_network("join", trunk), Graph):
        if not isinstance(head, Graph) or head.inputs != trunk.outputs:
            raise ValueError(f"join: the head must be a Graph that reads {', '.join(trunk.outputs)!r}")
        nodes = {node.name: node for node in (*trunk.nodes, *head.nodes)}
        model: Network = Graph(nodes.values(), trunk.inputs, head.outputs)
    elif isinstance(head, Graph):
        raise ValueError("join: the head of a Sequential must be a Sequential, got a Graph")
    else:
        model = _joined(trunk, head)
    model.preprocess, model.labels = trunk.preprocess, head.labels
    return model


def leaves(model: Layer, prefix: Path = ()) -> Iterator[tuple[Path, Layer]]:
    """(path, layer) of the places where a model can be cut, in the order in which they are computed. What is inside a
    block that branches is not among them."""
    if isinstance(model, Graph) and not prefix:
        children: Any = ((node.name, node.layer) for node in model.order)
    elif isinstance(model, Sequential):
        children = model.children()
    else:
        yield prefix, model
        return
    for name, child in children:
        yield from leaves(child, (*prefix, name))


def place(model: Network, at: str | None) -> Path:
    """The path of the first layer of the head, as `split` describes it."""
    _require_network("split", model)
    found = list(leaves(model))
    if at is None:
        return _classifying(model, found)
    paths = {".".join(path[:depth]): path[:depth] for path, _ in found for depth in range(1, len(path) + 1)}
    if at not in paths:
        names = [name for name, path in paths.items() if len(path) == 1]
        shown = ", ".join(names if len(names) <= 8 else [*names[:2], "...", *names[-5:]])
        raise ValueError(f"at: there is no layer {at!r} where the network can be cut; it is made of {shown}")
    return paths[at]


def _classifying(model: Network, found: list[tuple[Path, Layer]]) -> Path:
    weighted = [position for position, (_, layer) in enumerate(found) if isinstance(layer, CLASSIFYING)]
    if not weighted:
        raise ValueError("at: the network has no convolution or fully connected layer that could be its last; give at")
    position = weighted[-1]
    if isinstance(model, Graph):
        name = found[position][0][0]
        read = next(node.inputs for node in model.order if node.name == name)
        dropouts = {node.name for node in model.order if isinstance(node.layer, Dropout)}
        alone = sum(read[0] in node.inputs for node in model.order) == 1
        return (read[0],) if read[0] in dropouts and alone else (name,)
    while position and isinstance(found[position - 1][1], Dropout):
        position -= 1
    return found[position][0]


def _split_sequential(model: Sequential, path: Path) -> tuple[Sequential, Sequential]:
    children = list(model.children())
    position = [name for name, _ in children].index(path[0])
    before, after = dict(children[:position]), dict(children[position:])
    if len(path) > 1:
        first, after[path[0]] = _split_sequential(after[path[0]], path[1:])
        if len(first):
            before[path[0]] = first
    return Sequential(before), Sequential(after)


def _joined(trunk: Sequential, head: Sequential) -> Sequential:
    children = dict(trunk.children())
    for position, (name, layer) in enumerate(head.children()):
        before = children.get(name)
        if before is not None and not (
            position == 0
            and name == list(children)[-1]
            and isinstance(before, Sequential)
            and isinstance(layer, Sequential)
        ):
            raise ValueError(f"join: both parts have a layer {name!r}")
        children[name] = layer if before is None else _joined(before, layer)
    return Sequential(children)


def _split_graph(model: Graph, at: str) -> tuple[Graph, Graph]:
    behind = {at}
    fed = set(model.inputs)  # what depends on an input; the rest are constants, which go with whoever reads them
    for node in model.order:
        if not behind.isdisjoint(node.inputs):
            behind.add(node.name)
        if not fed.isdisjoint(node.inputs):
            fed.add(node.name)
    read = {name for node in model.order if node.name in behind for name in node.inputs} - behind
    crossing = sorted(read & fed)
    if crossing and set(crossing) <= set(model.inputs):
        raise ValueError(f"split: {at!r} is the first layer, so nothing would be left for the trunk")
    if len(crossing) != 1 or not behind.issuperset(model.outputs):
        past = ", ".join([*crossing, *(name for name in model.outputs if name not in behind)])
        raise ValueError(f"split: the network goes past {at!r}: what is behind needs {past}")
    head = [node for node in model.order if node.name in behind or node.name not in fed]
    return _pruned(Graph(model.order, model.inputs, crossing)), _pruned(Graph(head, crossing, model.outputs))


def _pruned(graph: Graph) -> Graph:
    """The graph without nodes that no output depends on."""
    return Graph(graph.order, graph.inputs, graph.outputs)


def _require_network(op: str, model: Any) -> Network:
    if not isinstance(model, (Sequential, Graph)):
        raise TypeError(f"{op}: expected a Sequential or a Graph, got {type(model).__name__}")
    return model


def replaced(model: Network, path: Path, layer: Layer, *, last: bool = False) -> Network:
    """The model with another layer at `path`; with `last` nothing comes behind it."""
    if isinstance(model, Graph):
        nodes = [
            Node(node.name, _within(node.layer, path[1:], layer, last), node.inputs) if node.name == path[0] else node
            for node in model.order
        ]
        return _pruned(Graph(nodes, model.inputs, path[0] if last else model.outputs))
    children = list(model.children())
    end = [name for name, _ in children].index(path[0]) + 1 if last else len(children)
    kept = dict(children[:end])
    kept[path[0]] = _within(kept[path[0]], path[1:], layer, last)
    return Sequential(kept)


def _within(old: Layer, path: Path, layer: Layer, last: bool) -> Layer:
    return replaced(old, path, layer, last=last) if path else layer
