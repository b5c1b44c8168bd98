"""The closed table of layers, and a layer's architecture as plain data that JSON can hold.
It must never look a name up anywhere but in the table and in what the caller hands over."""

from collections.abc import Mapping
from typing import Any

from .activation import Identity, LeakyReLU, LogSoftmax, ReLU, ReLU6, Sigmoid, SiLU, Softmax, Tanh
from .base import Layer
from .containers import Concat, Residual, Sequential
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .curves import ELU, Hardsigmoid, Hardswish, Hardtanh, PReLU, Softplus, Threshold
from .dropout import Dropout
from .graph import Graph
from .join import Add, Cat, Constant, Div, MatMul, Mul, Sub
from .linear import Linear
from .lp_pool import LpPool
from .norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, LocalResponseNorm
from .pool import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool2d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .reduce import Amax, Mean, Sum
from .resize import Resize
from .shape import Flatten, Pad, Permute, Reshape, Slice, Upsample
from .smooth_curves import CELU, GELU, SELU, Erf, Mish, Softsign
from .yolo import YoloHead

_KINDS: tuple[type[Layer], ...] = (
    Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d,
    MaxPool1d, MaxPool2d, MaxPool3d, AvgPool1d, AvgPool2d, AvgPool3d,
    AdaptiveAvgPool2d, AdaptiveMaxPool2d, GlobalAvgPool2d,
    BatchNorm1d, BatchNorm2d, BatchNorm3d, LocalResponseNorm, Linear,
    ReLU, ReLU6, LeakyReLU, Sigmoid, Tanh, SiLU, Softmax, LogSoftmax, Identity,
    Hardtanh, Hardsigmoid, Hardswish, ELU, Softplus, PReLU, Threshold,
    SELU, CELU, Mish, GELU, Softsign, Erf, Mean, Sum, Amax, LpPool,
    Flatten, Reshape, Permute, Slice, Pad, Upsample, Resize, Dropout,
    Sequential, Residual, Concat, Graph, Add, Sub, Mul, Div, MatMul, Cat, Constant,
    YoloHead,
)  # fmt: skip
LAYERS: Mapping[str, type[Layer]] = {kind.__name__: kind for kind in _KINDS}

# Deeper nesting than any network's; it keeps a hostile description from exhausting the stack.
_MAX_DEPTH = 64


def to_description(layer: Layer, layers: Mapping[str, type[Layer]] | None = None) -> dict[str, Any]:
    """{"layer": name, "config": {...}} of a layer and all inside it, of plain values.

    TypeError for a layer that is neither in the table nor in `layers`: its weights can still be saved.
    """
    kind = type(layer)
    if _known(layers).get(kind.__name__) is not kind:
        raise TypeError(
            f"{kind.__name__} is not one of fastconv's layers, so its architecture cannot be saved; pass "
            f"layers={{{kind.__name__!r}: {kind.__name__}}} here and when loading, or save its state_dict()"
        )
    return {"layer": kind.__name__, "config": _plain(layer.config(), layers)}


def from_description(description: Any, layers: Mapping[str, type[Layer]] | None = None, _depth: int = 0) -> Layer:
    """The layer that `to_description` described; ValueError or TypeError where it describes none."""
    if not isinstance(description, dict) or set(description) != {"layer", "config"}:
        raise ValueError(f'expected {{"layer": ..., "config": ...}}, got {_short(description)}')
    name, config = description["layer"], description["config"]
    if _depth > _MAX_DEPTH:
        raise ValueError(f"layers are nested more than {_MAX_DEPTH} deep")
    kind = _known(layers).get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"unknown layer {_short(name)}")
    if not isinstance(config, dict):
        raise ValueError(f"{name}: config must be an object, got {_short(config)}")
    built = {key: _build(value, layers, _depth + 1) for key, value in config.items()}
    try:
        return kind.from_config(built)
    except KeyError as error:
        raise ValueError(f"{name}: config lacks {error}") from None


def _known(layers: Mapping[str, type[Layer]] | None) -> Mapping[str, type[Layer]]:
    return LAYERS if layers is None else {**layers, **LAYERS}


def _plain(value: Any, layers: Mapping[str, type[Layer]] | None) -> Any:
    if isinstance(value, Layer):
        return to_description(value, layers)
    if isinstance(value, dict):
        return {key: _plain(item, layers) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item, layers) for item in value]
    return value


def _build(value: Any, layers: Mapping[str, type[Layer]] | None, depth: int) -> Any:
    if isinstance(value, dict) and "layer" in value and isinstance(value["layer"], str):
        return from_description(value, layers, depth)
    if depth > _MAX_DEPTH:
        raise ValueError(f"layers are nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {key: _build(item, layers, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_build(item, layers, depth + 1) for item in value]
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
