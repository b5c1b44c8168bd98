"""Checkpoints: the whole state of a training as one safetensors file with a content hash.
Writing must never leave a torn file; reading never believes one: damage is a FormatError."""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .formats.atomic import FileLayer
from .formats.errors import FormatError
from .formats.files import PathType
from .formats.tensors import parse_json, read_tensors, write_tensors

_VERSION_KEY, _VERSION = "fastconv.checkpoint", "1"
_STATE_KEY, _HASH_KEY = "fastconv.state", "fastconv.sha256"
_TENSOR, _FLOAT = "$tensor", "$float"

_NAME = re.compile(r"checkpoint-(\d{10,18})\.safetensors")


def save_checkpoint(path: PathType, state: Mapping[str, Any], files: FileLayer | None = None) -> None:
    """Write a tree of dicts (keys are text), lists, arrays, numbers, texts and None, atomically."""
    tensors: dict[str, np.ndarray] = {}
    skeleton = json.dumps(_flatten(state, "", tensors), allow_nan=False)
    metadata = {_VERSION_KEY: _VERSION, _STATE_KEY: skeleton, _HASH_KEY: _digest(skeleton, tensors)}
    write_tensors(path, tensors, metadata, files)


def load_checkpoint(path: PathType) -> dict[str, Any]:
    """The tree that `save_checkpoint` wrote, lists for tuples; FormatError if a single bit of it changed."""
    tensors, metadata = read_tensors(path)
    if metadata.get(_VERSION_KEY) != _VERSION:
        found = f"version {metadata.get(_VERSION_KEY)!r}"
        raise FormatError(path, "__metadata__", found, f"{_VERSION_KEY} {_VERSION!r}")
    skeleton, digest = metadata.get(_STATE_KEY, ""), metadata.get(_HASH_KEY, "")
    if _digest(skeleton, tensors) != digest:
        raise FormatError(path, None, "content that does not match its hash", f"SHA-256 {digest or 'in the header'}")
    try:
        state = _unflatten(parse_json(skeleton), tensors)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, _STATE_KEY, f"text that is refused ({error})", "the state of a training") from None
    if not isinstance(state, dict):
        raise FormatError(path, _STATE_KEY, type(state).__name__, "an object")
    return state


def checkpoint_path(folder: PathType, step: int) -> str:
    """The name of the checkpoint after `step` steps."""
    return os.path.join(os.fsdecode(folder), f"checkpoint-{step:010d}.safetensors")


def list_checkpoints(folder: PathType) -> list[tuple[int, str]]:
    """(step, path) of the checkpoints in a folder, oldest first; other files are passed over."""
    folder = os.fsdecode(folder)
    names = ((_NAME.fullmatch(name), name) for name in os.listdir(folder))
    return sorted((int(match[1]), os.path.join(folder, name)) for match, name in names if match)


def _flatten(value: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    """`value` as JSON-able data, its arrays moved to `tensors` under their dotted path."""
    if isinstance(value, np.ndarray):
        name = path
        while name in tensors:
            name += "~"
        tensors[name] = value
        return {_TENSOR: name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        if not all(isinstance(key, str) and not key.startswith("$") for key in value):
            raise TypeError(f"checkpoint: keys must be texts without a leading $, got {list(value)!r}")
        return {key: _flatten(item, f"{path}.{key}" if path else key, tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_flatten(item, f"{path}.{position}", tensors) for position, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"checkpoint: {path} is a {type(value).__name__}, which cannot be saved")


def _unflatten(value: Any, tensors: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_unflatten(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        name = value[_TENSOR]
        if len(value) != 1 or not isinstance(name, str) or name not in tensors:
            raise ValueError(f"a tensor {name!r} that is not there")
        return tensors[name]
    if _FLOAT in value:
        if value not in ({_FLOAT: "nan"}, {_FLOAT: "inf"}, {_FLOAT: "-inf"}):
            raise ValueError(f"{value!r} for a number")
        return float(value[_FLOAT])
    return {key: _unflatten(item, tensors) for key, item in value.items()}


def _digest(skeleton: str, tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the text and over name, dtype, shape and bytes (little-endian) of every array."""
    digest = hashlib.sha256(skeleton.encode())
    for name in sorted(tensors):
        array = tensors[name]
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
