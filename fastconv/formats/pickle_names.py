"""The names that a PyTorch weight file may use, and what each stands for: a dict, a tensor, a kind of storage.
It must never grow a name that does anything but build plain values."""

from collections.abc import Callable
from typing import Any, NamedTuple

# The elements of each kind of storage, by the names of safetensors.
_STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}


class Storage(NamedTuple):
    """A run of `count` elements of `dtype` that the file holds under `key`."""

    dtype: str
    key: str
    count: int


class Tensor(NamedTuple):
    """A view of a storage, in elements; its numbers are as the file gives them, not checked yet."""

    storage: Storage
    offset: Any
    size: Any
    stride: Any


class StorageKind(NamedTuple):
    """The class of a storage: what its elements are."""

    dtype: str


class Function(NamedTuple):
    """A name that a file may call, and what happens then."""

    call: Callable[[tuple[Any, ...]], Any]


class RefusedError(Exception):
    """(found, expected) at the place that is being read."""


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """An OrderedDict, of a list of pairs as Python 2 wrote it."""
    result: dict[Any, Any] = {}
    pairs = arguments[0] if arguments else []
    if len(arguments) > 1 or type(pairs) is not list:
        raise RefusedError("OrderedDict of something else", "OrderedDict() or one of a list of pairs")
    taken = pairs[:]
    pairs.clear()  # or a file could have a long list copied again and again
    for pair in taken:
        if type(pair) not in (tuple, list) or len(pair) != 2:
            raise RefusedError("OrderedDict of something else", "a list of pairs")
        set_item(result, *pair)
    return result


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
    if len(arguments) < 4 or type(arguments[0]) is not Storage:
        raise RefusedError("a tensor of something else", "a storage, offset, size and stride")
    return Tensor(*arguments[:4])


def _parameter(arguments: tuple[Any, ...]) -> Tensor:
    if len(arguments) != 3 or type(arguments[0]) is not Tensor:
        raise RefusedError("a parameter of something else", "a tensor, requires_grad and hooks")
    return arguments[0]


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != 1 or type(arguments[0]) is not tuple:
        raise RefusedError("torch.Size of something else", "a tuple")
    return arguments[0]


NAMES: dict[tuple[str, str], Function | StorageKind] = {
    ("collections", "OrderedDict"): Function(_dictionary),
    ("torch._utils", "_rebuild_tensor"): Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): Function(_parameter),
    ("torch", "Size"): Function(_size),
    **{("torch", name): StorageKind(dtype) for name, dtype in _STORAGES.items()},
}


def set_item(target: dict[Any, Any], key: Any, value: Any) -> None:
    if type(key) not in (str, int):  # hashing a tuple that is nested a million deep would overflow the stack
        raise RefusedError(f"a key of type {type(key).__name__}", "text or an integer")
    target[key] = value
