"""`fastconv detect`: objects in pictures, with a YOLOv3 of Darknet or one that fastconv saved.
It must print exactly what it writes: the same boxes, in pixels of the picture."""

import argparse
from typing import Any

from ..data import load_labels
from ..detection import Detection, detect, heads_of, save_boxes
from ..layers import Layer
from .errors import UserError, as_user_errors, require
from .options import add_threads, apply_threads, real
from .pictures import add_files, names_of, open_model, read, results, write_json

_SUFFIX = "boxes"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "detect",
        help="find objects in pictures with YOLOv3",
        description="Finds objects in pictures, prints a line for each (class, score, x, y, width and height in pixels)"
        f" and writes NAME-{_SUFFIX}.png with the boxes.",
    )
    model = parser.add_argument_group("the network: --cfg and --weights, or --model")
    model.add_argument("--cfg", metavar="FILE", help="Darknet's description of the network, such as yolov3-tiny.cfg")
    model.add_argument("--weights", metavar="FILE", help="its weights, such as yolov3-tiny.weights")
    model.add_argument("--model", metavar="FILE", help="a model that fastconv.save wrote")
    how = parser.add_argument_group("what counts")
    how.add_argument("--threshold", type=real(0, 1), default=0.25, metavar="X", help="least score (default: 0.25)")
    how.add_argument(
        "--nms",
        type=real(0, 1.0000001),
        default=0.45,
        metavar="X",
        help="boxes of one class that overlap by more than this are one object (default: 0.45)",
    )
    how.add_argument(
        "--resize",
        choices=("letterbox", "stretch"),
        help="keep the picture's proportions, as Darknet, or fill the input, as OpenCV (default: the model's)",
    )
    add_files(parser, _SUFFIX)
    add_threads(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Detect, print, write."""
    require("PIL")
    apply_threads(args)
    model = _open(args)
    names = _names(args, model)
    paths = results(args.pictures, args.out, _SUFFIX) if not args.no_picture else []
    record = []
    for number, path in enumerate(args.pictures):
        picture = read(path)
        found = detect(model, picture, threshold=args.threshold, nms=args.nms, fit=args.resize, labels=names)
        print(f"{path}: {len(found)} object{'s' * (len(found) != 1)}")
        for one in found:
            print("  " + _line(one))
        record.append({"picture": path, "boxes": [_plain(one) for one in found]})
        if paths:
            with as_user_errors("--out"):
                save_boxes(picture, found, paths[number])
            print(f"  wrote {paths[number]}")
    write_json(args.json, record)
    return 0


def _open(args: argparse.Namespace) -> Layer:
    if (args.cfg is None) == (args.model is None):
        raise UserError("give either --cfg with --weights, or --model")
    if (args.cfg is None) != (args.weights is None):
        raise UserError("--cfg and --weights go together")
    model = open_model(args.model or args.cfg, args.weights)
    with as_user_errors(f"{args.model or args.cfg} is not a network for detection", ValueError):
        heads_of(model)
        if model.preprocess is None:
            raise ValueError("it does not say how pictures become its input (model.preprocess)")
    return model


def _names(args: argparse.Namespace, model: Layer) -> tuple[str, ...]:
    """The names of the classes; 80 of a .cfg are COCO's."""
    classes = max(head.num_classes for head in heads_of(model))
    names = names_of(model, args.labels)
    if not names and classes == 80:
        return load_labels("coco")
    if names and len(names) != classes:
        raise UserError(f"--labels: {len(names)} names for {classes} classes")
    return names


def _plain(found: Detection) -> dict[str, Any]:
    return {"label": found.label, "score": round(found.score, 4), "box": [round(side, 2) for side in found.box]}


def _line(found: Detection) -> str:
    x, y, width, height = found.box
    return f"{found.label:<16} {found.score:.3f}  x {x:7.1f}  y {y:7.1f}  width {width:7.1f}  height {height:7.1f}"
