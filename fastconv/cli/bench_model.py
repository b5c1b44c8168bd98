"""`fastconv bench --model FILE`: where the time of one network goes, and other inference engines beside it.
It must hold no measuring code: that is fastconv.inference and fastconv.bench.contest."""

import argparse
import json
import os
from typing import TYPE_CHECKING

import numpy as np

from .. import get_num_threads, optimize
from .errors import UserError, as_user_errors
from .info import headline, machine
from .pictures import open_model

if TYPE_CHECKING:
    from ..bench.contest import Standing
    from ..layers import Layer


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `bench` takes for this."""
    group = parser.add_argument_group("a whole network")
    group.add_argument("--model", metavar="FILE", help="time this network (what fastconv.load reads) in place of rows")
    group.add_argument("--weights", metavar="FILE", help="the weights of a .cfg")
    group.add_argument("--input-shape", type=_sizes, metavar="C,H,W", help="of x, where the file does not say it")
    group.add_argument("--plot", metavar="FILE", help="write a picture of the profile")


def _sizes(text: str) -> tuple[int, ...]:
    """An argparse type: positive integers with commas."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expected sizes such as 3,224,224, got {text!r}")
    return sizes


def run(args: argparse.Namespace) -> int:
    """Profile and compare, print, and write what is asked for."""
    from ..bench.contest import contest
    from ..bench.engines import ENGINES, missing

    model = open_model(args.model, args.weights)
    shape = (args.batch_size or 1, *_image_shape(args, model))
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    with as_user_errors(args.model, ValueError, TypeError):
        network = optimize(model, shape)
        profile = network.profile(x)
    text = "x".join(map(str, shape))
    print(f"{headline()} | {args.model} {text}\n\n{profile}\n\n{network.summary().splitlines()[-1]}\n", flush=True)
    if args.plot:
        with as_user_errors("--plot"):
            profile.plot(args.plot, title=f"{os.path.basename(args.model)}, x {text}, {headline()}")
    engines = [name for name in ENGINES if not missing(name)]
    standing = contest(model, x, engines, get_num_threads(), args.seconds)
    for name in ENGINES:
        print(_line(name, standing, missing(name) if name not in engines else [], len(x)))
    print(f"Medians of {standing.rounds} interleaved rounds, each engine in a process of its own; peak memory of it.")
    if args.json:
        record = {"machine": machine(), "model": args.model, "shape": shape, **vars(standing)}
        record["steps"] = [vars(row) for row in profile.rows]
        with as_user_errors("--json"), open(args.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")
    return 0


def _image_shape(args: argparse.Namespace, model: "Layer") -> tuple[int, ...]:
    if args.input_shape:
        return args.input_shape
    if model.preprocess is None:
        raise UserError(f"{args.model} does not say the size of its input: give --input-shape C,H,W")
    channels = 1 if model.preprocess.channels == "L" else 3
    return (channels, *model.preprocess.size)


def _line(name: str, standing: "Standing", absent: list[str], batch: int) -> str:
    """One engine: milliseconds, times fastconv's, megabytes; or why not."""
    if name in standing.seconds:
        ms, ratio = 1e3 * standing.seconds[name], standing.seconds[name] / standing.seconds["fastconv"]
        return f"{name:<13}{ms:9.2f} ms{ratio:7.2f}x{standing.memory[name] / 2**20:8.0f} MB"
    why = standing.errors.get(name, "takes one picture at a time" if batch > 1 else "was not run")
    return f"{name:<13}" + (f"not installed: {', '.join(absent)}" if absent else why)
