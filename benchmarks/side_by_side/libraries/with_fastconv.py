"""fastconv: the plain call, the prepacked call, the direct algorithm; and what the machine can do, measured with it."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import fastconv
from fastconv import functional, layers, losses, optim
from fastconv.bench.peak import copy_call, peak_call
from fastconv.config import config

from ..cases import Case
from ..networks import LEARNING_RATE, MODELS, MOMENTUM, initial_state
from ..operands import Operands, operands
from . import COPY, PEAK, Contestant


class Library:
    """Also measures the peak (for what computes) and the copy bandwidth (for what moves memory)."""

    def __init__(self, threads: int) -> None:
        fastconv.set_num_threads(threads)
        self.threads = threads
        self.peak_call, self.copy_call = functools.cache(peak_call), functools.cache(copy_call)

    def versions(self) -> dict[str, Any]:
        wanted = ("fastconv", "python", "numpy", "cpu", "target", "threads")
        return {name: value for name, value in config().items() if name in wanted}

    def contestants(self, case: Case) -> dict[str, Contestant]:
        if case.op == "train":
            return {"fastconv": Contestant(_training(case, operands(case)), np.asarray)}
        given = operands(case)
        function = functools.partial(getattr(functional, case.op), *_arguments(case, given), **_keywords(case))
        result = {"fastconv": Contestant(function, _first)}
        if case.op == "conv2d":
            packed = fastconv.pack(given.weight, **case.options, input_shape=case.x)
            call = functools.partial(functional.conv2d, given.x, packed, **case.options)
            result["fastconv prepacked"] = Contestant(call, _first)
        if case.op.startswith("conv2d") and case.weight[2:] == (3, 3) and case.options.get("stride", 1) == 1:
            result["fastconv direct"] = Contestant(functools.partial(function, algorithm="direct"), _first)
        return result | self._machine(case)

    def _machine(self, case: Case) -> dict[str, Contestant]:
        if case.flops:
            call, flops = self.peak_call(case.dtype)
            return {PEAK: Contestant(call, work={"flops": flops})}
        call, moved = self.copy_call(self.threads)
        return {COPY: Contestant(call, work={"bytes": moved})}


def _first(result: Any) -> np.ndarray:
    return result[0] if isinstance(result, tuple) else result


def _arguments(case: Case, given: Operands) -> tuple:
    """The positional arguments of case.op."""
    x, dy = given.x, given.dy
    if case.op == "max_pool2d_backward":
        _, indices = functional.max_pool2d(x, **case.options, return_indices=True)
        return dy, indices, case.x
    if case.op == "batch_norm_backward":
        return dy, x, *functional.batch_norm_train(x, given.scale, given.shift)[1:], given.scale
    return {
        "conv2d": lambda: (x, given.weight),
        "conv_transpose2d": lambda: (x, given.weight),
        "conv2d_grad_input": lambda: (dy, given.weight, case.x),
        "conv2d_grad_weight": lambda: (dy, x, case.weight),
        "avg_pool2d_backward": lambda: (dy, case.x),
        "global_avg_pool2d_backward": lambda: (dy, case.x),
        "batch_norm_train": lambda: (x, given.scale, given.shift),
        "batch_norm": lambda: (x, given.shift, given.scale, given.scale, given.shift),
        "relu_backward": lambda: (dy, x),
    }.get(case.op, lambda: (x,))()


def _keywords(case: Case) -> dict[str, int]:
    # The indices say all about the windows.
    return {} if case.op == "max_pool2d_backward" else case.options


def _training(case: Case, given: Operands) -> Callable[[], float]:
    """One step on the same batch; returns the loss before it."""
    model = MODELS[case.network](SimpleNamespace(**vars(layers)))
    shapes = {name: value.shape for name, value in model.state_dict(copy=False).items()}
    model.load_state_dict(initial_state(shapes), strict=False)
    optimizer = optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    loss = losses.CrossEntropyLoss()

    def step() -> float:
        model.zero_grad()
        prediction, back = model.forward(given.x)
        value, gradient = loss.forward(prediction, given.labels)
        back(gradient, needs_input=False)
        optimizer.step()
        return value

    return step
