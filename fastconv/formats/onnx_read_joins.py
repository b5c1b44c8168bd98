"""ONNX's operators on several arrays as layers; constants among them become nodes without an input.
They never look at values: shapes are broadcast when x is there."""

from .. import layers as L
from .onnx_read_graph import At

JOINS: dict[str, type[L.Join]] = {"Add": L.Add, "Sum": L.Add, "Sub": L.Sub, "Mul": L.Mul, "Div": L.Div}


def join(at: At) -> None:
    at.add(JOINS[at.kind](), *(at.x(place) for place in range(len(at.node.input))))


def concat(at: At) -> None:
    if len(at.node.input) == 1:
        at.pass_on()
        return
    at.add(L.Cat(at.whole("axis", 1)), *(at.x(place) for place in range(len(at.node.input))))
