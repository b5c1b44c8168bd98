"""How the commands train: options, defaults by the size of the pictures, optimizers and schedules by name.
The tables are closed: a name that is not in them is an error of usage, never looked up anywhere else."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from .. import optim, schedules
from ..data import Compose, RandomCrop, RandomHorizontalFlip
from .options import real, whole

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "sgd": lambda parameters, **settings: optim.SGD(parameters, momentum=0.9, nesterov=True, **settings),
}


@dataclass(frozen=True)
class Recipe:
    """Everything that a resumed run must share with the run that it goes on with."""

    model: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    schedule: str
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ()


def default_recipe(shape: tuple[int, int, int]) -> Recipe:
    """The recipe for pictures of shape (C, H, W).

    Grey pictures of the size of MNIST's: 90.3 to 90.8 % on Fashion-MNIST in 3 epochs with seeds 0 to 3. At a constant
    rate of 1e-3 it is 88.4 to 89.2 % with seeds 0 to 4. Tiny pictures, such as the 8x8 digits, and colour gain from
    batch norm.
    """
    C, H, W = shape
    if min(H, W) < 16:
        return Recipe("vgg", 10, 32, "adam", 3e-3, "cosine")
    if C == 1:
        return Recipe("small", 3, 128, "adam", 4e-3, "one-cycle")
    return Recipe("vgg", 10, 64, "adam", 1e-3, "cosine", augment=("shift", "flip"))


def make_optimizer(recipe: Recipe, parameters: Iterable[Any]) -> Any:
    """The optimizer of a recipe."""
    return OPTIMIZERS[recipe.optimizer](parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)


def _constant(optimizer: Any, recipe: Recipe, steps: int) -> None:
    return None


def _cosine(optimizer: Any, recipe: Recipe, steps: int) -> schedules.Schedule:
    return schedules.CosineAnnealingLR(optimizer, steps)


def _one_cycle(optimizer: Any, recipe: Recipe, steps: int) -> schedules.Schedule:
    return schedules.OneCycleLR(optimizer, recipe.lr, total_steps=steps)


def _step(optimizer: Any, recipe: Recipe, steps: int) -> schedules.Schedule:
    # Down to a tenth after half of the run and after three quarters, as in He et al. 2015.
    return schedules.MultiStepLR(optimizer, [max(1, steps // 2), max(1, steps * 3 // 4)])


SCHEDULES: dict[str, Callable[..., Any]] = {
    "constant": _constant,
    "cosine": _cosine,
    "one-cycle": _one_cycle,
    "step": _step,
}


def make_schedule(recipe: Recipe, optimizer: Any, steps: int) -> Any:
    """The schedule of a recipe over a run of `steps` batches, one step a batch; None for a constant rate."""
    return SCHEDULES[recipe.schedule](optimizer, recipe, steps)


AUGMENTATIONS: dict[str, Callable[[int, int], Any]] = {
    "shift": lambda H, W: RandomCrop((H, W), padding=(max(1, H // 8), max(1, W // 8))),
    "flip": lambda H, W: RandomHorizontalFlip(),
}


def make_transform(recipe: Recipe, size: tuple[int, int]) -> Any:
    """The random changes of the training pictures of `size` (H, W); None for none."""
    return Compose(AUGMENTATIONS[name](*size) for name in recipe.augment) if recipe.augment else None


def add_recipe(parser: argparse._ArgumentGroup) -> None:
    """The options of a recipe but for its model, and the seed; `chosen` obeys them."""
    parser.add_argument("--epochs", type=whole(1), metavar="N")
    parser.add_argument("--batch-size", type=whole(1), metavar="N")
    parser.add_argument("--lr", type=real(0, open_low=True), metavar="RATE", help="learning rate at its highest")
    parser.add_argument("--optimizer", choices=tuple(OPTIMIZERS))
    parser.add_argument("--schedule", choices=tuple(SCHEDULES), help="how the rate changes from batch to batch")
    parser.add_argument("--weight-decay", type=real(0), metavar="X")
    parser.add_argument("--label-smoothing", type=real(0, 1), metavar="X")
    parser.add_argument("--augment", nargs="*", choices=tuple(AUGMENTATIONS), help="random changes of the pictures")
    parser.add_argument(
        "--seed", type=whole(0), default=0, metavar="N", help="of weights, order and changes (default: 0)"
    )


def chosen(args: argparse.Namespace, default: Recipe) -> Recipe:
    """The default with what was given in its place."""
    given = {field.name: getattr(args, field.name) for field in fields(Recipe) if field.name != "model"}
    given["augment"] = None if args.augment is None else tuple(dict.fromkeys(args.augment))
    return replace(default, **{name: value for name, value in given.items() if value is not None})


def describe(recipe: Recipe) -> str:
    """The recipe in one line."""
    line = f"{recipe.epochs} epochs, batches of {recipe.batch_size}, {recipe.optimizer}, rate {recipe.lr:g} "
    line += f"({recipe.schedule})" + "".join(f", {name}" for name in recipe.augment)
    line += f", weight decay {recipe.weight_decay:g}" if recipe.weight_decay else ""
    return line + (f", label smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else "")
