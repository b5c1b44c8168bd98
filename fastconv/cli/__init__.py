"""The command `fastconv`: one module a subcommand, each with add_parser(subparsers) and run(args).
It must never show a traceback for what a user got wrong: one line on stderr and exit code 2."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr

from .. import __version__
from ..distributed import RankError, launched
from . import bench, classify, demo, detect, finetune, info, train
from .errors import UserError
from .ranks import end_job

COMMANDS = (demo, train, finetune, classify, detect, info, bench)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="fastconv",
        description="Convolutional networks on a CPU from NumPy. `fastconv demo` shows all of it.",
    )
    parser.add_argument("--version", action="version", version=f"fastconv {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers).set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (sys.argv by default); the exit code is 0, 2 for bad usage, or 130 for Ctrl-C."""
    argv = sys.argv[1:] if argv is None else list(argv)
    first = (launched() or (0, 1))[0] == 0  # of the processes that mpiexec started one speaks
    with nullcontext() if first else redirect_stderr(io.StringIO()):
        args = build_parser().parse_args(argv, argparse.Namespace(argv=argv))
    try:
        return args.run(args)
    except UserError as error:
        end_job(2, f"fastconv: error: {error}", first)
        return 2
    except RankError as error:  # the rank that failed says why
        end_job(2, str(error), False)
        return 2
    except KeyboardInterrupt:
        end_job(130, "\nfastconv: interrupted", first)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`fastconv bench | head`); at exit Python would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
