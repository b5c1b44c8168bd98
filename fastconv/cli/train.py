"""`fastconv train`: a network on the digits, on MNIST-like or CIFAR files, or on a folder of pictures.
It must leave a checkpoint that can be gone on from, however it ends."""

import argparse
import shlex
import shutil
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import callbacks, data, losses, plots
from ..distributed import Communicator, world
from ..formats.model_file import save
from ..models import SMALL_MODELS, normalised
from ..trainer import History, Trainer
from .errors import UserError, as_user_errors, require
from .info import headline
from .interrupt import Begun, StopOnInterrupt
from .options import add_threads, apply_threads, real, whole
from .recipes import (
    AUGMENTATIONS,
    OPTIMIZERS,
    SCHEDULES,
    Recipe,
    default_recipe,
    make_optimizer,
    make_schedule,
    make_transform,
)

# Pictures whose mean and deviation normalise all.
_SAMPLES = 2000


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "train",
        help="train a small network on digits, MNIST, CIFAR or your pictures",
        description="Trains a network and writes its model, checkpoints, history and curves into one folder. What is"
        " not given is chosen by the size of the pictures. Under mpiexec all processes train one network together.",
    )
    parser.add_argument("data", metavar="digits|PATH", help="the digits that come along, or a folder (see the README)")
    how = parser.add_argument_group("how to train")
    how.add_argument("--epochs", type=whole(1), metavar="N")
    how.add_argument("--batch-size", type=whole(1), metavar="N")
    how.add_argument("--lr", type=real(0, open_low=True), metavar="RATE", help="learning rate at its highest")
    how.add_argument("--model", choices=tuple(SMALL_MODELS))
    how.add_argument("--optimizer", choices=tuple(OPTIMIZERS))
    how.add_argument("--schedule", choices=tuple(SCHEDULES), help="how the rate changes from batch to batch")
    how.add_argument("--weight-decay", type=real(0), metavar="X")
    how.add_argument("--label-smoothing", type=real(0, 1), metavar="X")
    how.add_argument(
        "--synchronise-batch-norm",
        action="store_true",
        help="under mpiexec: statistics of the batches of all processes",
    )
    how.add_argument("--augment", nargs="*", choices=tuple(AUGMENTATIONS), help="random changes of the pictures")
    how.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of weights, order and changes (default: 0)")
    pictures = parser.add_argument_group("folders of pictures")
    pictures.add_argument("--size", type=whole(4), metavar="N", help="height and width in pixels (default: 64)")
    pictures.add_argument("--channels", type=int, choices=(1, 3), help="1 for grey, 3 for colour (default)")
    pictures.add_argument(
        "--test-fraction", type=real(0, 1, open_low=True), metavar="X", help="where there is no test/"
    )
    out = parser.add_argument_group("files and output")
    out.add_argument("--out", type=Path, metavar="FOLDER", help="where results go (default: fastconv-NAME)")
    out.add_argument(
        "--resume",
        nargs="?",
        type=Path,
        const=True,
        metavar="CHECKPOINT",
        help="go on from this checkpoint, or from the newest in FOLDER; give the same options as before",
    )
    out.add_argument("--overwrite", action="store_true", help="begin anew where FOLDER holds an earlier training")
    out.add_argument("--no-progress", action="store_true", help="no progress bars")
    add_threads(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Load, train, evaluate, write."""
    require("matplotlib", "safetensors", *(() if args.no_progress else ("tqdm",)))
    with as_user_errors("mpiexec", ImportError, RuntimeError):
        communicator = world()
    apply_threads(args)
    with communicator.together():
        split = _load(args)
    recipe = _recipe(args, split)
    out = args.out or Path(f"fastconv-{split.name}")
    generator = np.random.default_rng(args.seed)
    with as_user_errors(f"--model {recipe.model}", ValueError):
        model = SMALL_MODELS[recipe.model](split.shape, len(split.classes), generator=generator)
    with as_user_errors(args.data):
        model = normalised(model, *_mean_std(split))
    first = communicator.rank == 0
    resume = None
    with communicator.together():
        if first:
            _announce(split, recipe, model, out, communicator)
            resume = _prepare(args, out)
    resume = communicator.share(resume)
    optimizer = make_optimizer(recipe, model.parameters())
    trainer = Trainer(
        model,
        optimizer,
        losses.CrossEntropyLoss(recipe.label_smoothing),
        seed=args.seed,
        communicator=communicator,
        synchronise_batch_norm=args.synchronise_batch_norm,
    )
    history = _fit(args, trainer, split, recipe, out, resume)
    measured = trainer.evaluate(split.test)
    if first:
        _finish(trainer, split, history, measured, out)
    return 0


def _load(args: argparse.Namespace) -> data.Split:
    options = {"size": args.size, "channels": args.channels, "test_fraction": args.test_fraction}
    with as_user_errors(args.data, ValueError, TypeError):
        return data.load(args.data, **options)


def _mean_std(split: data.Split) -> tuple[np.ndarray, np.ndarray]:
    """Of each channel, over training pictures that lie evenly in the set: as many as can be decoded quickly."""
    count = len(split.train)
    chosen = np.linspace(0, count - 1, min(count, _SAMPLES), dtype=np.int64)
    return data.channel_mean_std(split.train.batch(chosen)[0])


def _recipe(args: argparse.Namespace, split: data.Split) -> Recipe:
    given = {field.name: getattr(args, field.name) for field in fields(Recipe)}
    given["augment"] = None if args.augment is None else tuple(dict.fromkeys(args.augment))
    return replace(default_recipe(split.shape), **{name: value for name, value in given.items() if value is not None})


def _announce(split: data.Split, recipe: Recipe, model: Any, out: Path, communicator: Communicator) -> None:
    C, H, W = split.shape
    weights = sum(parameter.data.size for parameter in model.parameters())
    extra = "".join(f", {name}" for name in recipe.augment)
    extra += f", weight decay {recipe.weight_decay:g}" if recipe.weight_decay else ""
    extra += f", label smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else ""
    facts = {
        "data": f"{split.name}: {len(split.train):,} training and {len(split.test):,} test pictures of {C}x{H}x{W}, "
        f"{len(split.classes)} classes",
        "model": f"{recipe.model}, {weights:,} weights",
        "training": f"{recipe.epochs} epochs, batches of {recipe.batch_size}, {recipe.optimizer}, rate {recipe.lr:g} "
        f"({recipe.schedule}){extra}",
        **({"processes": f"{communicator.size}"} if communicator.size > 1 else {}),
        "results": f"{out}{'/' if out.name else ''}",
    }
    print(headline())
    for name, value in facts.items():
        print(f"{name:<10}{value}")
    sys.stdout.flush()


def _prepare(args: argparse.Namespace, out: Path) -> Path | None:
    """Make the folder of results; the checkpoint, or folder of them, to go on from."""
    checkpoints = out / "checkpoints"
    with as_user_errors("--out"):
        if args.overwrite and args.resume is None:
            shutil.rmtree(checkpoints, ignore_errors=True)
        checkpoints.mkdir(parents=True, exist_ok=True)
        used = any(checkpoints.iterdir())
    if args.resume is None and used:
        raise UserError(f"{out} holds an earlier training: go on with --resume, or give --overwrite or another --out")
    if args.resume is True and not used:
        raise UserError(f"--resume: no checkpoint in {checkpoints}")
    return checkpoints if args.resume is True else args.resume


def _fit(
    args: argparse.Namespace, trainer: Trainer, split: data.Split, recipe: Recipe, out: Path, resume: Path | None
) -> History:
    checkpoints = out / "checkpoints"
    steps = recipe.epochs * -(-len(split.train) // recipe.batch_size)
    schedule = make_schedule(recipe, trainer.optimizer, steps)
    begun, stop = Begun(), StopOnInterrupt(checkpoints)
    called = [callbacks.CSVLogger(out / "history.csv"), callbacks.Checkpoint(checkpoints), begun, stop]
    if schedule is not None:
        called.insert(0, callbacks.LearningRate(schedule, per="step"))
    try:
        with stop:
            return trainer.fit(
                split.train,
                epochs=recipe.epochs,
                batch_size=recipe.batch_size,
                validation_data=split.test,
                callbacks=called,
                transform=make_transform(recipe, split.size),
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
    if args.resume is not None:
        at = words.index("--resume")
        del words[at : at + (1 if args.resume is True else 2)]
    launcher = ["mpiexec", "-n", str(ranks)] if ranks > 1 else []
    return shlex.join([*launcher, "fastconv", *words, "--resume"])


def _finish(trainer: Trainer, split: data.Split, history: History, measured: dict[str, float], out: Path) -> None:
    wrong = round((1 - measured["accuracy"]) * len(split.test))
    print(f"test accuracy: {100 * measured['accuracy']:.2f} % ({wrong:,} of {len(split.test):,} wrong)")
    model = out / "model.safetensors"
    with as_user_errors("--out"):
        save(trainer.model, model)
        plots.save_curves(history, out / "curves.png")
    print(f"wrote {model}, {out / 'history.csv'}, {out / 'curves.png'}")
    print(f'use it: fastconv.load("{model}")')
