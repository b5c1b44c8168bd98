"""fastconv: convolutional networks on a CPU from NumPy."""

try:
    from fastconv import _kernels
except ImportError as error:
    raise ImportError(
        f"fastconv's compiled kernels cannot be loaded ({error}). In a source checkout run `pip install -e .` first, "
        "or leave the folder: the folder fastconv/ shadows the installed package."
    ) from error

import importlib

from fastconv import functional
from fastconv._memory import free_scratch
from fastconv.config import get_num_threads, set_num_threads, show_config, target, targets
from fastconv.functional import *  # noqa: F403
from fastconv.version import __version__

# What stands on the functional API is imported when it is first asked for: `import fastconv` stays quick.
_MODULES = (
    "callbacks",
    "compat",
    "data",
    "detection",
    "distributed",
    "formats",
    "inference",
    "layers",
    "losses",
    "metrics",
    "models",
    "optim",
    "plots",
    "reference",
    "schedules",
    "signal",
    "transfer",
)
_MEMBERS = {
    "Trainer": "trainer",
    "load": "formats.open_model",
    "optimize": "inference",
    "read_weights": "formats.state_dict",
    "save": "formats.open_model",
}

__all__ = [
    *_MEMBERS,
    *_MODULES,
    "__version__",
    "free_scratch",
    "functional",
    "get_num_threads",
    "set_num_threads",
    "show_config",
    "target",
    "targets",
    *functional.__all__,
]
del _kernels


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return importlib.import_module(f"fastconv.{name}")
    if name in _MEMBERS:
        return getattr(importlib.import_module(f"fastconv.{_MEMBERS[name]}"), name)
    raise AttributeError(f"module 'fastconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
