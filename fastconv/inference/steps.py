"""From planned nodes to the steps of a program, and the runs of steps between layers that are called as they are.
It must hold no decision about memory: places come from the plan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _program
from .._program import Place, Step
from .memory import Plan
from .nodes import Node


@dataclass(frozen=True)
class Run:
    """Steps first .. stop - 1 of the program."""

    first: int
    stop: int


@dataclass(frozen=True)
class Call:
    """A layer, where its operands lie (None: `constants` has it) and where its result goes, with their shapes."""

    node: Node
    inputs: tuple[tuple[Place | None, tuple[int, ...], np.ndarray | None], ...]
    output: tuple[Place, tuple[int, ...]]


class Assembly:
    """The program of a plan: `steps`, `constants`, `schedule`, and for each step its node and algorithm; of the weights
    `packed_bytes` are copies laid out or transformed for the kernels."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.constants: list[np.ndarray] = []
        self.steps: list[Step] = []
        self.nodes: list[Node] = []
        self.algorithms: list[str] = []
        self.schedule: list[Run | Call] = []
        self.packed_bytes = 0
        waiting: list[Callable[[int], None]] = []
        for node in plan.network.nodes:
            if node.kind == "view":
                continue
            if node.kind == "call":
                waiting.append(self._caller(node))
            else:
                step, algorithm = _STEPS[node.kind](self, node)
                waiting.append(self._stepper(node, step, algorithm))
        # Arrays of a run are numbered behind the constants, which are known only now.
        for put in waiting:
            put(len(self.constants))

    def constant(self, array: np.ndarray | None) -> Place:
        """The place of a weight."""
        if array is None:
            return _program.NOWHERE
        array = _program.array("optimize", "weight", array)
        self.constants.append(array)
        return Place(len(self.constants) - 1, 0, 0)

    @property
    def weight_bytes(self) -> int:
        """Of all weights, each array once, those shared with the model included."""
        calls = [part.node for part in self.schedule if isinstance(part, Call)]
        own = [parameter.data for node in calls for parameter in node.layer.parameters()]
        return sum({id(array): array.nbytes for array in (*self.constants, *own)}.values())

    def _stepper(self, node: Node, step: Step, algorithm: str) -> Callable[[int], None]:
        def put(constants: int) -> None:
            places = {"x": self.plan.place(node.inputs[0], constants), "y": self.plan.place(node.output, constants)}
            if len(node.inputs) > 1:
                places["add"] = self.plan.place(node.inputs[1], constants)
            number = len(self.steps)
            self.steps.append(step._replace(places=step.places | places))
            self.nodes.append(node)
            self.algorithms.append(algorithm)
            if self.schedule and isinstance(self.schedule[-1], Run):
                self.schedule[-1] = Run(self.schedule[-1].first, number + 1)
            else:
                self.schedule.append(Run(number, number + 1))

        return put

    def _caller(self, node: Node) -> Callable[[int], None]:
        def put(constants: int) -> None:
            inputs = tuple(
                (self.plan.place(v, 0) if v.constant is None else None, v.shape, v.constant) for v in node.inputs
            )
            self.schedule.append(Call(node, inputs, (self.plan.place(node.output, 0), node.output.shape)))

        return put

    def program(self, itemsize: int) -> Any:
        """The program for arrays of so many bytes an element."""
        return _program.Program([step.packed() for step in self.steps], self.constants, itemsize)


def _taken_weight(node: Node) -> np.ndarray:
    """The weight of a node, scaled where batch norm was folded into it; the node holds it no longer."""
    weight, scale = node.settings.pop("weight"), node.settings.get("scale")
    return weight if scale is None else weight * scale.astype(weight.dtype).reshape(-1, *(1,) * (weight.ndim - 1))


def _prepared(assembly: Assembly, node: Node) -> Any:
    weights = _program.prepared(node.settings["geometry"], _taken_weight(node))
    if weights.packed is not None:
        assembly.packed_bytes += weights.packed.nbytes
    return weights


def _conv(assembly: Assembly, node: Node) -> tuple[Step, str]:
    how = node.settings
    weights = _prepared(assembly, node)
    places = {
        "weight": assembly.constant(weights.plain),
        "packed": assembly.constant(weights.packed),
        "bias": assembly.constant(how["bias"]),
        "entry": assembly.constant(how.get("entry")),
    }
    function = how.get("function", "")
    return Step("conv", places, weights.fields, function, (how.get("slope", 0.0),)), weights.form


def _expand(assembly: Assembly, node: Node) -> tuple[Step, str]:
    how, first = node.settings, node.settings["first"]
    weights = _prepared(assembly, first)
    places = {
        "weight": assembly.constant(_taken_weight(node)),
        "packed": assembly.constant(weights.packed),
        "bias": assembly.constant(how["bias"]),
        "first": assembly.constant(first.settings["bias"]),
    }
    step = Step(
        "expand",
        places,
        (weights.fields, how["geometry"].fields),
        how.get("function", ""),
        (how.get("slope", 0.0), first.settings.get("slope", 0.0)),
        first.settings.get("function", ""),
    )
    return step, "direct"


def _linear(assembly: Assembly, node: Node) -> tuple[Step, str]:
    weight = _taken_weight(node)
    places = {"weight": assembly.constant(weight), "bias": assembly.constant(node.settings["bias"])}
    return Step("linear", places, weight.shape), ""


def _batch_norm(assembly: Assembly, node: Node) -> tuple[Step, str]:
    how, (x,) = node.settings, node.inputs
    names = {"packed": "mean", "add": "var", "weight": "weight", "bias": "bias"}
    places = {place: assembly.constant(how[name]) for place, name in names.items()}
    sizes = (x.shape[1], x.image // x.shape[1], int(how["relu"]))
    return Step("batch_norm", places, sizes, numbers=(how["eps"],)), ""


def _pointwise(assembly: Assembly, node: Node) -> tuple[Step, str]:
    how = node.settings
    sizes = (_program.POINTWISE[how["function"]], node.output.image)
    return Step("pointwise", {}, sizes, numbers=(how.get("slope", 0.0),)), ""


def _pool(assembly: Assembly, node: Node) -> tuple[Step, str]:
    return Step(node.kind, {}, node.settings["geometry"].fields), ""


def _upsample(assembly: Assembly, node: Node) -> tuple[Step, str]:
    return Step("upsample", {}, (*node.inputs[0].shape[1:], *node.settings["factors"])), ""


def _response_norm(assembly: Assembly, node: Node) -> tuple[Step, str]:
    (x,), how = node.inputs, node.settings
    return Step("response_norm", {}, (x.shape[1], x.image // x.shape[1], how["size"]), numbers=how["numbers"]), ""


def _copy(assembly: Assembly, node: Node) -> tuple[Step, str]:
    value = node.inputs[0]
    places = {} if value.constant is None else {"x": assembly.constant(value.constant)}
    return Step("copy", places, (node.output.image,)), ""


_STEPS: dict[str, Callable[[Assembly, Node], tuple[Step, str]]] = {
    "conv": _conv,
    "expand": _expand,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "activation": _pointwise,
    "add": _pointwise,
    "max_pool": _pool,
    "avg_pool": _pool,
    "upsample": _upsample,
    "response_norm": _response_norm,
    "copy": _copy,
}
