"""What a model is made of: its layers with shapes, parameters and FLOPs, as rows and as a printed table.
It must never change the model: shapes come from one inference of zeros."""

from dataclasses import dataclass

import numpy as np

from ._calling import note, recording
from .base import Layer

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One layer: its dotted name and kind, the shape of its last result (None: it did not run), the number of
    its own parameters, and the floating-point operations of all its calls, 2 for a multiply-add."""

    name: str
    kind: str
    output: Shape | None
    parameters: int
    flops: int


@dataclass(frozen=True)
class Summary:
    """The rows of a model; `str` is a table. A parameter that is shared counts where it comes first.

    FLOPs are those of convolutions and fully connected layers, twice the multiply-adds that papers give; all
    else is left out, as there. They are None where no shape of x was given.
    """

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    flops: int | None

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters", "MFLOPs")
        lines = [
            (row.name, row.kind, _shape(row.output), _number(row.parameters), _number(round(row.flops / 1e6, 1)))
            for row in self.rows
        ]
        total = ("", "", "", f"{self.parameters:,}", "" if self.flops is None else f"{self.flops / 1e6:,.1f}")
        widths = [max(len(line[column]) for line in (head, *lines, total)) for column in range(len(head))]
        texts = ["  ".join(_aligned(line, widths)).rstrip() for line in (head, *lines, total)]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        frozen = self.parameters - self.trainable
        end = f"{self.trainable:,} parameters are trained, {frozen:,} frozen"
        return "\n".join([texts[0], rule, *texts[1:-1], rule, texts[-1], end])


def summarize(model: Layer, *shapes: Shape) -> Summary:
    """The Summary of `model`, with shapes and FLOPs where those of its inputs are given, batch included."""
    flops: dict[int, int] = {}
    outputs: dict[int, Shape] = {}
    if shapes:
        dtype = next((parameter.data.dtype for parameter in model.parameters()), np.dtype(np.float32))
        xs = tuple(np.zeros(shape, dtype) for shape in shapes)
        with recording() as calls:
            note(calls, model, xs, model(*xs))
        for layer, inputs, output in calls:
            flops[id(layer)] = flops.get(id(layer), 0) + layer.flops(inputs, output)
            outputs[id(layer)] = output
    rows: list[Row] = []
    seen: set[int] = set()
    own = {name: parameter.data.size for name, parameter in model.named_parameters()}
    for name, layer in model.named_layers():
        count = sum(own.get(f"{name}.{attribute}" if name else attribute, 0) for attribute in vars(layer))
        if id(layer) not in seen and (count or not any(layer.children())):
            place = id(layer)
            rows.append(Row(name, type(layer).__name__, outputs.get(place), count, flops.get(place, 0)))
        seen.add(id(layer))
    trainable = sum(parameter.data.size for parameter in model.parameters() if parameter.requires_grad)
    return Summary(tuple(rows), sum(own.values()), trainable, sum(flops.values()) if shapes else None)


def _shape(shape: Shape | None) -> str:
    return "" if shape is None else "x".join(map(str, shape))


def _number(value: float) -> str:
    return f"{value:,}" if value else ""


def _aligned(line: tuple[str, ...], widths: list[int]) -> list[str]:
    texts = [text.ljust(width) for text, width in zip(line[:3], widths[:3], strict=True)]
    return texts + [text.rjust(width) for text, width in zip(line[3:], widths[3:], strict=True)]
