"""Trainer: fit, evaluate, predict, seeded and resumable bit for bit.
A step must never be half done: weights, statistics and random states are those before it, or after it."""

import math
import os
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from .callbacks import Callback
from .checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from .formats.atomic import FileLayer
from .formats.errors import FormatError
from .formats.files import PathType
from .interrupts import InterruptGuard
from .layers.base import Layer, Parameter
from .optim import Optimizer
from .progress import epoch_progress
from .training_data import Source, Transform, count_correct, validation_source
from .training_state import History, Position, RandomStates, Settings

__all__ = ["History", "Trainer"]


class Trainer:
    """Trains `model` with `optimizer` on `loss` (`loss.forward(prediction, target) -> (value, gradient)`).

    `seed` decides the order of the samples, the random transforms, and the dropout of layers that were given
    no generator of their own. The same seed, data and first weights give the same bits, with any number of
    threads. `model` trains as it is set: layers after `eval()` stay frozen in that sense.
    """

    def __init__(self, model: Layer, optimizer: Optimizer, loss: Any, *, seed: int = 0) -> None:
        if not isinstance(model, Layer):
            raise TypeError(f"Trainer: model must be a Layer, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Trainer: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        if not callable(getattr(loss, "forward", None)):
            raise TypeError(f"Trainer: loss must have forward(prediction, target), got {loss!r}")
        self.model, self.optimizer, self.loss, self.seed = model, optimizer, loss, seed
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
        new training of the present weights begins. A loss that is not finite raises FloatingPointError; the
        weights are then those before that step. So they are after Ctrl-C, or those after it.
        """
        source = Source("Trainer.fit", x, y, transform)
        validation = validation_source(validation_data)
        epochs = _count("epochs", epochs, 0)
        settings = Settings(len(source), _count("batch_size", batch_size, 1), bool(shuffle), bool(drop_last))
        if settings.batches == 0:
            raise ValueError(f"Trainer.fit: no batch of {batch_size} in {len(source)} samples")
        self._parameters = [*self.model.parameters(), *self.optimizer.parameters()]
        self._buffers = [array for _, array in self.model.named_buffers()]
        self._callbacks = _in_order(callbacks)
        self._settings = settings
        self.position, self.history, self._stopped = Position(), History(), False
        self.resumed = resume is not None
        if resume is not None:
            self._resume(resume)
        with self._guard:
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
            if validation is not None:
                measured = self._evaluate(validation, settings.batch_size)
                logs |= {f"val_{name}": value for name, value in measured.items()}
        finally:
            bar.close(logs)
        logs["lr"] = float(self.optimizer.param_groups[0]["lr"])
        with self._guard.hold():
            self.history.add(logs)
            position.end_epoch()
        for callback in self._callbacks:
            callback.on_epoch_end(self, logs)

    def _train_step(self, source: Source, indices: np.ndarray) -> None:
        """One optimizer step, or none: whatever is raised before it, all is as it was before."""
        position, done = self.position, False
        before = self.random.state(), [array.copy() for array in self._buffers]
        try:
            self._forget_gradients()
            x, target = source.batch(indices, self.random.transform)
            prediction, back = self.model.forward(x)
            value, gradient = self.loss.forward(prediction, target)
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"Trainer.fit: the loss is {value} in epoch {self.epoch + 1}, step {self.step + 1} "
                    f"(learning rate {self.optimizer.param_groups[0]['lr']:g}); the weights are those before "
                    "this step, and the checkpoints are untouched"
                )
            back(gradient, needs_input=False)
            correct = count_correct(prediction, target)
            with self._guard.hold():
                self.optimizer.step()
                position.advance(value, len(x), correct)
                done = True
        except BaseException:
            if not done:
                with self._guard.hold():
                    self._undo(*before)
            raise

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

        Accuracy is there where predictions are (N, K) and targets integers (N,).
        """
        return self._evaluate(Source("Trainer.evaluate", x, y), _count("batch_size", batch_size, 1))

    def _evaluate(self, source: Source, batch_size: int) -> dict[str, float]:
        position = Position()
        for start in range(0, len(source), batch_size):
            inputs, target = source.batch(np.arange(start, min(start + batch_size, len(source))))
            prediction = self.model(inputs)
            value, _ = self.loss.forward(prediction, target)
            position.advance(value, len(inputs), count_correct(prediction, target))
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
        """Write a checkpoint atomically; FloatingPointError, and no file, if a weight is not finite."""
        for name, parameter in self.model.named_parameters():
            if not np.isfinite(parameter.data).all():
                raise FloatingPointError(f"Trainer.save: {name} has values that are not finite; nothing was written")
        save_checkpoint(path, self._state(copy=False), files)

    def _state(self, copy: bool) -> dict[str, Any]:
        if self._settings is None:
            raise ValueError("Trainer.save: nothing was trained yet")
        callbacks = [(type(callback).__name__, callback.state_dict()) for callback in self._callbacks]
        return {
            "model": self.model.state_dict(copy=copy),
            "optimizer": [type(self.optimizer).__name__, self.optimizer.state_dict(copy=copy)],
            "callbacks": [[name, state] for name, state in callbacks if state],
            "random": self.random.state(),
            "position": self.position.state_dict(),
            "settings": self._settings.state_dict(),
            "history": {name: list(values) for name, values in self.history.items()},
            "stopped": self._stopped,
        }

    def _resume(self, path: PathType) -> None:
        """Take the state of a checkpoint, or of the newest whole one in a folder; all of it or nothing."""
        if not os.path.isdir(path):
            return self._load(load_checkpoint(path), path)
        found = list_checkpoints(path)
        if not found:
            raise FileNotFoundError(f"Trainer.fit: no checkpoint in {os.fsdecode(path)}")
        for _, name in reversed(found):
            try:
                state = load_checkpoint(name)
            except FormatError as error:
                if name == found[0][1]:
                    raise
                warnings.warn(f"a damaged checkpoint is passed over: {error}", RuntimeWarning, stacklevel=3)
            else:
                return self._load(state, name)

    def _load(self, state: dict[str, Any], path: PathType) -> None:
        before = self._state(copy=True)
        try:
            self._apply(state)
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            self._apply(before)
            raise FormatError(path, None, repr(error), "the state of a training") from None
        except BaseException:
            self._apply(before)
            raise

    def _apply(self, state: dict[str, Any]) -> None:
        kind = type(self.optimizer).__name__
        saved = state["callbacks"]
        stateful = [callback for callback in self._callbacks if callback.state_dict()]
        if [name for name, _ in saved] != [type(callback).__name__ for callback in stateful]:
            names = ", ".join(name for name, _ in saved) or "none"
            raise ValueError(f"Trainer.fit: the checkpoint was written with the callbacks: {names}")
        if state["optimizer"][0] != kind:
            raise ValueError(f"Trainer.fit: the checkpoint is of {state['optimizer'][0]}, not {kind}")
        self._settings.require(state["settings"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"][1])
        for callback, (_, values) in zip(stateful, saved, strict=True):
            callback.load_state_dict(values)
        self.random.load(state["random"])
        self.position.load_state_dict(state["position"], self._settings)
        self.history = History({str(name): list(values) for name, values in state["history"].items()})
        self._stopped = bool(state["stopped"])


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
