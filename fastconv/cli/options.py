"""Types and options that several commands take; argparse turns their errors into one line and exit code 2."""

import argparse
import math
from typing import Any

from .. import set_num_threads


def whole(minimum: int) -> Any:
    """An argparse type: an integer of at least `minimum`."""

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
        if number < minimum:
            raise argparse.ArgumentTypeError(f"expected at least {minimum}, got {number}")
        return number

    return convert


def real(low: float, high: float = math.inf, *, open_low: bool = False) -> Any:
    """An argparse type: a number from `low` (excluded with open_low) to below `high`."""

    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
        if not (low < number if open_low else low <= number) or not number < high:
            above = "above" if open_low else "at least"
            below = f" and below {high:g}" if high < math.inf else ""
            raise argparse.ArgumentTypeError(f"expected a number {above} {low:g}{below}, got {text}")
        return number

    return convert


def add_threads(parser: argparse.ArgumentParser) -> None:
    """The option --threads; apply_threads obeys it."""
    parser.add_argument(
        "--threads",
        type=whole(1),
        metavar="N",
        help="threads of the kernels (default: FASTCONV_NUM_THREADS, or all cores)",
    )


def apply_threads(args: argparse.Namespace) -> None:
    """Set the number of threads where --threads was given."""
    if args.threads is not None:
        set_num_threads(args.threads)
