"""Ctrl-C during training: the step that runs is finished, the state is saved, then training stops.
Nothing may be saved from inside the signal handler: it only remembers that the signal came."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any, Self

from ..callbacks import Callback
from ..checkpoint import checkpoint_path


class Begun(Callback):
    """Knows whether training has begun: an error before that is one of the checkpoint to go on from."""

    priority = 300

    def __init__(self) -> None:
        self.yes = False

    def on_train_begin(self, trainer: Any) -> None:
        self.yes = True


class StopOnInterrupt(Callback):
    """Between two steps after a Ctrl-C, writes a checkpoint into `folder` and raises KeyboardInterrupt.

    Used as a context around `Trainer.fit`. A second Ctrl-C does not wait. `saved` is the checkpoint's path. It runs
    after all other callbacks, so that the checkpoint holds what they did.
    """

    priority = 200

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved: Path | None = None
        self._wanted = False

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._wanted:
            raise KeyboardInterrupt
        self._wanted = True

    def on_step_end(self, trainer: Any, logs: dict[str, float]) -> None:
        # With several ranks the signal reaches them in different steps: they stop in one.
        if trainer.communicator.any(self._wanted):
            path = checkpoint_path(self.folder, trainer.step)
            trainer.save(path)
            self.saved = Path(path)
            raise KeyboardInterrupt

    def on_epoch_end(self, trainer: Any, logs: dict[str, float]) -> None:
        self.on_step_end(trainer, logs)
