"""`fastconv.load` and `fastconv.save`: a model file of any format that carries its architecture, told by the suffix.
They must never import the code of a format before a file of that format is asked for."""

import os
from collections.abc import Mapping
from typing import Any

from ..layers.base import Layer
from .files import PathType


def load(path: PathType, *, weights: PathType | None = None, layers: Mapping[str, type[Layer]] | None = None) -> Layer:
    """The model in a file: fastconv's own .safetensors, or a Darknet .cfg with `weights`, its .weights file.

    Of fastconv's own, `model(x)` gives the same bits as when it was saved, and `layers` are the classes of layers that
    are not fastconv's. A .cfg without `weights` gives a network with new weights. What is known of the pictures that it
    takes and of its classes is `model.preprocess` and `model.labels`. FormatError for a file that is malformed.
    """
    suffix = os.path.splitext(os.fsdecode(path))[1].lower()
    if suffix == ".cfg":
        from .darknet import load_darknet

        if layers is not None:
            raise TypeError("load: layers goes with fastconv's own files, not with a .cfg")
        return load_darknet(path, weights)
    if weights is not None:
        raise TypeError(f"load: weights goes with a .cfg, got {os.fsdecode(path)!r}")
    from .model_file import load as load_own

    return load_own(path, layers=layers)


def save(
    model: Layer, path: PathType, *, layers: Mapping[str, type[Layer]] | None = None, input_shape: Any = None
) -> None:
    """Write a model atomically: as .onnx, which other programs run, or under any other name as fastconv's own
    .safetensors, which `load` brings back as it was.

    An .onnx needs `input_shape`, the shape of x with its batch, or a list of one for each input: (1, 3, 224, 224). The
    batch may be of any size in the file, the other sizes are those. It holds `model(x)`, inference, in opset 17, needs
    the onnx package, and is checked by it. Of fastconv's own, any reader of safetensors finds the weights by the names
    of `state_dict()`, and `layers` are the classes of layers that are not fastconv's, {class name: class}. Both carry
    `model.preprocess` and `model.labels`. TypeError for a layer that is not fastconv's.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"save: model must be a Layer, got {type(model).__name__}")
    if os.path.splitext(os.fsdecode(path))[1].lower() == ".onnx":
        from .onnx_write import save_onnx

        if layers is not None:
            raise TypeError("save: layers goes with fastconv's own files, not with an .onnx")
        save_onnx(model, path, input_shape)
        return
    if input_shape is not None:
        raise TypeError(f"save: input_shape goes with an .onnx, got {os.fsdecode(path)!r}")
    from .model_file import save as save_own

    save_own(model, path, layers=layers)
