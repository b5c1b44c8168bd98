"""Trained classifiers for the commands that use one: options, opening, preprocessing.
It must never guess how pictures become the network's input: the model says it, or the user."""

import argparse
from pathlib import Path

from .. import models
from ..data import CAFFE, IMAGENET, Preprocess
from ..layers import Layer
from .errors import UserError, as_user_errors
from .pictures import open_model

_PREPROCESS = {"imagenet": IMAGENET, "caffe": CAFFE}
# Networks whose published weights are a file of arrays alone, which does not say what network they are of.
_NETWORKS = tuple(
    name
    for name in models.__all__
    if name.startswith(("alexnet", "densenet", "mobilenet", "resnet", "squeezenet", "vgg"))
)


def add_model(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """--model and what says how to open it; `open_classifier` and `preprocess_of` obey them."""
    parser.add_argument(
        "--model", metavar="FILE", required=True, help="a model that fastconv.save wrote, a .cfg, or a state dict"
    )
    parser.add_argument("--weights", metavar="FILE", help="the weights of a .cfg")
    parser.add_argument(
        "--network",
        choices=_NETWORKS,
        metavar="NAME",
        help="the network of a state dict (.pth or .safetensors) for ImageNet, such as mobilenet_v2 or resnet50 "
        "(default: a .pth whose name begins with it, as PyTorch's do, is of that network)",
    )
    parser.add_argument(
        "--preprocess",
        choices=tuple(_PREPROCESS),
        help="how pictures become the input, where the model does not say it: as torchvision's networks (imagenet), or "
        "BGR without scaling (caffe)",
    )


def open_classifier(args: argparse.Namespace) -> Layer:
    """The model of --model; a state dict's are for ImageNet."""
    network = args.network or _named(args.model)
    if network is None:
        return open_model(args.model, args.weights)
    if args.weights is not None:
        raise UserError("--weights goes with a .cfg, not with a state dict")
    with as_user_errors("cannot open the model", ValueError):
        model = getattr(models, network)(weights=args.model)
    model.preprocess = IMAGENET
    return model


def preprocess_of(args: argparse.Namespace, model: Layer) -> Preprocess:
    """How pictures become the model's input."""
    if args.preprocess is not None:
        return _PREPROCESS[args.preprocess]
    if model.preprocess is None:
        raise UserError(f"{args.model} does not say how pictures become its input: give --preprocess")
    return model.preprocess


def _named(path: str) -> str | None:
    """The network whose name a .pth has, alone or before a hash; None for other files. Names and shapes of all weights
    are checked when they are loaded, so a wrong name cannot pass for another network."""
    if not path.lower().endswith((".pth", ".pt")):
        return None
    name = Path(path).stem.split("-")[0]
    if name not in _NETWORKS:
        raise UserError(f"{path} holds weights alone: say with --network which network they are of")
    return name
