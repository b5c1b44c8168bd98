"""`fastconv.load`: opens a model file of any format that carries its architecture, told by the suffix.
It must never import the reader of a format before a file of that format is asked for."""

import os
from collections.abc import Mapping

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
