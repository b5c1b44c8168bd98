"""The state of a training as `Trainer.save` writes it, and going on from it.
A checkpoint is taken as a whole or not at all, on every rank alike."""

import os
import warnings
from typing import TYPE_CHECKING, Any

from .checkpoint import list_checkpoints, load_checkpoint
from .formats.errors import FormatError
from .formats.files import PathType
from .training_state import History

if TYPE_CHECKING:
    from .trainer import Trainer


def state_of(trainer: "Trainer", copy: bool) -> dict[str, Any]:
    """All that training depends on; ValueError before it has begun."""
    if trainer._settings is None:
        raise ValueError("Trainer.save: nothing was trained yet")
    callbacks = [(type(callback).__name__, callback.state_dict()) for callback in trainer._callbacks]
    return {
        "model": trainer.model.state_dict(copy=copy),
        "optimizer": [type(trainer.optimizer).__name__, trainer.optimizer.state_dict(copy=copy)],
        "callbacks": [[name, state] for name, state in callbacks if state],
        "random": trainer.random.state(),
        "position": trainer.position.state_dict(),
        "settings": trainer._settings.state_dict(),
        "history": {name: list(values) for name, values in trainer.history.items()},
        "stopped": trainer._stopped,
    }


def resume_from(trainer: "Trainer", path: PathType) -> None:
    """Take the state of a checkpoint, or of the newest whole one in a folder; rank 0 reads it for all ranks."""
    communicator, found = trainer.communicator, None
    with communicator.together():
        if communicator.rank == 0:
            found = _read(path)
    _take(trainer, *communicator.share(found))


def _read(path: PathType) -> tuple[dict[str, Any], PathType]:
    """(state, path of its file)."""
    if not os.path.isdir(path):
        return load_checkpoint(path), path
    found = list_checkpoints(path)
    if not found:
        raise FileNotFoundError(f"Trainer.fit: no checkpoint in {os.fsdecode(path)}")
    for _, name in reversed(found):
        try:
            return load_checkpoint(name), name
        except FormatError as error:
            if name == found[0][1]:
                raise
            warnings.warn(f"a damaged checkpoint is passed over: {error}", RuntimeWarning, stacklevel=5)


def _take(trainer: "Trainer", state: dict[str, Any], path: PathType) -> None:
    before = state_of(trainer, copy=True)
    try:
        _apply(trainer, state)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        _apply(trainer, before)
        raise FormatError(path, None, repr(error), "the state of a training") from None
    except BaseException:
        _apply(trainer, before)
        raise


def _apply(trainer: "Trainer", state: dict[str, Any]) -> None:
    kind = type(trainer.optimizer).__name__
    saved = state["callbacks"]
    stateful = [callback for callback in trainer._callbacks if callback.state_dict()]
    if [name for name, _ in saved] != [type(callback).__name__ for callback in stateful]:
        names = ", ".join(name for name, _ in saved) or "none"
        raise ValueError(f"Trainer.fit: the checkpoint was written with the callbacks: {names}")
    if state["optimizer"][0] != kind:
        raise ValueError(f"Trainer.fit: the checkpoint is of {state['optimizer'][0]}, not {kind}")
    trainer._settings.require(state["settings"])
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"][1])
    for callback, (_, values) in zip(stateful, saved, strict=True):
        callback.load_state_dict(values)
        callback.require_fitting(trainer)
    trainer.random.load(state["random"])
    trainer.position.load_state_dict(state["position"], trainer._settings)
    trainer.history = History({str(name): list(values) for name, values in state["history"].items()})
    trainer._stopped = bool(state["stopped"])
