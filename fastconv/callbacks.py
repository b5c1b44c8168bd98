"""Callbacks of the trainer: early stopping, checkpoints, a CSV log, learning-rate schedules.
What a callback remembers must be in its state_dict, or resumed training would differ."""

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .checkpoint import checkpoint_path, list_checkpoints
from .formats.atomic import FileLayer, write_atomically
from .schedules import Schedule

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "LearningRate"]


class Callback:
    """Called by `Trainer.fit`; `logs` are the metrics so far (of a step) or of the whole epoch.

    All callbacks run in the order given, those with a higher `priority` after the others: checkpoints come
    last, so that they hold what the others did. With several ranks each has its own callbacks, of the same
    kinds; those that write files do so on rank 0.
    """

    priority: int = 0

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Before the first step, after a resumed state was loaded."""

    def on_step_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        """After each optimizer step."""

    def on_epoch_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        """After each epoch and its validation."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """After the last epoch; not if training was interrupted or failed."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold: a tree of dicts, lists, arrays, numbers and texts."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""

    def require_fitting(self, trainer: "Trainer") -> None:
        """ValueError where the state that was taken does not fit the trainer, which is then not resumed."""


class LearningRate(Callback):
    """Steps a schedule after each epoch (`per="epoch"`) or each step (`per="step"`)."""

    def __init__(self, schedule: Schedule, per: str = "epoch") -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"LearningRate: schedule must be a Schedule, got {schedule!r}")
        if per not in ("epoch", "step"):
            raise ValueError(f'LearningRate: per must be "epoch" or "step", got {per!r}')
        self.schedule, self.per = schedule, per

    def on_train_begin(self, trainer: "Trainer") -> None:
        if self.schedule.optimizer is not trainer.optimizer:
            raise ValueError("LearningRate: the schedule belongs to another optimizer than the trainer's")

    def on_step_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        if self.per == "step":
            self.schedule.step()

    def on_epoch_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        if self.per == "epoch":
            self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        return self.schedule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.schedule.load_state_dict(state)


class EarlyStopping(Callback):
    """Stops training when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    `mode` is "min" or "max"; "auto" takes "max" for accuracies. NaN is no improvement. With `restore_best`
    the model gets the weights of the best epoch back when training ends.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = False,
    ) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: patience must be an integer of at least 1, got {patience!r}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'EarlyStopping: mode must be "auto", "min" or "max", got {mode!r}')
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta must be at least 0, got {min_delta!r}")
        if mode == "auto":
            mode = "max" if "accuracy" in monitor else "min"
        self.monitor, self.patience, self.min_delta, self.mode = monitor, patience, float(min_delta), mode
        self.restore_best = restore_best
        self._clear()

    def _clear(self) -> None:
        self.best: float | None = None
        self.waited = 0
        self.best_weights: dict[str, np.ndarray] | None = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        if not trainer.resumed:
            self._clear()

    def on_epoch_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        if self.monitor not in logs:
            raise ValueError(f"EarlyStopping: monitor {self.monitor!r} is not one of {', '.join(logs)}")
        value = logs[self.monitor]
        gain = -math.inf if math.isnan(value) else math.inf if self.best is None else value - self.best
        if self.best is not None and self.mode == "min":
            gain = self.best - value if not math.isnan(value) else -math.inf
        if gain > self.min_delta:
            self.best, self.waited = float(value), 0
            if self.restore_best:
                self.best_weights = trainer.model.state_dict()
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop()

    def on_train_end(self, trainer: "Trainer") -> None:
        if self.restore_best and self.best_weights is not None:
            trainer.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "best_weights": self.best_weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        best, waited, weights = state["best"], state["waited"], state["best_weights"]
        if not (best is None or isinstance(best, float)) or type(waited) is not int or waited < 0:
            raise ValueError(f"EarlyStopping: not its state: best={best!r}, waited={waited!r}")
        if not (weights is None or isinstance(weights, dict)):
            raise ValueError(f"EarlyStopping: not its state: best_weights is a {type(weights).__name__}")
        self.best, self.waited, self.best_weights = best, waited, weights

    def require_fitting(self, trainer: "Trainer") -> None:
        if self.best_weights is not None:
            trainer.model.fitting_entries(self.best_weights)


class Checkpoint(Callback):
    """Writes `folder`/checkpoint-<step>.safetensors every `every` epochs, and every `every_steps` steps.

    Each file holds all that training needs to go on bit for bit: `trainer.fit(..., resume=folder)`. Of the
    files the last `keep_last` stay; older ones go only when the new one is safely on the disk. Weights that
    are not finite are never written: FloatingPointError. A folder that holds checkpoints already is refused
    with a ValueError unless training is resumed.
    """

    priority = 100

    def __init__(
        self,
        folder: str | os.PathLike,
        every: int | None = 1,
        every_steps: int | None = None,
        keep_last: int = 2,
        *,
        files: FileLayer | None = None,
    ) -> None:
        for name, value in (("every", every), ("every_steps", every_steps), ("keep_last", keep_last)):
            if value is None and name != "keep_last":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Checkpoint: {name} must be an integer of at least 1, got {value!r}")
        if every is None and every_steps is None:
            raise ValueError("Checkpoint: give every (epochs) or every_steps, or both")
        self.folder = os.fsdecode(folder)
        self.every, self.every_steps, self.keep_last = every, every_steps, keep_last
        self._files = FileLayer() if files is None else files

    def on_train_begin(self, trainer: "Trainer") -> None:
        with trainer.communicator.together():
            if trainer.communicator.rank == 0:
                os.makedirs(self.folder, exist_ok=True)
                if not trainer.resumed and list_checkpoints(self.folder):
                    raise ValueError(
                        f"Checkpoint: {self.folder} holds the checkpoints of another training; "
                        "give another folder, or go on from them with fit(..., resume=folder)"
                    )

    def on_step_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        if self.every_steps and trainer.step % self.every_steps == 0:
            self._save(trainer)

    def on_epoch_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        if self.every and trainer.epoch % self.every == 0:
            self._save(trainer)

    def _save(self, trainer: "Trainer") -> None:
        if trainer.communicator.rank != 0:
            return
        trainer.save(checkpoint_path(self.folder, trainer.step), files=self._files)
        # Files of later steps, left by a training that was resumed from before them, are not ours to judge.
        written = [path for step, path in list_checkpoints(self.folder) if step <= trainer.step]
        for path in written[: -self.keep_last]:
            self._files.remove(path)


class CSVLogger(Callback):
    """Writes the history as a CSV file, one line an epoch, whole after each epoch."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)

    def on_epoch_end(self, trainer: "Trainer", logs: dict[str, float]) -> None:
        if trainer.communicator.rank != 0:
            return
        names = list(trainer.history)
        rows = zip(*trainer.history.values(), strict=True)
        lines = [",".join(["epoch", *names])]
        lines += [",".join([str(epoch), *map(repr, row)]) for epoch, row in enumerate(rows, 1)]
        write_atomically(self.path, ["\n".join([*lines, ""]).encode()])
