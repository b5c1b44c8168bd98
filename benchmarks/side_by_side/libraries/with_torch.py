"""PyTorch, with data in NCHW order and with data and weights already channels_last."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..cases import Case
from ..networks import LEARNING_RATE, MODELS, MOMENTUM, initial_state
from ..operands import Operands, operands
from . import Contestant

_FORMATS = {"PyTorch": torch.contiguous_format, "PyTorch channels_last": torch.channels_last}


class Library:
    """Gradients are those autograd calls, without the tape around them."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def versions(self) -> dict[str, Any]:
        return {"torch": torch.__version__}

    def contestants(self, case: Case, only: str = "") -> dict[str, Contestant]:
        """Those of both orders, or only the one named."""
        given, result = operands(case), {}
        for name, order in _FORMATS.items():
            if only and name != only:
                continue
            if case.op == "train":
                result[name] = Contestant(_training(case, given, order), np.asarray)
            else:
                torch.set_grad_enabled(False)
                result[name] = Contestant(_call(case, given, order), lambda y: y.contiguous().numpy())
        return result


def _call(case: Case, given: Operands, order: torch.memory_format) -> Callable[[], Any]:
    def ordered(array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        return tensor.contiguous(memory_format=order) if tensor.dim() == 4 else tensor

    x, dy = ordered(given.x), ordered(given.dy)
    if case.weight is not None:
        return _convolution(case, x, ordered(given.weight), dy)
    if "pool" in case.op:
        return _pooling(case, x, dy)
    scale, shift = torch.from_numpy(given.scale), torch.from_numpy(given.shift)
    if case.op == "batch_norm_backward":
        _, mean, deviation = torch.ops.aten.native_batch_norm(x, scale, shift, None, None, True, 0.0, 1e-5)
        saved = (None, None, mean, deviation, True, 1e-5, [True] * 3)
        return lambda: torch.ops.aten.native_batch_norm_backward(dy, x, scale, *saved)[0]
    return {
        "batch_norm_train": lambda: functional.batch_norm(x, None, None, scale, shift, True, 0.0, 1e-5),
        "batch_norm": lambda: functional.batch_norm(x, shift, scale, scale, shift, False, 0.0, 1e-5),
        "relu": lambda: functional.relu(x),
        "relu_backward": lambda: torch.ops.aten.threshold_backward(dy, x, 0),
    }[case.op]


def _convolution(case: Case, x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor) -> Callable[[], Any]:
    if case.op in ("conv2d", "conv_transpose2d"):
        return functools.partial(getattr(functional, case.op), x, weight, **case.options)
    stride, padding, dilation = (
        [case.options.get(name, usual)] * 2 for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    wanted = case.op == "conv2d_grad_weight"
    if not wanted:  # of x it reads the shape, but wants a tensor of the right order
        x = torch.empty(case.x, dtype=dy.dtype, memory_format=_order(dy))
    geometry = (None, stride, padding, dilation, False, [0, 0], case.groups, [not wanted, wanted, False])
    return lambda: torch.ops.aten.convolution_backward(dy, x, weight, *geometry)[int(wanted)]


def _order(tensor: torch.Tensor) -> torch.memory_format:
    return torch.contiguous_format if tensor.is_contiguous() else torch.channels_last


def _pooling(case: Case, x: torch.Tensor, dy: torch.Tensor) -> Callable[[], Any]:
    H, W = case.x[2:]
    if case.op == "global_avg_pool2d":
        return lambda: functional.adaptive_avg_pool2d(x, 1)
    if case.op == "global_avg_pool2d_backward":
        return lambda: dy.expand(case.x) / (H * W)  # as autograd does it
    R = case.options["kernel_size"]
    window = ([R, R], [case.options.get("stride", R)] * 2, [case.options.get("padding", 0)] * 2)
    if case.op == "max_pool2d_backward":
        _, indices = torch.ops.aten.max_pool2d_with_indices(x, *window)
        return lambda: torch.ops.aten.max_pool2d_with_indices_backward(dy, x, *window, [1, 1], False, indices)
    if case.op == "avg_pool2d_backward":
        x = torch.empty(case.x, dtype=dy.dtype, memory_format=_order(dy))
        return lambda: torch.ops.aten.avg_pool2d_backward(dy, x, *window, False, True, None)
    return functools.partial(getattr(functional, case.op), x, *window)


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        y += x if self.shortcut is None else self.shortcut(x)
        return y


def _training(case: Case, given: Operands, order: torch.memory_format) -> Callable[[], float]:
    """One step on the same batch; returns the loss before it. ReLU and the sums are in place, as in torchvision."""
    names = {**vars(nn), "Residual": _Residual, "ReLU": functools.partial(nn.ReLU, inplace=True)}
    model = MODELS[case.network](SimpleNamespace(**names))
    state = initial_state({name: tuple(value.shape) for name, value in model.state_dict().items()})
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=False)
    model.to(memory_format=order).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    loss, labels = nn.CrossEntropyLoss(), torch.from_numpy(given.labels)
    x = torch.from_numpy(given.x).contiguous(memory_format=order)
    torch.set_grad_enabled(True)

    def step() -> float:
        optimizer.zero_grad()
        value = loss(model(x), labels)
        value.backward()
        optimizer.step()
        return value.item()

    return step
