"""One module a library: `Library(threads)` with `versions()` and `contestants(case)`. Each is imported in its own
worker alone, so that one runtime never meets another's threads."""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

# The library's name here: (the module of this folder, what it imports, its contestants in the order of the table).
LIBRARIES = {
    "fastconv": ("with_fastconv", ("fastconv",), ("fastconv", "fastconv prepacked", "fastconv direct")),
    "torch": ("with_torch", ("torch",), ("PyTorch", "PyTorch channels_last")),
    "onnxruntime": ("with_onnxruntime", ("onnxruntime", "onnx"), ("ONNX Runtime",)),
    "openvino": ("with_openvino", ("openvino", "onnx"), ("OpenVINO",)),
    "ncnn": ("with_ncnn", ("ncnn",), ("ncnn",)),
    "jax": ("with_jax", ("jax",), ("JAX",)),
    "numpy": ("with_numpy", ("numpy",), ("im2col NumPy",)),
}
CONTESTANTS = tuple(name for _, _, names in LIBRARIES.values() for name in names)
# Who trains, each in a process of its own: {contestant: its library}.
TRAINING = {"fastconv": "fastconv", "PyTorch": "torch", "PyTorch channels_last": "torch"}

# Measured beside them, by fastconv's worker: what the machine can do.
PEAK, COPY = "FMA peak", "copy"


class Contestant(NamedTuple):
    """`call()` is what is timed; `result(what it returned)` is a NumPy array in NCHW order, for the check. The numbers
    of `work` are what one call does, where that is not the case's own: {"flops": ...} or {"bytes": ...}."""

    call: Callable[[], Any]
    result: Callable[[Any], Any] | None = None
    work: dict[str, float] = {}  # noqa: RUF012 - never changed


def missing(library: str) -> list[str]:
    """The modules this library needs and that are not installed."""
    return [name for name in LIBRARIES[library][1] if importlib.util.find_spec(name) is None]


def load(library: str, threads: int) -> Any:
    """The library, ready to make contestants that use so many threads."""
    module = importlib.import_module(f".{LIBRARIES[library][0]}", __name__)
    return module.Library(threads)
