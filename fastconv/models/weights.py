"""First weights of a network: drawn as He et al. 2015 do, or those of a file, by name.
It must never take memory for weights that a file does not bring, nor leave a network half loaded."""

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

import numpy as np

from ..formats.darknet_weights import read_darknet_weights
from ..formats.files import PathType
from ..formats.state_dict import read_weights
from ..layers import Conv2d, Layer, Linear, Parameter
from ..layers.initial import placeholders, uniform

Renamed = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
Network = TypeVar("Network", bound=Layer)


class Start(TypedDict, total=False):
    """How every network of fastconv.models gets its weights.

    `weights` is a .safetensors, .pth or .pt file whose names are the network's (ValueError lists all that differ,
    FormatError tells what is wrong with a file), or for Darknet's networks a .weights file, told by its suffix. Without
    it they are drawn from `seed`, None for ones that cannot be foretold. `dtype` is float32 or float64.
    """

    weights: PathType | None
    seed: int | None
    dtype: Any


def finished(
    build: Callable[[], Network],
    renamed: Renamed = dict,
    *,
    weights: PathType | None = None,
    seed: int | None = None,
    dtype: Any = np.float32,
) -> Network:
    """The network that `build` makes of layers, with weights as `Start` describes them.

    `renamed` turns the names that published files have into those of the network.
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {dtype}")
    if weights is None:
        with placeholders():
            model = build()
        _draw(model, np.random.default_rng(seed))
        return model.astype(dtype)
    if os.fsdecode(weights).endswith(".weights"):
        with placeholders():
            model = build()
        read_darknet_weights(weights, model)
        return model.astype(dtype)
    with placeholders(dtype.type):
        model = build()
    state = dict(renamed(read_weights(weights)))
    for name, value in model.named_buffers():
        if name.endswith(".num_batches_tracked"):
            state.setdefault(name, np.zeros((), value.dtype))  # files of 2018 and before lack it
    floats = {name: value.astype(dtype, copy=False) for name, value in state.items() if value.dtype.kind == "f"}
    model.load_state_dict(state | floats, assign=True)
    return model


def _draw(model: Layer, generator: np.random.Generator) -> None:
    """Real arrays for the placeholders of all layers.

    Filters are N(0, 2 / fan_in), which keeps the size of activations through any number of ReLUs (He et al. 2015,
    equation 10), biases of convolutions 0; fully connected layers are as PyTorch's, norms as their layer made them.
    """
    for _, layer, attribute in model.named_entries():
        value: Any = getattr(layer, attribute)
        array = value.data if isinstance(value, Parameter) else value
        if isinstance(layer, Linear):
            array = uniform(array.shape, layer.in_features, generator)
        elif isinstance(layer, Conv2d) and attribute == "weight":
            deviation = np.float32(math.sqrt(2 / math.prod(array.shape[1:])))
            array = generator.standard_normal(array.shape, np.float32)
            array *= deviation
        else:
            array = array.copy()
        if isinstance(value, Parameter):
            value.data = array
        else:
            setattr(layer, attribute, array)
