"""What a builder sees of the node of an ONNX file that it builds: attributes, operands, and where its layers go.
It must never pass over an attribute in silence."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..layers import Constant, Layer
from ..layers.initial import placeholders
from .errors import FormatError
from .onnx_read_graph import Shape, Wiring

_WEIGHT = ".weight"


class At:
    """One node of the file while its layers are made."""

    def __init__(self, wiring: Wiring, node: Any, number: int) -> None:
        self.wiring, self.node, self._number = wiring, node, number
        self._attributes = {attribute.name: attribute for attribute in node.attribute}
        self._unread = set(self._attributes)
        if len(self._attributes) != len(node.attribute):
            raise self.refuse(f"attributes {[attribute.name for attribute in node.attribute]}", "each once")

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

    def pass_over(self, *names: str) -> None:
        """These attributes do not change the result."""
        self._unread.difference_update(names)

    def require_all_read(self) -> None:
        """FormatError for an attribute that nothing looked at: the result would be another one without it."""
        from onnx.helper import get_attribute_value

        for name in sorted(self._unread):
            value = repr(get_attribute_value(self._attributes[name]))[:100]
            raise self.refuse(f"attribute {name}={value}", f"a {self.kind} without it")

    def _attribute(self, name: str, default: Any, field: str, kind: str) -> Any:
        self._unread.discard(name)
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

    def finite(self, value: float) -> float:
        """An infinity, which a layer's argument must not be and max pooling is padded with, as the largest number of
        the model's dtype."""
        return float(np.nan_to_num(self.wiring.dtype.type(value), nan=value))

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
