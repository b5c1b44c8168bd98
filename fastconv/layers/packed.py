"""Weights of convolutions prepared once for many inferences, and whether they still are those of the layer.
It must never keep an array that the layer does not own."""

from typing import NamedTuple

import numpy as np

from .. import functional as F
from ._calling import note, recording
from .base import Layer
from .parameter import Parameter

Shape = tuple[int, ...]


class Packed(NamedTuple):
    """What was prepared from a parameter, and which of its values that was."""

    weight: F.PackedWeight
    version: int

    def of(self, parameter: Parameter) -> F.PackedWeight | np.ndarray:
        """The prepared weight, or the plain one where the parameter has changed since."""
        same = self.version == parameter.version and self.weight.source is parameter.data
        return self.weight if same else parameter.data


def pack(model: Layer, shapes: tuple[Shape, ...]) -> None:
    """`Layer.pack`: the shapes of the layers inside come from one inference of zeros."""
    from .conv import PACKS

    layers = [layer for _, layer in model.named_layers() if isinstance(layer, PACKS)]
    for layer in layers:
        layer.packed = None
    if not shapes:
        return
    dtype = next((parameter.data.dtype for parameter in model.parameters()), np.dtype(np.float32))
    xs = tuple(np.zeros(shape, dtype) for shape in shapes)
    with recording() as calls:
        note(calls, model, xs, model(*xs))
    for layer, inputs, _ in calls:
        if isinstance(layer, PACKS) and layer.packed is None:
            prepared = F.pack(layer.weight.data, **layer.geometry(), input_shape=inputs[0])
            layer.packed = Packed(prepared, layer.weight.version)
