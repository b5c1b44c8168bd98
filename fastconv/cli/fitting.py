"""A training in a folder of results: what is there, checkpoints, Ctrl-C, going on from a checkpoint.
It must leave a checkpoint that can be gone on from, however it ends."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from .. import callbacks
from ..data import Dataset
from ..trainer import History, Trainer
from .errors import UserError, as_user_errors
from .interrupt import Begun, StopOnInterrupt
from .recipes import Recipe, make_schedule


def add_results(parser: argparse.ArgumentParser, default: str) -> argparse._ArgumentGroup:
    """The options on the folder of results, whose `default` is for reading."""
    out = parser.add_argument_group("files and output")
    out.add_argument("--out", type=Path, metavar="FOLDER", help=f"where results go (default: {default})")
    out.add_argument("--overwrite", action="store_true", help="begin anew where FOLDER holds an earlier training")
    out.add_argument("--no-progress", action="store_true", help="no progress bars")
    return out


def prepare(args: argparse.Namespace, out: Path, parts: tuple[str, ...] = ()) -> None:
    """Make the folder of results, and in its checkpoints/ those of the parts of a training; UserError where it holds
    a training that is neither to be gone on with nor to be overwritten."""
    checkpoints = out / "checkpoints"
    with as_user_errors("--out"):
        if args.overwrite and not args.resume:
            shutil.rmtree(checkpoints, ignore_errors=True)
        for folder in [checkpoints / part for part in parts] or [checkpoints]:
            folder.mkdir(parents=True, exist_ok=True)
        used = any(path.is_file() for path in checkpoints.rglob("*"))
    if not args.resume and used:
        raise UserError(f"{out} holds an earlier training: go on with --resume, or give --overwrite or another --out")
    if args.resume is True and not used:
        raise UserError(f"--resume: no checkpoint in {checkpoints}")


def fit(
    args: argparse.Namespace,
    trainer: Trainer,
    train: Dataset,
    test: Dataset,
    recipe: Recipe,
    *,
    checkpoints: Path,
    log: Path,
    transform: Any = None,
    resume: Path | None = None,
) -> History:
    """Train by a recipe, a checkpoint an epoch; Ctrl-C leaves one too, and says how to go on."""
    steps = recipe.epochs * -(-len(train) // recipe.batch_size)
    schedule = make_schedule(recipe, trainer.optimizer, steps)
    begun, stop = Begun(), StopOnInterrupt(checkpoints)
    called = [callbacks.CSVLogger(log), callbacks.Checkpoint(checkpoints), begun, stop]
    if schedule is not None:
        called.insert(0, callbacks.LearningRate(schedule, per="step"))
    try:
        with stop:
            return trainer.fit(
                train,
                epochs=recipe.epochs,
                batch_size=recipe.batch_size,
                validation_data=test,
                callbacks=called,
                transform=transform,
                progress=not args.no_progress,
                resume=resume,
            )
    except KeyboardInterrupt:
        if stop.saved is not None and trainer.communicator.rank == 0:
            command = _command_to_resume(args, trainer.communicator.size)
            print(f"\nstopped; {stop.saved} holds the training. Go on with:\n  {command}", file=sys.stderr)
        raise
    except FloatingPointError as error:
        raise UserError(f"{error}; a smaller --lr may help") from error
    except (OSError, ValueError) as error:
        if begun.yes or resume is None:
            raise
        with as_user_errors("--resume", ValueError):
            raise error


def _command_to_resume(args: argparse.Namespace, ranks: int) -> str:
    words = [word for word in args.argv if word != "--overwrite"]
    if args.resume:
        at = words.index("--resume")
        del words[at : at + (1 if args.resume is True else 2)]
    launcher = ["mpiexec", "-n", str(ranks)] if ranks > 1 else []
    return shlex.join([*launcher, "fastconv", *words, "--resume"])
