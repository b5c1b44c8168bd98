"""The Graph that a reader of ONNX wires up, and what a builder sees of the node that it builds.
It must never decide what an operator means: the builders do."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..layers import Constant, Layer
from ..layers.initial import placeholders
from .errors import FormatError
from .files import PathType
from .onnx_read_tensors import Tensors

Shape = tuple[int | None, ...]

_WEIGHT = ".weight"

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


class At:
    """One node of the file while its layers are made."""

    def __init__(self, wiring: Wiring, node: Any, number: int) -> None:
        self.wiring, self.node, self._number = wiring, node, number
        self._attributes = {attribute.name: attribute for attribute in node.attribute}
        self._read: set[str] = set()

    @property
    def kind(self) -> str:
        return self.node.op_type

    @property
    def opset(self) -> int:
        return self.wiring.opset

    @property
    def where(self) -> str:
        return f"node {self._number}, {self.kind} {self.node.name!r}"

    def refuse(self, found: str, expected: str) -> FormatError:
        """The error that this node is."""
        return FormatError(self.wiring.path, self.where, found, expected)

    # ---- attributes

    def whole(self, name: str, default: int) -> int:
        return self._attribute(name, default, "i", "INT")

    def real(self, name: str, default: float) -> float:
        value = self._attribute(name, default, "f", "FLOAT")
        # 1e-5 in the file is the float32 next to it, which prints as 1e-05 again.
        return default if value is default else float(str(np.float32(value)))

    def word(self, name: str, default: str, allowed: Iterable[str] | None = None) -> str:
        value = self._attribute(name, default, "s", "STRING")
        text = value if isinstance(value, str) else value.decode("utf-8", "replace")
        if allowed is not None and text not in allowed:
            raise self.refuse(f"{name}={text!r}", " or ".join(map(repr, allowed)))
        return text

    def wholes(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...] | None:
        value = self._attribute(name, default, "ints", "INTS")
        return value if value is default else tuple(value)

    def reals(self, name: str) -> tuple[float, ...] | None:
        value = self._attribute(name, None, "floats", "FLOATS")
        return None if value is None else tuple(value)

    def _attribute(self, name: str, default: Any, field: str, kind: str) -> Any:
        attribute = self._attributes.get(name)
        if attribute is None:
            return default
        if attribute.ref_attr_name or attribute.type != type(attribute).AttributeType.Value(kind):
            raise self.refuse(f"attribute {name} of type {attribute.type}", kind)
        return getattr(attribute, field)

    # ---- operands

    def has(self, place: int) -> bool:
        return place < len(self.node.input) and bool(self.node.input[place])

    def is_constant(self, place: int) -> bool:
        return self.has(place) and self.wiring.is_constant(self.node.input[place])

    def constant(self, place: int, what: str) -> np.ndarray:
        """A constant operand; FormatError if it depends on x."""
        if not self.has(place):
            raise self.refuse(f"no {what}", f"{what} as operand {place}")
        name = self.node.input[place]
        if not self.wiring.is_constant(name):
            raise self.refuse(f"{what} {name!r} that depends on x", "a constant")
        return self.wiring.constant(name)

    def whole_numbers(self, place: int, what: str) -> tuple[int, ...] | None:
        """A constant operand of integers, None if it is not given."""
        if not self.has(place):
            return None
        array = self.constant(place, what)
        if array.dtype.kind not in "iu" or array.ndim > 1:
            raise self.refuse(f"{what} of dtype {array.dtype} and shape {array.shape}", "a list of integers")
        return tuple(array.reshape(-1).tolist())

    def floats(self, place: int, what: str, ndim: int | None = None) -> np.ndarray:
        """A constant operand in the dtype of the model."""
        array = self.constant(place, what)
        if array.dtype != self.wiring.dtype or (ndim is not None and array.ndim != ndim):
            wanted = f"{self.wiring.dtype}" + ("" if ndim is None else f" and {ndim} dimensions")
            raise self.refuse(f"{what} of dtype {array.dtype} and shape {array.shape}", wanted)
        return array

    def x(self, place: int = 0) -> str:
        """The node behind an operand; a constant gets one."""
        if not self.has(place):
            raise self.refuse(f"{len(self.node.input)} operands", f"an operand {place}")
        name = self.node.input[place]
        if name in self.wiring.names:
            return self.wiring.names[name]
        value = self.floats(place, "operand")
        layer = self.layer(lambda: Constant(value.shape), value=value)
        self.wiring.names[name] = self.wiring.add(self.wiring.unique(name), layer, ())
        return self.wiring.names[name]

    def shape(self, place: int = 0) -> Shape | None:
        """The shape of an operand, None for sizes that are not known; None if nothing is."""
        name = self.node.input[place]
        return self.wiring.constant(name).shape if self.is_constant(place) else self.wiring.shapes.get(name)

    def set_shape(self, shape: Shape) -> None:
        """The shape of the result, where onnx has not inferred it."""
        self.wiring.shapes.setdefault(self.node.output[0], shape)

    def known_shape(self, place: int = 0) -> Shape:
        shape = self.shape(place)
        if shape is None:
            raise self.refuse("an operand of unknown rank", "one whose number of axes is known")
        return shape

    def spatial(self, what: str) -> tuple[int, ...]:
        """Sizes of x but batch and channels, which `what` depends on."""
        shape = self.known_shape()[2:]
        if any(size is None for size in shape):
            raise self.refuse(f"x of unknown size {shape}", f"sizes that are known, for {what}")
        return shape

    # ---- results

    def layer(self, make: Callable[[], Layer], **weights: np.ndarray) -> Layer:
        """A layer with these arrays as its weights and buffers."""
        with placeholders(self.wiring.dtype.type):
            layer = make()
        for name, array in weights.items():
            held = getattr(layer, name)
            old = held.data if hasattr(held, "version") else held
            if old.shape != array.shape:
                raise self.refuse(f"{name} of shape {array.shape}", f"shape {old.shape}")
            if not (array.flags.c_contiguous and array.flags.writeable):
                array = array.copy()
            if hasattr(held, "version"):
                held.data = array
            else:
                setattr(layer, name, array)
        return layer

    def add(self, layer: Layer, *reads: str, part: str = "", output: int = 0, weight: int | None = None) -> str:
        """A node that gives output number `output` of this one, or with `part` something in between. `weight` is the
        operand whose name may tell the layer's."""
        name = self.node.output[output]
        if part:
            return self.wiring.add(self.wiring.unique(f"{name}.{part}"), layer, reads)
        called = name
        if weight is not None and self.node.input[weight].endswith(_WEIGHT):
            called = self.node.input[weight][: -len(_WEIGHT)] or name
        self.wiring.names[name] = self.wiring.add(self.wiring.unique(called), layer, reads)
        return self.wiring.names[name]

    def pass_on(self) -> None:
        """The result is the first operand itself."""
        name = self.node.output[0]
        if self.is_constant(0):
            self.wiring.set_constant(name, self.wiring.constant(self.node.input[0]))
        else:
            self.wiring.names[name] = self.x()

    def only_first_output(self, what: str) -> None:
        if self.wiring.read.intersection(self.node.output[1:]):
            raise self.refuse(f"{what} as a further output", "the first output alone")


Builder = Callable[[At], Any]


def product(sizes: Iterable[int | None]) -> int | None:
    """Of all sizes, None if one is not known."""
    sizes = tuple(sizes)
    return None if None in sizes else math.prod(sizes)
