"""What `fastconv detect` and `fastconv classify` share: opening models, reading pictures, writing results.
It must never write one result over another, nor over a picture that it was given."""

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import LABELS, load_labels, read_picture
from ..formats.atomic import write_atomically
from ..formats.open_model import load
from ..layers import Layer
from .errors import UserError, as_user_errors

# Files without an architecture, by their suffix, and what to do about it.
_WEIGHTS_ALONE = {
    ".weights": "give it as --weights, with the .cfg that describes its network",
    ".pth": "say with classify's or finetune's --network which network they are of, or save that with fastconv.save",
}
_WEIGHTS_ALONE[".pt"] = _WEIGHTS_ALONE[".pth"]


def add_files(parser: argparse.ArgumentParser, suffix: str) -> None:
    """The pictures, and where results go."""
    parser.add_argument("pictures", metavar="PICTURE", nargs="+", help="BMP, GIF, JPEG, PNG, PPM, TIFF or WebP files")
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help=f"names of the classes, one a line, or {' or '.join(LABELS)} (default: the model's)",
    )
    out = parser.add_argument_group("files and output")
    out.add_argument(
        "--out", type=Path, default=Path(), metavar="FOLDER", help=f"where NAME-{suffix}.png goes (default: here)"
    )
    out.add_argument("--no-picture", action="store_true", help="write no pictures")
    out.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")


def open_model(path: str, weights: str | None = None) -> Layer:
    """The model of a file, as one line of error where it is none; weights that are NaN are said on stderr."""
    if kind := _WEIGHTS_ALONE.get(Path(path).suffix.lower()):
        raise UserError(f"{path} holds weights alone: {kind}")
    with warnings.catch_warnings(), as_user_errors("cannot open the model", TypeError):
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return load(path, weights=weights)
        except RuntimeWarning as warning:
            raise UserError(f"cannot use the model: {warning}") from None


def names_of(model: Layer, given: str | None) -> tuple[str, ...]:
    """The names of --labels, or the model's."""
    if given is None:
        return tuple(model.labels)
    with as_user_errors("--labels"):
        return load_labels(given)


def read(path: str) -> np.ndarray:
    """A picture, (height, width, 3) of uint8."""
    with as_user_errors("cannot read the picture"):
        return read_picture(path)


def results(pictures: Sequence[str], out: Path, suffix: str) -> list[Path]:
    """Where the result of each picture goes; makes the folder. UserError where two would have one name."""
    paths = [out / f"{Path(picture).stem}-{suffix}.png" for picture in pictures]
    for place, path in enumerate(paths):
        if path in paths[:place]:
            raise UserError(f"{path} would be the result of two pictures: give them to two commands")
    with as_user_errors("--out"):
        out.mkdir(parents=True, exist_ok=True)
    return paths


def write_json(path: Path | None, record: Any) -> None:
    """Write a record if a path was given."""
    if path is not None:
        with as_user_errors("--json"):
            write_atomically(path, [(json.dumps(record, indent=1, allow_nan=False) + "\n").encode()])
