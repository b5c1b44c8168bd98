"""fastconv's own model file: weights by name in a .safetensors, with the architecture as JSON beside them, and for
pictures the preprocessing and the names of the classes.
Loading must never build a layer that is not in the closed table, nor take memory the file does not fill."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..data.preprocess import Preprocess
from ..layers.base import Layer
from ..layers.initial import placeholders
from ..layers.parameter import Parameter
from ..layers.table import from_description, to_description
from .errors import FormatError
from .files import PathType
from .tensors import parse_json, read_tensors, write_tensors

_VERSION_KEY, _VERSION = "fastconv.model", "1"
_ARCHITECTURE_KEY = "fastconv.architecture"
_PREPROCESS_KEY, _LABELS_KEY = "fastconv.preprocess", "fastconv.labels"

Kinds = Mapping[str, type[Layer]]


def save(model: Layer, path: PathType, *, layers: Kinds | None = None) -> None:
    """Write a model atomically: its architecture, and its weights by the names of `state_dict()`.

    Any reader of safetensors finds the weights. `model.preprocess` and `model.labels` are written where they are set.
    TypeError for a layer that is not fastconv's, unless it is in
    `layers`, {class name: class}.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"save: model must be a Layer, got {type(model).__name__}")
    architecture = json.dumps(to_description(model, layers), allow_nan=False)
    metadata = {_VERSION_KEY: _VERSION, _ARCHITECTURE_KEY: architecture}
    write_tensors(path, model.state_dict(copy=False), metadata | picture_metadata(model))


def picture_metadata(model: Layer) -> dict[str, str]:
    """The model's preprocessing and the names of its classes, where they are set, as text for a file."""
    metadata = {}
    if model.preprocess is not None:
        metadata[_PREPROCESS_KEY] = json.dumps(model.preprocess.to_json(), allow_nan=False)
    if model.labels:
        metadata[_LABELS_KEY] = json.dumps([str(label) for label in model.labels])
    return metadata


def load(path: PathType, *, layers: Kinds | None = None) -> Layer:
    """The model that `save` wrote: `model(x)` gives the same bits as before.

    FormatError for a file that is damaged, of another format, or names a layer that is neither fastconv's nor
    in `layers`. Frozen weights and `eval()` are not part of the file.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get(_VERSION_KEY) != _VERSION:
        found = metadata.get(_VERSION_KEY)
        what = f"version {found!r}" if found else "no architecture (bare weights? use load_state_dict)"
        raise FormatError(path, "__metadata__", what, f"{_VERSION_KEY} {_VERSION!r}")
    try:
        description = parse_json(metadata.get(_ARCHITECTURE_KEY, ""))
        with placeholders():
            model = from_description(description, layers)
    except (ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise FormatError(
            path, _ARCHITECTURE_KEY, f"text that is refused ({error})", "the description of a model"
        ) from None
    _adopt(path, model, tensors)
    take_picture_metadata(model, path, metadata)
    return model


def take_picture_metadata(model: Layer, path: PathType, metadata: Mapping[str, str]) -> None:
    """Set what `picture_metadata` wrote into this file, where it did."""
    if _PREPROCESS_KEY in metadata:
        model.preprocess = _read_text(path, metadata, _PREPROCESS_KEY, Preprocess.from_json)
    if _LABELS_KEY in metadata:
        model.labels = _read_text(path, metadata, _LABELS_KEY, _labels)


def _read_text(path: PathType, metadata: Mapping[str, str], key: str, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(parse_json(metadata[key]))
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(path, key, f"text that is refused ({error})", "what fastconv.save writes") from None


def _labels(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("not a list of names")
    return tuple(names)


def _adopt(path: PathType, model: Layer, tensors: dict[str, np.ndarray]) -> None:
    """Put the file's arrays in the place of the model's placeholders."""
    entries = {name: (layer, attribute) for name, layer, attribute in model.named_entries()}
    floats = {array.dtype for array in tensors.values() if array.dtype.kind == "f"}
    if len(floats) > 1:
        raise FormatError(path, None, "both float32 and float64", "weights of one dtype")
    for name in sorted(set(entries) ^ set(tensors)):
        found = "no tensor" if name in entries else "a tensor that the model does not have"
        raise FormatError(path, f"tensor {name!r}", found, "the tensors of the model")
    for name, (layer, attribute) in entries.items():
        value: Any = getattr(layer, attribute)
        wanted, array = value.data if isinstance(value, Parameter) else value, tensors[name]
        if array.shape != wanted.shape or array.dtype.kind != wanted.dtype.kind:
            found = f"{array.dtype} {array.shape}"
            raise FormatError(path, f"tensor {name!r}", found, f"{wanted.dtype.kind} {wanted.shape}")
        array = array.astype(np.int64, copy=False) if array.dtype.kind == "i" else array
        if isinstance(value, Parameter):
            value.data = array
        else:
            setattr(layer, attribute, array)
