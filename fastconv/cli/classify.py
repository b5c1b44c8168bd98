"""`fastconv classify`: what a picture shows, with a network that was trained to classify.
It must never guess how pictures become the network's input: the model says it, or the user."""

import argparse
from typing import Any

import numpy as np

from .. import functional as F
from .. import plots
from ..data import Preprocess, load_labels
from ..layers import Layer
from .errors import UserError, as_user_errors, require
from .options import add_threads, apply_threads, whole
from .pictures import add_files, names_of, read, results, write_json
from .trained import add_model, open_classifier, preprocess_of

_SUFFIX = "classes"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "classify",
        help="say what pictures show",
        description="Prints the classes that a network finds most probable, and writes NAME-"
        f"{_SUFFIX}.png with the picture and their probabilities.",
    )
    add_model(parser)
    parser.add_argument("--top", type=whole(1), default=5, metavar="N", help="how many classes (default: 5)")
    add_files(parser, _SUFFIX)
    add_threads(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Classify, print, write."""
    require("PIL", *(() if args.no_picture else ("matplotlib",)))
    apply_threads(args)
    model = open_classifier(args)
    preprocess = preprocess_of(args, model)
    print(f"{args.model}: {preprocess.describe()}")
    paths = results(args.pictures, args.out, _SUFFIX) if not args.no_picture else []
    record = []
    for number, path in enumerate(args.pictures):
        picture = read(path)
        probabilities = _probabilities(args.model, model, preprocess, picture)
        names = _names(args, model, len(probabilities))
        best = np.argsort(-probabilities, kind="stable")[: args.top]
        classes = [{"label": names[i], "index": int(i), "probability": round(float(probabilities[i]), 4)} for i in best]
        print(path)
        for one in classes:
            print(f"  {one['probability']:.3f}  {one['label']}")
        record.append({"picture": path, "classes": classes})
        if paths:
            with as_user_errors("--out"):
                bars = {one["label"]: one["probability"] for one in classes}
                plots.save_classes(picture, bars, paths[number])
            print(f"  wrote {paths[number]}")
    write_json(args.json, record)
    return 0


def _probabilities(name: str, model: Layer, preprocess: Preprocess, picture: np.ndarray) -> np.ndarray:
    """(K,) of one picture; softmax where the network ends in logits."""
    with as_user_errors(f"{name} does not classify", ValueError, TypeError):
        scores: Any = model(preprocess(picture)[None])
        if not isinstance(scores, np.ndarray) or scores.size != scores.shape[1] or scores.size < 2:
            raise ValueError("it does not give one score for each class")
        scores = scores.reshape(1, -1)
        if scores.min() < 0 or not np.isclose(scores.sum(), 1, atol=1e-3):
            scores = F.softmax(scores, 1)
        return scores[0]


def _names(args: argparse.Namespace, model: Layer, count: int) -> tuple[str, ...]:
    """Names for `count` classes. 1000 are ImageNet's, but not in a .cfg: Darknet's order is another one."""
    names = names_of(model, args.labels)
    if not names and count == 1000 and not args.model.lower().endswith(".cfg"):
        return load_labels("imagenet")
    if names and len(names) != count:
        raise UserError(f"--labels: {len(names)} names for {count} classes")
    return names or tuple(f"class {index}" for index in range(count))
