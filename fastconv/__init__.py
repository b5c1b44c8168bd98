"""fastconv: convolutional networks on a CPU from NumPy."""

try:
    from fastconv import _kernels
except ImportError as error:
    raise ImportError(
        f"fastconv's compiled kernels cannot be loaded ({error}). In a source checkout run `pip install -e .` first, "
        "or leave the folder: the folder fastconv/ shadows the installed package."
    ) from error

from fastconv import functional
from fastconv._memory import free_scratch
from fastconv.config import get_num_threads, set_num_threads, show_config, target, targets
from fastconv.functional import *  # noqa: F403
from fastconv.version import __version__

__all__ = [
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
