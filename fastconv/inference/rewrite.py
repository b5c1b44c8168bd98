"""Fewer nodes with the same result: batch norm goes into the weights before it, sums and activations into the store of
a convolution, padding into its window. Each pass is a function of the network; none changes an array of the model."""

import numpy as np

from .. import _program
from .lower import conv_geometry
from .nodes import Network, Node, Value


def rewritten(network: Network) -> Network:
    """All passes, in the order in which one makes room for the next."""
    fold_padding(network)
    fold_batch_norm(network)
    fuse_sums(network)
    fuse_activations(network)
    enter_batch_norm(network)
    join_expansions(network)
    nest_concats(network)
    return network


def fold_padding(network: Network) -> None:
    """Zeros around the last axes before a convolution are its own padding."""
    readers = network.readers()
    for node in [node for node in network.nodes if node.kind == "pad"]:
        layer, (x,) = node.layer, node.inputs
        axes = len(x.shape) - 2
        following = readers[node.output]
        pairs = ((0, 0),) * (axes - len(layer.padding)) + layer.padding
        fits = layer.value == 0 and len(pairs) == axes and node.output not in network.outputs
        if not fits or not all(_takes_padding(other) for other in following):
            node.kind = "call"
            continue
        for other in following:
            stride, padding, *more = other.settings["how"]
            own = [(pad, pad) if isinstance(pad, int) else tuple(pad) for pad in padding]
            both = tuple((a + c, b + d) for (a, b), (c, d) in zip(pairs, own, strict=True))
            other.settings["how"] = (stride, both, *more)
            shape = other.settings["weight"].shape
            other.settings["geometry"] = conv_geometry(x.shape, shape, *other.settings["how"])
        network.take_out(node, x)


def _takes_padding(node: Node) -> bool:
    return node.kind == "conv" and not isinstance(node.settings["how"][1], str)


def fold_batch_norm(network: Network) -> None:
    """Behind a convolution or a fully connected layer that nobody else reads, normalising is scaling the filters."""
    readers = network.readers()
    for node in [node for node in network.nodes if node.kind == "batch_norm"]:
        x, how = node.inputs[0], node.settings
        if not network.only_reader(x, readers) or x.maker.kind not in ("conv", "linear"):
            continue
        scale = 1 / np.sqrt(how["var"].astype(np.float64) + how["eps"])
        if how["weight"] is not None:
            scale *= how["weight"]
        into = x.maker.settings
        shift = (0 if into["bias"] is None else into["bias"]) - how["mean"].astype(np.float64)
        shift = shift * scale if how["bias"] is None else shift * scale + how["bias"]
        if not np.isfinite(scale).all() or not np.isfinite(shift).all():
            continue  # what is not finite stays where it is
        into["scale"] = scale if "scale" not in into else scale * into["scale"]
        into["bias"] = shift.astype(network.dtype)
        _merge(network, node, x.maker)


def fuse_sums(network: Network) -> None:
    """A sum with what a convolution gives is added where the convolution stores, if the other term is there by then."""
    for node in [node for node in network.nodes if node.kind == "add"]:
        readers = network.readers()
        places = {other.output: place for place, other in enumerate(network.nodes)}
        terms = node.inputs
        for own, other in sorted(
            ((terms[0], terms[1]), (terms[1], terms[0])), key=lambda pair: places.get(pair[0], -1), reverse=True
        ):
            conv = own.maker
            if own is other or conv is None or conv.kind != "conv" or not network.only_reader(own, readers):
                continue
            if "add" in conv.settings or conv.settings.get("function") or places.get(other, -1) >= places[own]:
                continue
            conv.settings["add"] = True
            conv.inputs.append(other)
            _merge(network, node, conv)
            break


def fuse_activations(network: Network) -> None:
    """ReLU and its kin at the store of a convolution; a ReLU in one pass with batch norm or a sum."""
    readers = network.readers()
    for node in [node for node in network.nodes if node.kind == "activation"]:
        x, function = node.inputs[0], node.settings["function"]
        if not network.only_reader(x, readers):
            continue
        before = x.maker
        if before.kind == "conv" and not before.settings.get("function"):
            before.settings.update(function=function, slope=node.settings["slope"])
        elif before.kind == "batch_norm" and function == "relu" and not before.settings["relu"]:
            before.settings["relu"] = True
        elif before.kind == "add" and function == "relu" and before.settings["function"] == "add":
            before.settings["function"] = "add_relu"
        else:
            continue
        _merge(network, node, before)


def enter_batch_norm(network: Network) -> None:
    """Batch norm and ReLU that only 1x1 convolutions read: each does it as it copies its input for its own use."""
    readers = network.readers()
    for node in [node for node in network.nodes if node.kind == "batch_norm" and node.settings["relu"]]:
        how, y, following = node.settings, node.output, readers[node.output]
        if y in network.outputs or not following or not all(_takes_entry(other, y) for other in following):
            continue
        factor = 1 / np.sqrt(how["var"].astype(np.float64) + how["eps"])
        factor = factor if how["weight"] is None else factor * how["weight"]
        shift = np.zeros_like(factor) if how["bias"] is None else how["bias"]
        entry = np.stack([how["mean"], factor, shift]).astype(network.dtype)
        for other in following:
            other.settings["entry"] = entry
        network.take_out(node, node.inputs[0])


def _takes_entry(node: Node, x: Value) -> bool:
    if node.kind != "conv" or "entry" in node.settings:
        return False
    return node.inputs[0] is x and x not in node.inputs[1:] and node.settings["geometry"].pointwise


def join_expansions(network: Network) -> None:
    """A 1x1 convolution that only a depthwise one reads passes its channels on as it makes them."""
    readers = network.readers()
    for node in [node for node in network.nodes if node.kind == "conv"]:
        x, how = node.inputs[0], node.settings
        if not network.only_reader(x, readers) or x.maker.kind != "conv" or "add" in how or "entry" in how:
            continue
        first = x.maker.settings
        if "add" in first or "entry" in first:
            continue
        if _program.expands(first["geometry"], how["geometry"], network.dtype.itemsize):
            network.nodes.remove(x.maker)
            node.kind, node.inputs = "expand", x.maker.inputs
            how["first"] = x.maker


def nest_concats(network: Network) -> None:
    """A concat that begins with all that an earlier one joins reads that one's result: each part has one place."""
    made: dict[tuple[Value, ...], Value] = {}
    for node in network.nodes:
        if node.kind != "concat":
            continue
        parts = tuple(node.inputs)
        for count in range(len(parts), 1, -1):
            if parts[:count] in made:
                node.inputs = [made[parts[:count]], *parts[count:]]
                break
        made.setdefault(parts, node.output)


def _merge(network: Network, node: Node, into: Node) -> None:
    """`into`, whose result only `node` reads, computes what `node` did."""
    network.nodes.remove(node)
    into.output = node.output
    into.output.maker = into
