"""Reads and writes Darknet's .weights: the arrays of a network one after the other, without names or shapes.
It must never accept a file of another length than the network needs, nor take memory before that is known."""

import struct
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from ..layers.base import Layer
from ..layers.conv import Conv2d
from ..layers.linear import Linear
from ..layers.norm import BatchNorm1d, BatchNorm2d
from ..layers.parameter import Parameter
from .atomic import write_atomically
from .errors import FormatError
from .files import PathType, open_regular, read_exactly

# major, minor, revision, and from 0.2 on `seen`, the pictures trained on, in 8 bytes.
_VERSION = struct.Struct("<3i")
_WRITTEN = (0, 2, 0)
# Darknet writes 0.1 and 0.2; 1000 is added where the matrices of [connected] are transposed.
_TRANSPOSED = 1000
_HIGHEST = 20

# (layer, name of its parameter or buffer, whether it is the matrix of a fully connected layer)
Entry = tuple[Layer, str, bool]


def read_darknet_weights(path: PathType, model: Layer) -> int:
    """Put the float32 arrays of a .weights file into `model`; returns `seen`, how many pictures it was trained on.

    The order is that of the model's layers: of each convolution or fully connected layer the bias, then scale, mean
    and variance of the batch norm behind it, then the weights (which in fully connected layers come before the scale).
    FormatError for a file that is not exactly as long as the model needs; then the model is unchanged. Weights that
    are not finite are read, with a RuntimeWarning. ValueError for a model that no such file can hold.
    """
    entries = list(_entries(model))
    with open_regular(path) as (file, size):
        major, minor, seen = _read_header(file, path)
        begin = file.tell()
        count = sum(_array(entry).size for entry in entries)
        if size != begin + 4 * count:
            expected = f"{begin + 4 * count} bytes ({count:,} weights)"
            raise FormatError(path, None, f"{size} bytes ({(size - begin) / 4:,.10g} weights)", expected)
        transposed = max(major, minor) > _TRANSPOSED
        arrays = [_read(file, path, _array(entry).shape, transposed and entry[2]) for entry in entries]
    for (layer, name, _), array in zip(entries, arrays, strict=True):
        value = getattr(layer, name)
        if isinstance(value, Parameter):
            value.data = array
            value.version += 1
        else:
            setattr(layer, name, array)
    for layer, name, _ in entries:
        if name == "running_mean":
            layer.num_batches_tracked = np.zeros((), np.int64)
    strange = sum(array.size - np.count_nonzero(np.isfinite(array)) for array in arrays)
    if strange:
        warnings.warn(f"{path}: {strange:,} weights are NaN or infinite", RuntimeWarning, stacklevel=2)
    return seen


def write_darknet_weights(model: Layer, path: PathType, *, seen: int = 0) -> None:
    """Write the weights of `model` (float32) atomically, as `read_darknet_weights` reads them and Darknet does."""
    arrays = [_array(entry) for entry in _entries(model)]
    if any(array.dtype != np.float32 for array in arrays):
        raise TypeError("write_darknet_weights: expected weights in float32; model.astype(np.float32) makes them so")
    header = _VERSION.pack(*_WRITTEN) + struct.pack("<q", seen)
    write_atomically(path, [header, *(np.ascontiguousarray(array, "<f4").data.cast("B") for array in arrays)])


def _read_header(file: BinaryIO, path: PathType) -> tuple[int, int, int]:
    major, minor, revision = _VERSION.unpack(read_exactly(file, path, 0, _VERSION.size))
    for at, number in ((0, major), (4, minor)):
        if not 0 <= number % _TRANSPOSED <= _HIGHEST or not 0 <= number < 2 * _TRANSPOSED:
            raise FormatError(path, at, f"version {major}.{minor}", "a version of Darknet's weights, such as 0.2")
    long = major * 10 + minor >= 2 and max(major, minor) < _TRANSPOSED
    kind = "<q" if long else "<i"
    (seen,) = struct.unpack(kind, read_exactly(file, path, _VERSION.size, struct.calcsize(kind)))
    if seen < 0 or revision < 0:
        raise FormatError(path, 8, f"revision {revision}, {seen} pictures seen", "numbers of at least 0")
    return major, minor, seen


def _read(file: BinaryIO, path: PathType, shape: tuple[int, ...], transposed: bool) -> np.ndarray:
    array = np.empty(shape[::-1] if transposed else shape, "<f4")
    at = file.tell()
    got = file.readinto(array.reshape(-1).view(np.uint8).data)
    if got != array.nbytes:
        raise FormatError(path, at + got, "the end of the file", f"{array.nbytes - got} more bytes (did it change?)")
    return np.ascontiguousarray(array.T if transposed else array, np.float32)


def _array(entry: Entry) -> np.ndarray:
    value = getattr(entry[0], entry[1])
    return value.data if isinstance(value, Parameter) else value


def _entries(model: Layer) -> Iterator[Entry]:
    """What the file holds, in its order; ValueError where the model has weights that it cannot hold."""
    weighted = [
        layer for _, layer in model.named_layers() if any(isinstance(v, Parameter) for v in vars(layer).values())
    ]
    position = 0
    while position < len(weighted):
        layer = weighted[position]
        after = weighted[position + 1] if position + 1 < len(weighted) else None
        norm = after if isinstance(after, (BatchNorm1d, BatchNorm2d)) else None
        if not isinstance(layer, (Conv2d, Linear)) or (layer.bias is None) != (norm is not None):
            raise ValueError(
                f"a .weights file cannot hold {layer!r}: expected convolutions and fully connected layers, each with "
                "either a bias or a batch norm behind it"
            )
        if norm is not None and not (norm.affine and norm.track_running_stats):
            raise ValueError(f"a .weights file cannot hold {norm!r}: it has no weights or no running statistics")
        matrix = (layer, "weight", isinstance(layer, Linear))
        yield (layer if norm is None else norm), "bias", False
        if isinstance(layer, Linear):
            yield matrix
        if norm is not None:
            for name in ("weight", "running_mean", "running_var"):
                yield norm, name, False
        if isinstance(layer, Conv2d):
            yield matrix
        position += 1 if norm is None else 2
