"""What a user got wrong, as one line; and the check that optional packages are there.
Errors of the program itself must pass through unchanged: their traceback is what a report needs."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from ..formats import FormatError

# Import name -> what to call it. All of them come with the extra [train].
TRAIN_PACKAGES = {"tqdm": "tqdm", "matplotlib": "matplotlib", "PIL": "pillow", "safetensors": "safetensors"}


class UserError(Exception):
    """Ends the command with its text on stderr and exit code 2."""


def require(*modules: str) -> None:
    """UserError naming those of `modules` (import names of TRAIN_PACKAGES) that are not installed."""
    missing = [TRAIN_PACKAGES[name] for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'this command needs {", ".join(missing)}: pip install "fastconv[train]"')


@contextmanager
def as_user_errors(what: str, *also: type[Exception]) -> Iterator[None]:
    """Turn missing and malformed files, and the exception types of `also`, into a UserError that opens with
    `what`.

    ValueError and TypeError belong to `also` only where they can come from nothing but what the user gave.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f"{error.filename}: " if error.filename is not None else ""
        raise UserError(f"{what}: {where}{reason}") from error
    except (FormatError, ImportError, *also) as error:
        raise UserError(f"{what}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
