"""`fastconv finetune`: transfer learning on a folder of pictures, in four steps: load a trained network, replace its
head, train the head on features of the frozen trunk, fine-tune. It must never leave a checkpoint that cannot be gone
on from."""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import data, losses, transfer
from ..layers import Layer
from ..trainer import History, Trainer
from .errors import UserError, as_user_errors, require
from .fitting import add_results, fit, prepare
from .info import headline
from .options import add_threads, apply_threads, real, whole
from .recipes import OPTIMIZERS, Recipe, add_recipe, chosen, describe, make_transform
from .scores import Scores, matrix_of, report
from .trained import add_model, open_classifier, preprocess_of

_PARTS = ("head", "fine-tuning")
# Pictures that go through the trunk together: their activations stay in the cache.
_BATCH = 8


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "finetune",
        help="teach a trained network your own classes of pictures",
        description="Transfer learning in four steps: loads a trained network; replaces its last layer by one for your"
        " classes; trains that on the features which the rest, frozen, gives for each picture, computed once; and with"
        " --fine-tune trains all of it a little more. Writes the model, which `fastconv classify` takes, the curves and"
        " the confusion matrix.",
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        required=True,
        help="pictures, one subfolder a class, or train/ and test/ of such; what `fastconv train` takes, too",
    )
    parser.add_argument("--test-fraction", type=real(0, 1, open_low=True), metavar="X", help="where there is no test/")
    network = parser.add_argument_group("the trained network")
    add_model(network)
    network.add_argument(
        "--at", metavar="LAYER", help="the head begins here, such as classifier of a VGG (default: its last layer)"
    )
    how = parser.add_argument_group("how to train the head; --augment is for fine-tuning")
    add_recipe(how)
    tune = parser.add_argument_group("how to fine-tune")
    tune.add_argument("--fine-tune", type=whole(0), default=0, metavar="N", help="epochs of it (default: none)")
    tune.add_argument(
        "--fine-tune-lr", type=real(0, open_low=True), metavar="RATE", help="rate of the trunk (default: --lr / 100)"
    )
    tune.add_argument(
        "--fine-tune-from", metavar="LAYER", help="what is before this layer stays frozen (default: nothing does)"
    )
    out = add_results(parser, "fastconv-NAME")
    out.add_argument("--resume", action="store_true", help="go on with the training in FOLDER; give the same options")
    out.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    add_threads(parser)
    return parser


@dataclass
class _Run:
    """What the steps share."""

    args: argparse.Namespace
    recipe: Recipe
    out: Path
    model: Any
    trunk: Any
    head: Any
    train: data.Preprocessed
    test: data.Preprocessed


def run(args: argparse.Namespace) -> int:
    """The four steps, and what came of them."""
    require("PIL", "matplotlib", "safetensors", *(() if args.no_progress else ("tqdm",)))
    apply_threads(args)
    if args.augment and not args.fine_tune:
        raise UserError("--augment is for fine-tuning: the head learns from features that are computed once")
    started = _start(args)
    prepare(args, started.out, _PARTS)
    histories = {}
    histories["head"], features = _train_head(started)
    if args.fine_tune:
        histories["fine-tuning"] = _fine_tune(started)
        matrix = matrix_of(started.model, started.test, len(started.model.labels), _BATCH)
    else:
        matrix = matrix_of(started.head, features, len(started.model.labels), _BATCH)
    report(args, Scores(started.model, matrix), histories, started.out)
    return 0


def _start(args: argparse.Namespace) -> _Run:
    """Steps 1 and 2."""
    with as_user_errors(args.data, ValueError, TypeError):
        split = data.load(args.data, test_fraction=args.test_fraction)
    loaded = open_classifier(args)
    preprocess = preprocess_of(args, loaded)
    with as_user_errors(f"{args.model}: cannot replace the head", ValueError, TypeError):
        model = transfer.replace_head(loaded, split.classes, at=args.at, seed=args.seed)
        trunk, head = transfer.split(model, args.at)
        if args.fine_tune_from is not None:
            transfer.split(model, args.fine_tune_from)
    model.preprocess = preprocess
    recipe = chosen(args, Recipe("", 30, 32, "adam", 1e-3, "cosine"))
    print(headline())
    print(
        f"data            {split.name}: {len(split.train):,} training and {len(split.test):,} test pictures, "
        f"{len(split.classes)} classes"
    )
    print(f"1 load          {args.model}: {_weights(loaded):,} weights; {preprocess.describe()}")
    print(f"2 replace head  {_weights(head):,} new weights; {_weights(trunk):,} of the trunk stay")
    parts = (data.Preprocessed(part, preprocess) for part in (split.train, split.test))
    return _Run(args, recipe, args.out or Path(f"fastconv-{split.name}"), model, trunk, head, *parts)


def _train_head(run: _Run) -> tuple[History, data.Dataset]:
    """Step 3, and the features of the test pictures."""
    print(f"3 train head    {describe(replace(run.recipe, augment=()))}, on features of the frozen trunk", flush=True)
    transfer.freeze(run.trunk)
    with as_user_errors(f"{run.args.data}: {run.args.model} cannot take these pictures", ValueError, TypeError):
        train, test = (
            transfer.extract_features(
                run.trunk, part, batch_size=_BATCH, progress=not run.args.no_progress, title=f"features of {name}"
            )
            for name, part in (("training", run.train), ("test", run.test))
        )
    parameters = [{"params": run.head.parameters(), "lr": run.recipe.lr}]
    return _fit(run, "head", run.head, parameters, train, test, run.recipe), test


def _fine_tune(run: _Run) -> History:
    """Step 4: the trunk, or a part of it, at its own small rate; batch norm keeps its statistics."""
    args = run.args
    part = run.model if args.fine_tune_from is None else transfer.split(run.model, args.fine_tune_from)[1]
    transfer.unfreeze(part, batch_norm=False)
    head = list(run.head.parameters())
    trunk = [parameter for parameter in part.parameters() if parameter not in set(head)]
    rate = args.fine_tune_lr or run.recipe.lr / 100
    recipe = replace(run.recipe, epochs=args.fine_tune, lr=rate)
    layers = "all layers" if args.fine_tune_from is None else f"from {args.fine_tune_from} on"
    print(f"4 fine-tune     {layers}: {describe(recipe)}; the head at {run.recipe.lr / 10:g}", flush=True)
    groups = [{"params": trunk, "lr": rate}, {"params": head, "lr": run.recipe.lr / 10}]
    transform = make_transform(recipe, run.model.preprocess.size)
    return _fit(run, "fine-tuning", run.model, groups, run.train, run.test, recipe, transform)


def _fit(
    run: _Run,
    part: str,
    model: Layer,
    groups: Iterable[dict[str, Any]],
    train: data.Dataset,
    test: data.Dataset,
    recipe: Recipe,
    transform: Any = None,
) -> History:
    optimizer = OPTIMIZERS[recipe.optimizer](groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    trainer = Trainer(model, optimizer, losses.CrossEntropyLoss(recipe.label_smoothing), seed=run.args.seed)
    checkpoints = run.out / "checkpoints" / part
    resume = checkpoints if run.args.resume and any(checkpoints.glob("*.safetensors")) else None
    log = run.out / f"history-{part}.csv"
    return fit(
        run.args, trainer, train, test, recipe, checkpoints=checkpoints, log=log, transform=transform, resume=resume
    )


def _weights(layer: Layer) -> int:
    return sum(parameter.data.size for parameter in layer.parameters())
