"""`fastconv train`: a network on the digits, on MNIST-like or CIFAR files, or on a folder of pictures.
It must leave a checkpoint that can be gone on from, however it ends."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, losses, plots
from ..distributed import Communicator, world
from ..formats.model_file import save
from ..models import SMALL_MODELS, normalised
from ..trainer import History, Trainer
from .errors import as_user_errors, require
from .fitting import add_results, fit, prepare
from .info import headline
from .options import add_threads, apply_threads, real, whole
from .recipes import Recipe, add_recipe, chosen, default_recipe, describe, make_optimizer, make_transform

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
    how.add_argument("--model", choices=tuple(SMALL_MODELS))
    add_recipe(how)
    how.add_argument(
        "--synchronise-batch-norm",
        action="store_true",
        help="under mpiexec: statistics of the batches of all processes",
    )
    pictures = parser.add_argument_group("folders of pictures")
    pictures.add_argument("--size", type=whole(4), metavar="N", help="height and width in pixels (default: 64)")
    pictures.add_argument("--channels", type=int, choices=(1, 3), help="1 for grey, 3 for colour (default)")
    pictures.add_argument(
        "--test-fraction", type=real(0, 1, open_low=True), metavar="X", help="where there is no test/"
    )
    out = add_results(parser, "fastconv-NAME")
    out.add_argument(
        "--resume",
        nargs="?",
        type=Path,
        const=True,
        metavar="CHECKPOINT",
        help="go on from this checkpoint, or from the newest in FOLDER; give the same options as before",
    )
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
    with communicator.together():
        if first:
            _announce(split, recipe, model, out, communicator)
            prepare(args, out)
    optimizer = make_optimizer(recipe, model.parameters())
    trainer = Trainer(
        model,
        optimizer,
        losses.CrossEntropyLoss(recipe.label_smoothing),
        seed=args.seed,
        communicator=communicator,
        synchronise_batch_norm=args.synchronise_batch_norm,
    )
    checkpoints = out / "checkpoints"
    history = fit(
        args,
        trainer,
        split.train,
        split.test,
        recipe,
        checkpoints=checkpoints,
        log=out / "history.csv",
        transform=make_transform(recipe, split.size),
        resume=checkpoints if args.resume is True else args.resume,
    )
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
    recipe = chosen(args, default_recipe(split.shape))
    return recipe if args.model is None else replace(recipe, model=args.model)


def _announce(split: data.Split, recipe: Recipe, model: Any, out: Path, communicator: Communicator) -> None:
    C, H, W = split.shape
    weights = sum(parameter.data.size for parameter in model.parameters())
    facts = {
        "data": f"{split.name}: {len(split.train):,} training and {len(split.test):,} test pictures of {C}x{H}x{W}, "
        f"{len(split.classes)} classes",
        "model": f"{recipe.model}, {weights:,} weights",
        "training": describe(recipe),
        **({"processes": f"{communicator.size}"} if communicator.size > 1 else {}),
        "results": f"{out}{'/' if out.name else ''}",
    }
    print(headline())
    for name, value in facts.items():
        print(f"{name:<10}{value}")
    sys.stdout.flush()


def _finish(trainer: Trainer, split: data.Split, history: History, measured: dict[str, float], out: Path) -> None:
    wrong = round((1 - measured["accuracy"]) * len(split.test))
    print(f"test accuracy: {100 * measured['accuracy']:.2f} % ({wrong:,} of {len(split.test):,} wrong)")
    model = out / "model.safetensors"
    with as_user_errors("--out"):
        save(trainer.model, model)
        plots.save_curves(history, out / "curves.png")
    print(f"wrote {model}, {out / 'history.csv'}, {out / 'curves.png'}")
    print(f'use it: fastconv.load("{model}")')
