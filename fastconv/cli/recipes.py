"""What `fastconv train` does where no option says otherwise, by the size of the pictures; optimizers and schedules by name.
These are closed tables: a name that is not in them is an error of usage."""

from dataclasses import dataclass
from typing import Any

from .. import optim, schedules
from ..models import SMALL_MODELS

MODELS = tuple(SMALL_MODELS)
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "one-cycle", "step")


@dataclass(frozen=True)
class Recipe:
    """How to train: everything that a resumed run must share with the run it goes on with."""

    model: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    schedule: str


def default_recipe(shape: tuple[int, int, int]) -> Recipe:
    """The recipe for pictures of shape (C, H, W).

    Grey pictures of MNIST's size: the small network reaches about 89 % on Fashion-MNIST in 3 epochs. Tiny ones such as the
    8x8 digits and colour ones gain from batch norm and a falling rate.
    """
    C, H, W = shape
    if min(H, W) < 16:
        return Recipe("vgg", 10, 32, "adam", 3e-3, "cosine")
    if C == 1:
        return Recipe("small", 3, 128, "adam", 1e-3, "constant")
    return Recipe("vgg", 10, 64, "adam", 1e-3, "cosine")


def make_optimizer(recipe: Recipe, parameters: Any, *, weight_decay: float, steps: int) -> Any:
    """The optimizer of a recipe with its schedule, for a run of `steps` batches."""
    schedule: Any = recipe.lr
    if recipe.schedule == "cosine":
        schedule = schedules.Cosine(recipe.lr, steps)
    return optim
