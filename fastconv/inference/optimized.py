"""The callable that `optimize` gives: arenas for the threads that call it, and one run of its program a call.
It must never keep anything of a call but memory for the next."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from .. import _program
from ..layers import Layer
from .lower import lowered
from .memory import planned
from .nodes import Value
from .plan_table import summarized
from .profile import Profile, Times, profiled
from .rewrite import rewritten
from .steps import Assembly, Call, Run


def optimize(model: Layer, input_shape: Any) -> "Optimized":
    """`model` for inference alone, in one pass over planned memory: a callable that takes what the model takes.

        fast = fastconv.optimize(fastconv.models.resnet50(), (8, 3, 224, 224))
        y = fast(x)  # x (1 to 8, 3, 224, 224)

    input_shape: the shape of x, its batch size the largest there will be; for a Graph of several inputs a list of
    shapes. Weights are taken now: batch norm is folded into them, they are laid out as the kernels read them, and where
    neither is needed they are shared with the model, so optimize again after changing them. The model is not changed.

    Results are those of `model(x)` to rounding: within 1e-5 of the largest value in float32. Several threads may call
    it at once, each in memory of its own.

    Raises TypeError where the model is no layer or mixes dtypes, ValueError where a layer does not fit the shape.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"optimize: model must be a fastconv layer, got {type(model).__name__}")
    return Optimized(model, _shapes(model, input_shape))


def _shapes(model: Layer, input_shape: Any) -> list[tuple[int, ...]]:
    several = isinstance(input_shape, (tuple, list)) and input_shape and isinstance(input_shape[0], (tuple, list))
    given = input_shape if several else [input_shape]
    if len(given) != (model.input_count or len(given)):
        raise ValueError(f"optimize: the model takes {model.input_count} arrays, got {len(given)} shapes")
    shapes = []
    for shape in given:
        sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
        if not sizes or not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
            raise ValueError(f"optimize: input_shape must be positive integers, batch included, got {input_shape!r}")
        shapes.append(tuple(int(size) for size in sizes))
    if len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"optimize: all inputs must have one batch size, got {input_shape!r}")
    return shapes


class Optimized:
    """What `optimize` gives: call it with an array for each input, batch sizes up to the planned one."""

    def __init__(self, model: Layer, shapes: list[tuple[int, ...]]) -> None:
        self.dtype = next((parameter.data.dtype for parameter in model.parameters()), np.dtype(np.float32))
        network = rewritten(lowered(model, shapes, self.dtype))
        self.fixed = network.fixed  # whether the planned batch size is the only one it takes
        self._plan = planned(network, self.dtype.itemsize)
        self._assembly = Assembly(self._plan)
        self._program = self._assembly.program(self.dtype.itemsize)
        self._inputs: list[Value] = network.inputs
        self._outputs: list[Value] = network.outputs
        self._own = [value for value in network.outputs if value.constant is None]
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The planned shapes, the largest batch included."""
        return tuple(value.shape for value in self._inputs)

    def __call__(self, *xs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """The result for these inputs, of several outputs a tuple: new arrays.

        Raises TypeError for another dtype or number of arrays, ValueError for another shape than the planned one or a
        larger batch."""
        return self._run(xs, None)

    def _run(self, xs: tuple[np.ndarray, ...], times: Times | None) -> np.ndarray | tuple[np.ndarray, ...]:
        xs, n = self._judged(xs)
        ys = tuple(_program.new_array(self._shape(value, n), self.dtype) for value in self._own)
        if n:
            with self._arena() as arena:
                arrays = (arena, *xs, *ys)
                for part in self._assembly.schedule:
                    if isinstance(part, Run):
                        self._program.run(part.first, part.stop, n, arrays, None if times is None else times.steps)
                    else:
                        with nullcontext() if times is None else times.of(part):
                            self._call_layer(part, n, arrays)
        if len(self._own) < len(self._outputs):
            made = iter(ys)
            ys = tuple(next(made) if v.constant is None else v.constant.copy() for v in self._outputs)
        return ys[0] if len(ys) == 1 else ys

    def profile(self, *xs: np.ndarray, runs: int = 10) -> Profile:
        """The time of each step, the median of `runs` calls with these inputs after one that warms up.

        `print` shows a table; `plot(path)` writes a picture."""
        runs = _program.size("profile", "runs", runs, 1)
        taken = []
        for _ in range(runs + 1):
            taken.append(Times(len(self._assembly.steps)))
            self._run(xs, taken[-1])
        return profiled(self._assembly, taken[1:], len(xs[0]))

    def summary(self) -> str:
        """The memory plan as a table: what each step makes and where in the arena, and the sizes of the arena and
        of all weights, the copies that are laid out or transformed for the kernels included."""
        return summarized(self._assembly, self.dtype)

    def _shape(self, value: Value, n: int) -> tuple[int, ...]:
        return value.shape if self.fixed else (n, *value.shape[1:])

    def _judged(self, xs: tuple[np.ndarray, ...]) -> tuple[tuple[np.ndarray, ...], int]:
        """The inputs as the kernels read them, and their batch size."""
        if len(xs) != len(self._inputs):
            _program.reject("optimized", f"expected {len(self._inputs)} arrays, got {len(xs)}", TypeError)
        judged = []
        for x, value in zip(xs, self._inputs, strict=True):
            name, planned_shape = value.name, value.shape
            x = _program.array("optimized", name, x)
            if x.dtype != self.dtype:
                _program.reject("optimized", f"{name} has dtype {x.dtype}; the model's is {self.dtype}", TypeError)
            if x.shape[1:] != planned_shape[1:] or not x.ndim:
                text = f"{name} has shape {x.shape}; planned for {planned_shape} and smaller batches"
                _program.reject("optimized", f"{text}: call fastconv.optimize for another")
            judged.append(x)
        batches = {x.shape[0] for x in judged}
        n, most = judged[0].shape[0], self._inputs[0].shape[0]
        if len(batches) > 1:
            _program.reject("optimized", f"inputs have batch sizes {sorted(batches)}; expected one")
        if n > most or (self.fixed and n != most):
            which = "the model fixes it at" if self.fixed else "planned for at most"
            _program.reject("optimized", f"batch size {n}; {which} {most}")
        return tuple(judged), n

    @contextmanager
    def _arena(self) -> Iterator[Any]:
        """Memory of this call's own; as many as there are CPUs are kept for later ones."""
        with self._lock:
            arena = self._idle.pop() if self._idle else None
        if arena is None:
            arena = _program.Arena(max(1, self._plan.size * self.dtype.itemsize))
        try:
            yield arena
        finally:
            with self._lock:
                if len(self._idle) < (os.cpu_count() or 1):
                    self._idle.append(arena)

    def _call_layer(self, call: Call, n: int, arrays: tuple[Any, ...]) -> None:
        """A layer as it is, on views of the arena."""
        xs = [
            constant if place is None else self._view(arrays, place, shape, n) for place, shape, constant in call.inputs
        ]
        place, shape = call.output
        out = self._view(arrays, place, shape, n)
        layer = call.node.layer
        y = layer(*xs, out=out) if layer.call_in_place and out.flags.c_contiguous else layer(*xs)
        if y.shape != out.shape:
            text = f"layer {call.node.name} gives shape {y.shape} for a batch of {n}; planned was {out.shape}"
            raise ValueError(f"optimized: {text}: call fastconv.optimize with this batch size")
        if y is not out:
            out[...] = y

    def _view(self, arrays: tuple[Any, ...], place: Any, shape: tuple[int, ...], n: int) -> np.ndarray:
        size = self.dtype.itemsize
        if not self.fixed:
            shape = (n, *shape[1:])
        dense = np.cumprod((1, *shape[:0:-1]))[::-1] * size
        strides = (place.image * size, *(int(step) for step in dense[1:]))
        return np.ndarray(shape, self.dtype, arrays[place.array], place.offset * size, strides)
