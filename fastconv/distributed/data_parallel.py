"""Data-parallel steps for the trainer: each rank computes a part of the batch, and all take one and the same step.
With one rank it must change nothing at all, not a bit."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..layers import Layer
from ..layers._synchronised import synchronised
from ..optim import Optimizer
from .communicator import Communicator
from .gradients import GradientBuffer


class DataParallel:
    """What the ranks of `communicator` do in common when they train `model`."""

    def __init__(self, communicator: Communicator, model: Layer, optimizer: Optimizer, synchronise: bool) -> None:
        self.communicator, self._model, self._optimizer = communicator, model, optimizer
        self._synchronise = synchronise and communicator.size > 1
        self._buffer: GradientBuffer | None = None

    @property
    def alone(self) -> bool:
        """Whether there is one rank."""
        return self.communicator.size == 1

    def part(self, indices: np.ndarray) -> np.ndarray:
        """Those of the batch's samples that this rank computes; none where there are fewer than ranks."""
        return np.array_split(indices, self.communicator.size)[self.communicator.rank]

    def begin(self, agreed: dict[str, Any]) -> None:
        """Before training: ValueError unless `agreed` is the same everywhere; all take the state of rank 0."""
        if self.alone:
            return
        shapes = {name: list(array.shape) for name, array in self._model.state_dict(copy=False).items()}
        own = {**agreed, "weights": shapes}
        first = self.communicator.share(own)
        with self.communicator.together():
            if different := [name for name in own if own[name] != first.get(name)]:
                rank = self.communicator.rank
                raise ValueError(
                    f"Trainer.fit: rank {rank} differs from rank 0 in {', '.join(different)}; every rank must be given "
                    "all of the data and the same arguments"
                )
        for array in self._model.state_dict(copy=False).values():
            self.communicator.broadcast(array)
        self._optimizer.load_state_dict(self.communicator.share(self._optimizer.state_dict(copy=False)))

    @contextmanager
    def training(self) -> Iterator[None]:
        """Around all steps: a rank that exits in one ends the job, whose other ranks would wait for it for ever."""
        try:
            yield
        except SystemExit as error:
            if not self.alone:
                rank = f"rank {self.communicator.rank} of {self.communicator.size}"
                print(f"fastconv: {rank} exits during training, the job ends: {error}", file=sys.stderr)
                self.communicator.abort(error.code if isinstance(error.code, int) and error.code else 1)
            raise

    def share_statistics(self) -> None:
        """All ranks take rank 0's running statistics; in between each moves its own, which no gradient sees."""
        if not self.alone:
            for _, array in self._model.named_buffers():
                self.communicator.broadcast(array)

    @contextmanager
    def reducing(self) -> Iterator[None]:
        """Around forward, back and `finish` of one step."""
        if self.alone:
            yield
            return
        wanted = {parameter for parameter in self._optimizer.parameters() if parameter.requires_grad}
        parameters = [parameter for parameter in self._model.parameters() if parameter in wanted]
        if self._buffer is None or self._buffer.parameters != parameters:
            self._buffer = GradientBuffer(self.communicator, parameters)
        with ExitStack() as stack:
            stack.enter_context(self._buffer.receiving())
            if self._synchronise:
                stack.enter_context(synchronised(self.communicator.allreduce))
            yield

    def takes_part(self, samples: int) -> bool:
        """Whether this rank has a forward and a backward pass to do: with synchronised batch norm always."""
        return samples > 0 or self._synchronise

    def finish(self, loss: float, samples: int, correct: int | None, of_all: int) -> tuple[float, int | None]:
        """(loss, number of right answers) of all ranks; their gradients are then complete."""
        if self.alone:
            return loss, correct
        counted = samples == 0 or correct is not None
        totals = np.array([loss * samples if samples else 0.0, correct or 0, not counted], np.float64)
        loss_sum, right, uncounted = self._buffer.finish(totals)
        return float(loss_sum) / of_all, None if uncounted else int(right)

    def total(self, sums: tuple[float, int, int | None]) -> tuple[float, int, int | None]:
        """(sum of losses, samples, right answers) over all ranks."""
        if self.alone:
            return sums
        loss, samples, correct = sums
        found = self.communicator.allreduce(np.array([loss, samples, correct or 0, correct is None], np.float64))
        return float(found[0]), int(found[1]), None if found[3] else int(found[2])


def scaled(gradient: Any, factor: float) -> Any:
    """`gradient`, an array or a tuple of arrays, times `factor`, in place."""
    for array in gradient if isinstance(gradient, tuple) else (gradient,):
        np.multiply(array, array.dtype.type(factor), out=array)
    return gradient


def nothing_like(prediction: Any) -> Any:
    """The gradient of a loss without samples."""
    if isinstance(prediction, Iterable) and not isinstance(prediction, np.ndarray):
        return tuple(np.zeros_like(array) for array in prediction)
    return np.zeros_like(prediction)
