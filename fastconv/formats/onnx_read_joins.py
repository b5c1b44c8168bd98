"""ONNX's operators on several arrays as layers; constants among them become nodes without an input.
They never look at values: shapes are broadcast when x is there."""

from .. import layers as L
from .onnx_read_node import At

JOINS: dict[str, type[L.Join]] = {"Add": L.Add, "Sum": L.Add, "Sub": L.Sub, "Mul": L.Mul, "Div": L.Div}


def join(at: At) -> None:
    at.add(JOINS[at.kind](), *(at.x(place) for place in range(len(at.node.input))))


def bound(at: At) -> None:
    """The larger or the smaller of x and one number."""
    places = [place for place in range(len(at.node.input)) if at.is_constant(place)]
    if len(at.node.input) != 2 or len(places) != 1 or at.floats(places[0], "operand").size != 1:
        raise at.refuse("operands that all depend on x, or an array", "x and one number")
    number = float(at.floats(places[0], "operand").reshape(-1)[0])
    layer = L.Hardtanh(number, None) if at.kind == "Max" else L.Hardtanh(None, number)
    at.add(layer, at.x(1 - places[0]))


def concat(at: At) -> None:
    axis = at.whole("axis", 1)
    if len(at.node.input) == 1:
        at.pass_on()
        return
    at.add(L.Cat(axis), *(at.x(place) for place in range(len(at.node.input))))
