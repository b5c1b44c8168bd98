"""`import fastconv.compat.keras` before `import keras`: Keras 3 on its numpy backend, without jax, on fastconv.
It must never stand in for a jax that is there, nor leave a stand-in behind once Keras is imported.

Keras's numpy backend imports jax for convolution, pooling and two Fourier transforms. Where jax is absent, empty
modules of that name let it be imported; then its conv, depthwise_conv, separable_conv, conv_transpose, max_pool and
average_pool compute on fastconv, and the transforms in NumPy. KERAS_BACKEND is set to "numpy" unless it is set.
"""

import contextlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator

import numpy as np

__all__: list[str] = []


def _transform(name: str) -> types.FunctionType:
    function = getattr(np.fft, name)

    def transformed(x: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        y = function(x[0] + 1j * np.asarray(x[1]))
        return y.real, y.imag

    return transformed


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """While Keras is imported: the names that its numpy backend takes from jax and from its jax backend."""
    modules = {name: types.ModuleType(name) for name in ("jax", "jax.lax", "jax.monitoring", "keras.src.backend.jax")}
    modules["jax"].lax, modules["jax"].monitoring = modules["jax.lax"], modules["jax.monitoring"]
    math = modules["keras.src.backend.jax.math"] = types.ModuleType("keras.src.backend.jax.math")
    math.fft, math.fft2 = _transform("fft"), _transform("fft2")
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)


def _import_keras() -> types.ModuleType:
    """The numpy backend's module of layers."""
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", "numpy")
    if importlib.util.find_spec("keras") is None:
        raise ImportError('fastconv.compat.keras needs Keras: pip install "fastconv[compat]"')
    absent = os.environ.get("KERAS_BACKEND") == "numpy" and importlib.util.find_spec("jax") is None
    with _stand_ins() if absent and "keras" not in sys.modules else contextlib.nullcontext():
        import keras
    if keras.backend.backend() != "numpy":
        raise ImportError(
            f"fastconv.compat.keras: Keras runs on {keras.backend.backend()!r}; expected KERAS_BACKEND=numpy, and this "
            "import before keras's"
        )
    return sys.modules["keras.src.backend.numpy.nn"]


def _install() -> None:
    nn = _import_keras()
    from fastconv.compat import _keras_layers as layers

    for name in ("conv", "depthwise_conv", "conv_transpose", "max_pool", "average_pool"):
        setattr(nn, name, getattr(layers, name))  # separable_conv calls the first two


_install()
