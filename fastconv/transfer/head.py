"""A new head for a trained network: as many outputs as there are classes.
It must never change the network that it is given: the new one shares the layers of its trunk."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..layers import Graph, Identity, Layer, Linear, LogSoftmax, Sequential, Sigmoid, Softmax
from ..layers.initial import uniform
from .cut import CLASSIFYING, Network, Path, join, leaves, place, replaced, split

_PROBABILITIES = (Softmax, LogSoftmax, Sigmoid)


def replace_head(
    model: Network, classes: int | Sequence[str], *, at: str | None = None, head: Layer | None = None, seed: Any = None
) -> Network:
    """The network with new weights for `classes` classes, a number or their names, which become `labels`.

    Without `at` the last layer with weights is replaced: fully connected, or a convolution as in SqueezeNet. With `at`,
    which `split` describes, the first fully connected layer from there on is, and all behind it falls away:
    "classifier" takes all three of a VGG. `head`, a layer from what the trunk gives to (N, classes), stands at that
    place instead. The result gives logits, what CrossEntropyLoss takes: a softmax behind the old head falls away. The
    model stays as it is; its trunk is shared, not copied. New weights are drawn as `Linear`'s from `seed`, None for
    ones that cannot be foretold.
    """
    count, labels = _classes(classes)
    trunk, old = split(model, at)
    path = place(model, at)
    path = path[:1] if isinstance(model, Graph) else path
    if head is None:
        new = _new_head(old, count, last=at is None, generator=np.random.default_rng(seed))
    elif not isinstance(head, Layer):
        raise TypeError(f"replace_head: head must be a Layer, got {type(head).__name__}")
    elif isinstance(old, Graph):
        new = Graph([(path[0], head, old.inputs)], old.inputs)
    else:
        for name in reversed(path):
            head = Sequential({name: head})
        new = head
    found = join(trunk, new)
    found.labels = labels
    return found


def _new_head(old: Network, count: int, last: bool, generator: np.random.Generator) -> Network:
    """The old head with its last layer with weights for `count` classes, or its first and nothing behind it."""
    weighted = [(path, layer) for path, layer in leaves(old) if isinstance(layer, CLASSIFYING)]
    path, layer = weighted[-1 if last else 0] if weighted else ((), None)
    if isinstance(layer, Linear):
        return replaced(old, path, _resized(layer, "out_features", count, generator), last=True)
    if layer is None or not last:
        raise ValueError(f"replace_head: expected a Linear as the first layer from at on, found {layer!r}; give head")
    new = replaced(old, path, _resized(layer, "out_channels", count, generator))
    for behind in _probabilities(new):
        new = replaced(new, behind, Identity())
    return new


def _probabilities(head: Network) -> list[Path]:
    return [path for path, layer in leaves(head) if isinstance(layer, _PROBABILITIES)]


def _resized(layer: Any, name: str, count: int, generator: np.random.Generator) -> Layer:
    """A layer like this one with `count` outputs, a bias, and new weights of the same dtype."""
    if getattr(layer, "groups", 1) != 1:
        raise ValueError(f"replace_head: {layer!r} is a grouped convolution; give head")
    new: Any = type(layer).from_config({**layer.config(), name: count, "bias": True})
    fan_in = int(np.prod(new.weight.data.shape[1:]))
    for parameter in (new.weight, new.bias):
        parameter.data = uniform(parameter.data.shape, fan_in, generator)
    return new.astype(layer.weight.data.dtype)


def _classes(classes: Any) -> tuple[int, tuple[str, ...]]:
    if isinstance(classes, (int, np.integer)) and not isinstance(classes, bool):
        count, labels = int(classes), ()
    elif isinstance(classes, Sequence) and not isinstance(classes, str) and all(isinstance(c, str) for c in classes):
        count, labels = len(classes), tuple(classes)
    else:
        raise TypeError(f"replace_head: classes must be a number or names, got {classes!r}")
    if count < 1 or len(set(labels)) != len(labels):
        raise ValueError(f"replace_head: classes must be at least 1 and none twice, got {classes!r}")
    return count, labels
