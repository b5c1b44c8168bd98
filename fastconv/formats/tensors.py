"""Named arrays and text in one safetensors file, through the safetensors package (the extra [train]).
It must never let anything but FormatError out for a malformed file, nor call anything a file names."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .atomic import FileLayer, write_atomically
from .errors import FormatError
from .files import PathType, open_regular

DTYPES = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
}
# What can be read besides: half precision becomes float32, of which bfloat16 is the upper half of the bits.
READ_DTYPES = DTYPES | {
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I8": np.dtype("i1"),
    "I16": np.dtype("<i2"),
    "BOOL": np.dtype("u1"),
}
# The safetensors package's own limit for the header.
_MAX_HEADER = 100_000_000


def write_tensors(
    path: PathType,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
    files: FileLayer | None = None,
) -> None:
    """Write arrays and text atomically: after a crash the file is the old one or the new one."""
    save = _package().numpy.save
    for name, array in tensors.items():
        if array.dtype.newbyteorder("<") not in DTYPES.values():
            raise TypeError(f"write_tensors: {name} has dtype {array.dtype}, which cannot be saved")
    dense = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}
    write_atomically(path, [save(dense, metadata=dict(metadata))], files)


def read_tensors(
    path: PathType, dtypes: Mapping[str, np.dtype] = DTYPES
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """({name: new array}, {key: text}) of a safetensors file; FormatError where it is malformed or has another of
    the `dtypes`."""
    package = _package()
    with open_regular(path) as (file, size):
        data = file.read(size)
    if len(data) != size:
        raise FormatError(path, len(data), "the end of the file", f"{size} bytes (did it change?)")
    header = _header(path, data)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise FormatError(path, "__metadata__", "something else", "an object of texts")
    try:
        entries = package.deserialize(data)
    except package.SafetensorError as error:
        raise FormatError(path, None, str(error), "a valid safetensors file") from None
    return {name: _array(path, name, entry, dtypes) for name, entry in entries}, metadata


def parse_json(text: str | bytes) -> Any:
    """JSON without duplicate keys, NaN or infinities; ValueError where it is not that."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _header(path: PathType, data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little") if len(data) >= 8 else 0
    if not 0 < length <= min(_MAX_HEADER, len(data) - 8):
        limit = min(_MAX_HEADER, max(len(data) - 8, 0))
        raise FormatError(path, 0, f"a header length of {length}", f"1 to {limit} bytes")
    try:
        header = parse_json(data[8 : 8 + length])
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise FormatError(path, 8, f"a header that is not JSON ({error})", "a safetensors header") from None
    if not isinstance(header, dict):
        raise FormatError(path, 8, f"a header of type {type(header).__name__}", "an object")
    return header


def _array(path: PathType, name: str, entry: Mapping[str, Any], dtypes: Mapping[str, np.dtype]) -> np.ndarray:
    dtype = dtypes.get(entry["dtype"])
    if dtype is None:
        raise FormatError(path, f"tensor {name!r}", f"dtype {entry['dtype']}", f"one of {', '.join(dtypes)}")
    shape = tuple(entry["shape"])
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize != len(entry["data"]):
        raise FormatError(path, f"tensor {name!r}", f"shape {shape}", f"{len(entry['data'])} bytes of {dtype}")
    # A bytearray, which belongs to nobody else: no copy is needed.
    values = np.frombuffer(_writeable(entry["data"]), dtype)
    return native(values, entry["dtype"]).reshape(shape)


def native(values: np.ndarray, kind: str) -> np.ndarray:
    """Elements (1-d, as READ_DTYPES has them) in this machine's byte order: half precision as float32, BOOL as bool."""
    if kind == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    if kind == "BOOL":
        return values != 0
    return values.astype(np.float32 if kind == "F16" else values.dtype.newbyteorder("="), copy=False)


def _writeable(data: bytes | bytearray) -> bytearray:
    """`data` itself if it can be written to, else a copy."""
    return data if isinstance(data, bytearray) else bytearray(data)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key comes twice")
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _package() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            'model files and checkpoints need the safetensors package: pip install "fastconv[train]"'
        ) from error
    return safetensors
