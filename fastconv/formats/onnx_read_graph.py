"""The Graph that a reader of ONNX wires up, and what is known of every name on the way.
It must never decide what an operator means: the builders do."""

import math
from collections.abc import Iterable

import numpy as np

from ..layers import Layer
from .files import PathType
from .onnx_read_tensors import Tensors

Shape = tuple[int | None, ...]

# In the shape of an array, in place of the size of axis a that is not known before x is there: _OPEN - a. Nodes that
# only move numbers may have such ones.
_OPEN = -(2**60)
_AXES = 64
_MOVES = frozenset(("Identity", "Cast", "Gather", "Slice", "Concat", "Unsqueeze", "Squeeze"))


def with_open(shape: Shape) -> np.ndarray:
    """A shape as the numbers that Shape gives."""
    return np.array([_OPEN - axis if size is None else size for axis, size in enumerate(shape)], np.int64)


def open_axis(number: int) -> int | None:
    """The axis whose size this number stands for, None for a number that is one."""
    return _OPEN - number if _OPEN - _AXES < number <= _OPEN else None


class Wiring:
    """The nodes so far, and what each name of the file stands for: an array that depends on x (`names`), one that does
    not (`constants`), a shape of which a part is known (`parts`), or numbers that nobody knows before x is there
    (`unknown`). `read` are the names that a node or an output of the file reads."""

    def __init__(self, path: PathType, tensors: Tensors, opset: int, shapes: dict[str, Shape], read: set[str]) -> None:
        self.path, self.tensors, self.opset, self.shapes, self.read = path, tensors, opset, shapes, read
        self.dtype: np.dtype | None = None
        self.inputs: list[str] = []
        self.nodes: list[tuple[str, Layer, tuple[str, ...]]] = []
        self.names: dict[str, str] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.parts: dict[str, np.ndarray] = {}
        self.unknown: set[str] = set()
        self.made = 0  # numbers of constants that are not in the file
        self._taken: set[str] = set()

    def add_input(self, name: str) -> None:
        self.inputs.append(name)
        self.names[name] = name
        self._taken.add(name)

    def is_constant(self, name: str) -> bool:
        return name in self.constants or name in self.tensors.protos

    def is_unknown(self, name: str) -> bool:
        return name in self.unknown or name in self.parts

    def are_known(self, kind: str, names: list[str]) -> bool:
        """Whether a node of that operator can be computed: of constants, and where it only moves numbers of parts."""
        parts = [name in self.parts for name in names]
        moved = kind == "Concat" or not any(parts[1:])
        return all(map(self.is_constant, names)) or (
            kind in _MOVES
            and moved
            and all(part or self.is_constant(name) for part, name in zip(parts, names, strict=True))
        )

    def set_constant(self, name: str, array: np.ndarray | None) -> None:
        """Numbers that do not depend on x; None: they do, and are not known yet."""
        if array is None:
            self.unknown.add(name)
        elif array.dtype == np.int64 and any(open_axis(number) is not None for number in array.flat[:_AXES]):
            self.parts[name] = array
        else:
            self.constants[name] = array

    def constant(self, name: str) -> np.ndarray:
        if name in self.constants:
            return self.constants[name]
        if name in self.parts:
            return self.parts[name]
        return self.tensors.array(self.tensors.protos[name], f"initializer {name!r}")

    def unique(self, name: str) -> str:
        """A name that no node has, as close to this one as possible."""
        base, number = name or "node", 2
        name = base
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        return name

    def add(self, name: str, layer: Layer, reads: Iterable[str]) -> str:
        self._taken.add(name)
        self.nodes.append((name, layer, tuple(reads)))
        return name


def product(sizes: Iterable[int | None]) -> int | None:
    """Of all sizes, None if one is not known."""
    sizes = tuple(sizes)
    return None if None in sizes else math.prod(sizes)
