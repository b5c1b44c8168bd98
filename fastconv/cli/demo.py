"""`fastconv demo`: what fastconv is, in a minute: the machine, the table of times, a network trained on real digits.
It must run without arguments and without a network connection, and end with an error where a promise is not kept."""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from .errors import as_user_errors, require
from .options import add_threads, apply_threads

EPOCHS = 10
BATCH_SIZE = 32
RATE = 3e-3
SEED = 0
GOAL = 0.98
PICTURE = Path("fastconv-demo.png")
MODEL = Path("fastconv-demo.safetensors")
PEERS = ("im2col", "naive")


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "demo",
        help="show the kernels' speed and train a small network (under a minute)",
        description=f"Times the kernels against NumPy, trains on the 8x8 digits, writes {PICTURE} and {MODEL}.",
    )
    add_threads(parser)
    return parser
