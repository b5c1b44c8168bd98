"""Reads the part of pickle that PyTorch's weight files are made of: plain values, tensors, nothing else.
It must never import or call what a file names, nor use Python's pickle: what is not listed here is refused."""

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from .bounded import BoundedReader
from .errors import FormatError
from .pickle_names import NAMES, Function, RefusedError, Storage, StorageKind, set_item

# More than 10,000 tensors take; it bounds the memory of a file that is made of instructions.
MAX_INSTRUCTIONS = 1_000_000
_MAX_TEXT = 1_000_000


def unpickle(source: BoundedReader) -> tuple[Any, dict[str, Storage]]:
    """The value that the pickle at the source's position describes, and all its storages by key.

    The value is made of None, bool, int, float, str, list, tuple, dict, Storage and Tensor, nested in any way, even
    in itself: walk it by one level at a time. FormatError for anything else.
    """
    machine = _Machine(source)
    for _ in range(MAX_INSTRUCTIONS):
        start = source.position
        code = source.take(1)[0]
        if code == _STOP:
            return _guarded(source, start, machine.pop), machine.storages
        if code not in _STEPS:
            found = f"pickle instruction 0x{code:02x}"
            raise FormatError(source.path, source.where(start), found, "one of a state dict")
        _guarded(source, start, partial(_STEPS[code], machine))
    raise FormatError(source.path, source.where(), "more instructions", f"at most {MAX_INSTRUCTIONS:,} in a pickle")


def _guarded(source: BoundedReader, start: int, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except RefusedError as refusal:
        raise FormatError(source.path, source.where(start), *refusal.args) from None


class _Machine:
    """The stack, marks and memo of one pickle."""

    def __init__(self, source: BoundedReader) -> None:
        self.source = source
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def unsigned(self, length: int) -> int:
        return int.from_bytes(self.source.take(length), "little")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        floor = self.marks[-1] if self.marks else 0
        if len(self.stack) <= floor:
            raise RefusedError("an empty stack", "a value on it")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise RefusedError("no mark", "a mark on the stack")
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def top(self, kind: type) -> Any:
        """The container on top of the stack, which stays there."""
        floor = self.marks[-1] if self.marks else 0
        if len(self.stack) <= floor or type(self.stack[-1]) is not kind:
            raise RefusedError("no such container", f"a {kind.__name__} on the stack")
        return self.stack[-1]

    def text(self, length: int) -> str:
        if length > _MAX_TEXT:
            raise RefusedError(f"a text of {length} bytes", f"at most {_MAX_TEXT}")
        try:
            return self.source.take(length).decode()
        except UnicodeDecodeError:
            raise RefusedError("a text that is not UTF-8", "UTF-8") from None

    def line(self) -> str:
        """Text up to a line feed, as protocol 0 writes it."""
        data = bytearray()
        while (byte := self.source.take(1)) != b"\n":
            data += byte
            if len(data) > 200:
                raise RefusedError("a name of more than 200 bytes", "a name that PyTorch writes")
        return data.decode("latin-1")


def _named(machine: _Machine, module: str, name: str) -> None:
    known = NAMES.get((module, name))
    if known is None:
        full = f"{module}.{name}"
        full = full if len(full) <= 100 else full[:97] + "..."
        raise RefusedError(
            f"the name {full!r}", "tensors and plain values alone (save model.state_dict(), not the model)"
        )
    machine.push(known)


def _global(machine: _Machine) -> None:
    module = machine.line()
    _named(machine, module, machine.line())


def _stack_global(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if type(name) is not str or type(module) is not str:
        raise RefusedError("a name that is not text", "text")
    _named(machine, module, name)


def _reduce(machine: _Machine) -> None:
    arguments, function = machine.pop(), machine.pop()
    if type(function) is not Function or type(arguments) is not tuple:
        raise RefusedError(f"a call of {type(function).__name__}", "a function and its arguments")
    machine.push(function.call(arguments))


def _build(machine: _Machine) -> None:
    machine.pop()  # attributes, such as the versions of modules: nothing of the weights
    machine.top(dict)


def _persistent(machine: _Machine) -> None:
    value = machine.pop()
    if type(value) is not tuple or len(value) not in (5, 6) or value[0] != "storage" or value[5:] not in ((), (None,)):
        raise RefusedError("another persistent id", "('storage', kind, key, place, count)")
    kind, key, _, count = value[1:5]
    if type(kind) is not StorageKind or type(key) is not str or type(count) is not int or count < 0:
        raise RefusedError("a malformed storage", "('storage', kind, key, place, count)")
    storage = Storage(kind.dtype, key, count)
    if machine.storages.setdefault(key, storage) != storage:
        raise RefusedError("a storage that is described in two ways", "one description")
    machine.push(storage)


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.top(list).extend(values)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    set_item(machine.top(dict), key, value)


def _set_items(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    target = machine.top(dict)
    if len(values) % 2:
        raise RefusedError("a key without a value", "pairs")
    for key, value in zip(values[::2], values[1::2], strict=True):
        set_item(target, key, value)


def _put(machine: _Machine, index: int) -> None:
    value = machine.pop()
    machine.push(value)
    machine.memo[index] = value


def _get(machine: _Machine, index: int) -> None:
    if index not in machine.memo:
        raise RefusedError(f"a reference to value {index}", "one that was stored before")
    machine.push(machine.memo[index])


def _tuple_of(count: int) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(tuple(reversed([machine.pop() for _ in range(count)])))


def _signed(machine: _Machine, length: int) -> None:
    machine.push(int.from_bytes(machine.source.take(length), "little", signed=True))


_STOP = ord(".")
_STEPS: dict[int, Callable[[_Machine], None]] = {
    0x80: lambda m: m.unsigned(1) and None,  # PROTO
    0x95: lambda m: m.unsigned(8) and None,  # FRAME
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: _signed(m, 4),
    ord("K"): lambda m: m.push(m.unsigned(1)),
    ord("M"): lambda m: m.push(m.unsigned(2)),
    0x8A: lambda m: _signed(m, m.unsigned(1)),  # LONG1
    ord("G"): lambda m: m.push(struct.unpack(">d", m.source.take(8))[0]),
    ord("X"): lambda m: m.push(m.text(m.unsigned(4))),
    ord("T"): lambda m: m.push(m.text(m.unsigned(4))),
    ord("U"): lambda m: m.push(m.text(m.unsigned(1))),
    0x8C: lambda m: m.push(m.text(m.unsigned(1))),  # SHORT_BINUNICODE
    ord("]"): lambda m: m.push([]),
    ord("}"): lambda m: m.push({}),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.pop_to_mark())),
    0x85: _tuple_of(1),
    0x86: _tuple_of(2),
    0x87: _tuple_of(3),
    ord("a"): _append,
    ord("e"): _appends,
    ord("s"): _set_item,
    ord("u"): _set_items,
    ord("q"): lambda m: _put(m, m.unsigned(1)),
    ord("r"): lambda m: _put(m, m.unsigned(4)),
    0x94: lambda m: _put(m, len(m.memo)),  # MEMOIZE
    ord("h"): lambda m: _get(m, m.unsigned(1)),
    ord("j"): lambda m: _get(m, m.unsigned(4)),
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): _reduce,
    ord("b"): _build,
    ord("Q"): _persistent,
}
