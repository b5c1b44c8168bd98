"""`fastconv demo`: what fastconv is, in a minute: the machine, a table of times, a network trained on real digits.
It must run without arguments and without a network connection, and fail loudly where it does not keep its word."""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import bench, data, losses, plots, targets
from ..callbacks import LearningRate
from ..formats.model_file import load, save
from ..layers import Layer
from ..models import small_vgg
from ..trainer import History, Trainer
from .errors import as_user_errors, require
from .info import headline
from .options import add_threads, apply_threads
from .recipes import default_recipe, make_optimizer, make_schedule

GOAL = 0.98
PICTURE = Path("fastconv-demo.png")
MODEL = Path("fastconv-demo.safetensors")
PEERS = ("im2col", "naive")
# Seconds for each row of the table: with the naive loops it takes about ten in all.
_ROW_SECONDS = 0.5
_SAMPLES = 24


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "demo",
        help="the main thing: kernels against NumPy, a network trained on digits (under a minute)",
        description=f"Times the kernels against NumPy, trains a network on the 8x8 digits to {100 * GOAL:.0f} %, writes"
        f" {PICTURE} and {MODEL}, and reads the model back. Needs no network connection.",
    )
    add_threads(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Show, train, write, read back. 1 where the accuracy is not reached or the model does not come back."""
    require("tqdm", "matplotlib", "safetensors")
    apply_threads(args)
    start = time.perf_counter()
    print(f"{headline()}\ntargets this CPU runs: {', '.join(targets())} (FASTCONV_TARGET forces one)\n")
    _show_times()
    trainer, history, accuracy, test = _train()
    reached = accuracy >= GOAL
    verdict = "reached" if reached else "NOT reached"
    print(
        f"test accuracy: {100 * accuracy:.2f} % of {len(test[0])} digits; the goal of {100 * GOAL:.0f} % is {verdict}\n"
    )
    equal = _write(trainer.model, history, accuracy, test)
    print(f"done in {time.perf_counter() - start:.0f} s")
    return 0 if reached and equal else 1


def _show_times() -> None:
    table = bench.Table(bench.DEMO, PEERS)
    print(table.header(), flush=True)
    for row in bench.DEMO:
        print(table.line(bench.measure_row(row, seconds=_ROW_SECONDS, peers=PEERS)), flush=True)
    print(f"{table.footnote()}\n", flush=True)


def _train() -> tuple[Trainer, History, float, tuple[np.ndarray, np.ndarray]]:
    (x, y), test = data.load_digits()
    recipe = default_recipe(x.shape[1:])
    model = small_vgg(x.shape[1:], 10, generator=np.random.default_rng(0))
    weights = sum(parameter.data.size for parameter in model.parameters())
    print(
        f"a network of {weights:,} weights learns the 8x8 digits: {len(x):,} to train, {len(test[0])} to test",
        flush=True,
    )
    optimizer = make_optimizer(recipe, model.parameters())
    schedule = make_schedule(recipe, optimizer, recipe.epochs * -(-len(x) // recipe.batch_size))
    trainer = Trainer(model, optimizer, losses.CrossEntropyLoss())
    history = trainer.fit(
        x, y, recipe.epochs, recipe.batch_size, validation_data=test, callbacks=[LearningRate(schedule, per="step")]
    )
    return trainer, history, trainer.evaluate(*test)["accuracy"], test


def _write(model: Layer, history: History, accuracy: float, test: tuple[np.ndarray, np.ndarray]) -> bool:
    """Write the model and the picture; whether the model read back predicts the same, bit for bit."""
    x, y = test
    scores = model(x)
    with as_user_errors("cannot write the results"):
        save(model, MODEL)
        again = load(MODEL)(x)
        _draw(history, accuracy, x, y, scores.argmax(axis=1))
    equal = np.array_equal(scores, again)
    print(f"wrote {PICTURE}: the curves, and digits with their predictions")
    print(
        f"wrote {MODEL} ({MODEL.stat().st_size / 1000:.0f} kB); read back, its predictions for {len(x)} digits are "
        f"{'equal, bit for bit' if equal else 'DIFFERENT'}"
    )
    return equal


def _draw(history: History, accuracy: float, x: np.ndarray, y: np.ndarray, guesses: np.ndarray) -> None:
    """The picture: what went wrong comes first, then digits that went right."""
    order = np.argsort(guesses == y, kind="stable")[:_SAMPLES]
    title = f"fastconv on the 8x8 digits: {100 * accuracy:.2f} % of {len(x)} test digits right"
    plots.save_report(history, PICTURE, images=x[order], labels=y[order], predictions=guesses[order], title=title)
