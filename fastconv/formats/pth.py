"""PyTorch's .pth and .pt: weights by name from both containers, the zip archive and the older stream.
It must never run what a file says, nor take memory for elements that the file does not hold."""

import io
import math
from typing import Any, BinaryIO

import numpy as np

from .bounded import BoundedReader
from .errors import FormatError
from .files import PathType, open_regular
from .pickle_names import Tensor
from .stored_archive import StoredArchive
from .tensors import READ_DTYPES, native
from .unpickle import unpickle

ZIP_START = b"PK\x03\x04"
# The pickle that a stream starts with, after words of its protocol: the number 0x1950a86a20f9469cfc6c.
_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
START = 32  # bytes that tell what a file is
# The names under which training scripts put the state dict beside other things.
_STATE_NAMES = ("state_dict", "model_state_dict", "model", "net")


def read_pth(path: PathType) -> dict[str, np.ndarray]:
    """{name: array} of a file that `torch.save(model.state_dict(), path)` wrote.

    A checkpoint that holds the state dict under one of a few usual names is taken too. float16 and bfloat16 become
    float32. FormatError for all else.
    """
    with open_regular(path) as (file, size):
        start = file.read(START)
        file.seek(0)
        if not is_pth(start):
            raise FormatError(path, 0, f"{start[:8]!r}", "a zip archive, or a stream with PyTorch's magic number")
        return _read_archive(file, path, size) if start.startswith(ZIP_START) else _read_stream(file, path, size)


def is_pth(start: bytes) -> bool:
    """Whether a file with these first bytes may be one of PyTorch's."""
    return start.startswith(ZIP_START) or (start.startswith(b"\x80") and _MAGIC in start)


def _read_archive(file: BinaryIO, path: PathType, size: int) -> dict[str, np.ndarray]:
    """data.pkl, which describes the value, and the elements of each storage in data/<key>, under one folder."""
    archive = StoredArchive(file, path, size)
    roots = [name.removesuffix("data.pkl") for name in archive.names if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise FormatError(path, None, f"a zip archive with {len(roots)} data.pkl", "one of PyTorch, with one data.pkl")
    pickle = archive.read(f"{roots[0]}data.pkl")
    value, _ = unpickle(BoundedReader(io.BytesIO(pickle), path, len(pickle), "data.pkl"))
    order = _byte_order(archive, path, f"{roots[0]}byteorder")
    tensors = _tensors(path, value)
    arrays = {}
    for storage in {tensor.storage for tensor in tensors.values()}:
        dtype = READ_DTYPES[storage.dtype].newbyteorder(order)
        data = archive.read(f"{roots[0]}data/{storage.key}", storage.count * dtype.itemsize)
        arrays[storage.key] = native(np.frombuffer(data, dtype), storage.dtype)
    return _views(path, tensors, arrays)


def _byte_order(archive: StoredArchive, path: PathType, name: str) -> str:
    """NumPy's sign of it; archives of older versions have no such file."""
    words = archive.read(name) if name in archive.names else b"little"
    if words not in (b"little", b"big"):
        raise FormatError(path, "byteorder", f"{len(words)} other bytes", "little or big")
    return ">" if words == b"big" else "<"


def _read_stream(file: BinaryIO, path: PathType, size: int) -> dict[str, np.ndarray]:
    """Pickles of the magic number, 1001, the machine, the value and the keys, then each storage with its length."""
    source = BoundedReader(file, path, size)
    unpickle(source)
    (version, _), (machine, _), (value, storages), (keys, _) = (unpickle(source) for _ in range(4))
    if version != 1001:
        raise FormatError(path, None, "another version of the stream", "1001")
    if type(machine) is not dict or type(machine.get("little_endian")) is not bool:
        raise FormatError(path, None, "no word of the byte order", "little_endian")
    if type(keys) is not list or {type(key) for key in keys} - {str} or sorted(keys) != sorted(storages):
        raise FormatError(path, None, "keys that are not those of the tensors", "each storage once")
    order = "<" if machine["little_endian"] else ">"
    tensors = _tensors(path, value)
    wanted = {tensor.storage.key for tensor in tensors.values()}
    arrays = {}
    for key in keys:
        storage = storages[key]
        dtype = READ_DTYPES[storage.dtype].newbyteorder(order)
        count = int.from_bytes(source.take(8), "little" if order == "<" else "big")
        if count != storage.count:
            raise FormatError(path, source.where(source.position - 8), f"{count} elements", f"{storage.count}")
        data = np.frombuffer(source.take(count * dtype.itemsize), dtype)
        if key in wanted:
            arrays[key] = native(data, storage.dtype)
    if source.position != source.size:
        raise FormatError(path, source.where(), "more bytes", "the end of the file")
    return _views(path, tensors, arrays)


def _tensors(path: PathType, value: Any) -> dict[str, Tensor]:
    """The tensors by name, each of which lies inside its storage."""
    if type(value) is dict:
        inner = next((value[name] for name in _STATE_NAMES if type(value.get(name)) is dict), None)
        value = value if inner is None else inner
    if type(value) is not dict:
        raise FormatError(path, None, f"a value of type {type(value).__name__}", "a state dict: tensors by name")
    for name, tensor in value.items():
        where = f"entry {_short(name)}"
        if type(name) is not str or type(tensor) is not Tensor:
            raise FormatError(path, where, f"a value of type {type(tensor).__name__}", "a tensor, named by a text")
        _require_inside(path, where, tensor)
    total = sum(math.prod(tensor.size) for tensor in value.values())
    held = sum(storage.count for storage in {tensor.storage for tensor in value.values()})
    if total > 4 * held:
        raise FormatError(path, None, f"tensors of {total} elements", f"at most 4 for each of the {held} in the file")
    return value


def _require_inside(path: PathType, where: str, tensor: Tensor) -> None:
    offset, size, stride = tensor.offset, tensor.size, tensor.stride
    numbers = (offset, *size, *stride) if type(size) is tuple is type(stride) else (None,)
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers) or len(size) != len(stride):
        raise FormatError(path, where, "another offset, size or stride", "whole numbers, none negative")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    held = math.prod(n for n in size if n) < 2**40 if 0 in size else last < tensor.storage.count
    if len(size) > 32 or not held:
        raise FormatError(path, where, "a tensor that reaches out of its storage", f"{tensor.storage.count} elements")


def _views(path: PathType, tensors: dict[str, Tensor], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """An array of its own for each tensor; without a copy for one that is alone in its storage."""
    users: dict[str, int] = {}
    for tensor in tensors.values():
        users[tensor.storage.key] = users.get(tensor.storage.key, 0) + 1
    result = {}
    for name, (storage, offset, size, stride) in tensors.items():
        data = arrays[storage.key]
        if 0 in size:
            result[name] = np.empty(size, data.dtype)
            continue
        width = data.itemsize
        strides = [step * width if n > 1 else 0 for n, step in zip(size, stride, strict=True)]
        view = np.ndarray(size, data.dtype, data, offset * width, strides)
        alone = users[storage.key] == 1 and view.flags.c_contiguous
        result[name] = view if alone else view.copy()
    return result


def _short(text: Any) -> str:
    shown = repr(text) if type(text) in (str, int) else f"of type {type(text).__name__}"
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
