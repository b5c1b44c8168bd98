"""Trainer: fit, evaluate, predict, seeded and resumable bit for bit.
A step must never be half done: weights, statistics and random states are those before it, or after it."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .callbacks import Callback
from .checkpoint import save_checkpoint
from .distributed import Communicator
from .distributed.data_parallel import DataParallel, nothing_like, scaled
from .formats.atomic import FileLayer
from .formats.files import PathType
from .interrupts import InterruptGuard
from .layers.base import Layer
from .layers.parameter import Parameter
from .optim import Optimizer
from .progress import epoch_progress
from .resuming import resume_from, state_of
from .training_data import Source, Transform, count_correct, validation_source
from .training_state import History, Position, RandomStates, Settings

__all__ = ["History", "Trainer"]


class Trainer:
    """Trains `model` with `optimizer` on `loss` (`loss.forward(prediction, target) -> (value, gradient)`).

    `seed` decides the order of the samples, the random transforms, and the dropout of layers that were given
    no generator of their own. The same seed, data and first weights give the same bits, with any number of
    threads. `model` trains as it is set: layers after `eval()` stay frozen in that sense.

    With `communicator`, as `fastconv.distributed.world()` gives it, the ranks of a job train together: each is
    given all of the data and computes its part of every batch, whose size stays that of all of them, for a loss
    that is a mean over samples. Without it a process trains alone. With `synchronise_batch_norm` batch norm
    normalises by the batches of all ranks, as one process would; else each rank by its own part, and rank 0's
    running statistics are kept. Transforms and dropout draw from the seed, the step and the rank.
    """

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        loss: Any,
        *,
        seed: int = 0,
        communicator: Communicator | None = None,
        synchronise_batch_norm: bool = False,
    ) -> None:
        if not isinstance(model, Layer):
            raise TypeError(f"Trainer: model must be a Layer, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Trainer: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        if not callable(getattr(loss, "forward", None)):
            raise TypeError(f"Trainer: loss must have forward(prediction, target), got {loss!r}")
        if communicator is not None and not isinstance(communicator, Communicator):
            raise TypeError(f"Trainer: communicator must be a fastconv.distributed.Communicator, got {communicator!r}")
        self.model, self.optimizer, self.loss, self.seed = model, optimizer, loss, seed
        self.communicator = Communicator() if communicator is None else communicator
        self._ranks = DataParallel(self.communicator, model, optimizer, bool(synchronise_batch_norm))
        self.random = RandomStates(model, seed)
        self.position = Position()
        self.history = History()
        self.resumed = False
        self._stopped = False
        self._settings: Settings | None = None
        self._callbacks: list[Callback] = []
        self._parameters: list[Parameter] = []
        self._buffers: list[np.ndarray] = []
        self._guard = InterruptGuard()

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.position.epoch

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.position.step

    def stop(self) -> None:
        """End training after this epoch; for callbacks."""
        self._stopped = True

    def fit(
        self,
        x: Any,
        y: Any = None,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: Any = None,
        callbacks: Iterable[Callback] = (),
        shuffle: bool = True,
        transform: Transform | None = None,
        progress: bool = True,
        resume: PathType | None = None,
        *,
        drop_last: bool = False,
    ) -> History:
        """Train until `epochs` epochs are done, and return what was measured.

        x, y are arrays (N, ...), or x is a data set: `len(x)` and `x.batch(indices) -> (x, y)`.
        `validation_data` is (x, y) or a data set. `transform(x, generator)` changes each training batch.
        `resume` is a checkpoint, or a folder of them: training goes on from there as if it had never stopped,
        given the same data and arguments; of a folder the newest that is whole is taken. Without `resume` a
        new training of the present weights begins, with several ranks of rank 0's. A loss that is not finite raises
        FloatingPointError; the weights are then those before that step. So they are after Ctrl-C, or those after it and
        what the callbacks made of it.
        """
        source = Source("Trainer.fit", x, y, transform)
        validation = validation_source(validation_data)
        epochs = _count("epochs", epochs, 0)
        settings = Settings(len(source), _count("batch_size", batch_size, 1), bool(shuffle), bool(drop_last))
        if settings.batches == 0:
            raise ValueError(f"Trainer.fit: no batch of {batch_size} in {len(source)} samples")
        if batch_size < self.communicator.size:
            raise ValueError(f"Trainer.fit: no batch of {batch_size} for {self.communicator.size} ranks")
        self._parameters = [*self.model.parameters(), *self.optimizer.parameters()]
        self._buffers = [array for _, array in self.model.named_buffers()]
        self._callbacks = _in_order(callbacks)
        self._settings = settings
        self.position, self.history, self._stopped = Position(), History(), False
        self.resumed = resume is not None
        self._ranks.begin({**settings.state_dict(), "epochs": epochs, "seed": self.seed})
        progress = progress and self.communicator.rank == 0
        with self._guard, self._ranks.training():
            if resume is not None:
                resume_from(self, resume)
            for callback in self._callbacks:
                callback.on_train_begin(self)
            while self.epoch < epochs and not self._stopped:
                self._run_epoch(source, validation, f"epoch {self.epoch + 1}/{epochs}", progress)
            for callback in self._callbacks:
                callback.on_train_end(self)
        return self.history

    def _run_epoch(self, source: Source, validation: Source | None, title: str, progress: bool) -> None:
        """The rest of the present epoch, from the batch where it stands, and its validation."""
        position, settings = self.position, self._settings
        if position.order is None:
            position.begin_epoch(settings, self.random.order)
        bar = epoch_progress(title, settings.images, position.seen, progress)
        logs = None
        try:
            while position.batch < settings.batches:
                start = position.batch * settings.batch_size
                before = position.seen
                self._train_step(source, position.order[start : start + settings.batch_size])
                running = position.metrics()
                bar.update(position.seen - before, running["loss"])
                for callback in self._callbacks:
                    callback.on_step_end(self, running)
            logs = position.metrics()
            self._ranks.share_statistics()
            if validation is not None:
                with self._guard.release():
                    measured = self._evaluate(validation, settings.batch_size)
                logs |= {f"val_{name}": value for name, value in measured.items()}
        finally:
            bar.close(logs)
        logs["lr"] = float(self.optimizer.param_groups[0]["lr"])
        self.history.add(logs)
        position.end_epoch()
        for callback in self._callbacks:
            callback.on_epoch_end(self, logs)

    def _train_step(self, source: Source, indices: np.ndarray) -> None:
        """One optimizer step, or none: whatever is raised before it, all is as it was before."""
        before = self.random.state(), [array.copy() for array in self._buffers]
        try:
            self._forget_gradients()
            with self._guard.release(), self._ranks.reducing():
                value, correct = self._gradients(source, indices)
            self._require_finite(value)
            self.optimizer.step()
        except BaseException:
            self._undo(*before)
            raise
        self.position.advance(value, len(indices), correct)

    def _gradients(self, source: Source, indices: np.ndarray) -> tuple[float, int | None]:
        """(loss, number of right answers) of the batch; of several ranks each computes its part of it."""
        ranks = self._ranks
        mine = ranks.part(indices)
        if not ranks.alone:
            self.random.begin_step(self.seed, self.step, self.communicator.rank)
        value, correct = 0.0, None
        if ranks.takes_part(len(mine)):
            x, target = source.batch(mine if len(mine) else indices[:1], self.random.transform)
            x, target = x[: len(mine)], target[: len(mine)]
            prediction, back = self.model.forward(x)
            gradient = nothing_like(prediction)
            if len(mine):
                value, gradient = self.loss.forward(prediction, target)
                correct = count_correct(prediction, target)
            if ranks.alone:
                self._require_finite(value)
            else:
                gradient = scaled(gradient, len(mine) / len(indices))
            # The other ranks wait for sums that this back is a part of, whatever the loss is here.
            with np.errstate(all=None if math.isfinite(value) else "ignore"):
                back(gradient, needs_input=False)
        return ranks.finish(value, len(mine), correct, len(indices))

    def _require_finite(self, value: float) -> None:
        if not math.isfinite(value):
            raise FloatingPointError(
                f"Trainer.fit: the loss is {value} in epoch {self.epoch + 1}, step {self.step + 1} "
                f"(learning rate {self.optimizer.param_groups[0]['lr']:g}); the weights are those before "
                "this step, and the checkpoints are untouched"
            )

    def _undo(self, random: dict[str, Any], buffers: list[np.ndarray]) -> None:
        self.random.load(random)
        for array, old in zip(self._buffers, buffers, strict=True):
            np.copyto(array, old)
        self._forget_gradients()

    def _forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def evaluate(self, x: Any, y: Any = None, batch_size: int = 256) -> dict[str, float]:
        """{"loss": mean over the samples, "accuracy": share of right classes} of inference.

        Accuracy is there where predictions are (N, K) and targets integers (N,). With several ranks all call
        it, and each computes a part.
        """
        self._ranks.share_statistics()
        return self._evaluate(Source("Trainer.evaluate", x, y), _count("batch_size", batch_size, 1))

    def _evaluate(self, source: Source, batch_size: int) -> dict[str, float]:
        position, mine = Position(), self._ranks.part(np.arange(len(source)))
        for start in range(0, len(mine), batch_size):
            inputs, target = source.batch(mine[start : start + batch_size])
            prediction = self.model(inputs)
            value, _ = self.loss.forward(prediction, target)
            position.advance(value, len(inputs), count_correct(prediction, target))
        position.loss_sum, position.seen, position.correct = self._ranks.total(
            (position.loss_sum, position.seen, position.correct)
        )
        return position.metrics()

    def predict(self, x: Any, batch_size: int = 256) -> np.ndarray | tuple[np.ndarray, ...]:
        """`model(x)` in batches, as one array, of a model with several outputs as a tuple; x may be a data set."""
        batch_size = _count("batch_size", batch_size, 1)
        results: tuple[np.ndarray, ...] = ()
        for start in range(0, max(len(x), 1), batch_size):
            stop = min(start + batch_size, len(x))
            part = self.model(x.batch(np.arange(start, stop))[0] if hasattr(x, "batch") else x[start:stop])
            if stop - start == len(x):
                return part
            arrays = part if isinstance(part, tuple) else (part,)
            results = results or tuple(np.empty((len(x), *array.shape[1:]), array.dtype) for array in arrays)
            for result, array in zip(results, arrays, strict=True):
                result[start:stop] = array
        return results if len(results) > 1 else results[0]

    def save(self, path: PathType, *, files: FileLayer | None = None) -> None:
        """Write a checkpoint atomically; FloatingPointError, and no file, if a weight is not finite.

        Of several ranks rank 0 writes it, and the others do nothing.
        """
        if self.communicator.rank != 0:
            return
        for name, parameter in self.model.named_parameters():
            if not np.isfinite(parameter.data).all():
                raise FloatingPointError(f"Trainer.save: {name} has values that are not finite; nothing was written")
        save_checkpoint(path, state_of(self, copy=False), files)


def _in_order(callbacks: Iterable[Callback]) -> list[Callback]:
    """By priority, and as given among equals."""
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"Trainer.fit: callbacks must be Callbacks, got {callback!r}")
    return sorted(callbacks, key=lambda callback: callback.priority)


def _count(name: str, value: Any, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"Trainer: {name} must be an integer, got {value!r}")
    if value < minimum:
        raise ValueError(f"Trainer: {name} must be at least {minimum}, got {value}")
    return int(value)
