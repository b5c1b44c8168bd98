"""Sequential, Residual and Concat: layers made of layers.
They must never compute gradients that nobody needs, nor write into an array that a `back` still reads."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from .. import functional as F
from . import _arguments as read
from ._calling import backward, call, forward, require_layer, sum_of_gradients
from .activation import ReLU
from .base import Back, Layer


class _Children(Layer):
    """Layers in order, by name."""

    _layers: dict[str, Layer]

    def _fill(self, layers: Iterable[Layer] | Mapping[str, Layer]) -> None:
        kind = type(self).__name__
        if not isinstance(layers, Mapping):
            layers = {str(position): layer for position, layer in enumerate(layers)}
        for name in layers:
            if not isinstance(name, str) or not name or "." in name:
                raise ValueError(f"{kind}: the name of a layer is text without a dot, got {name!r}")
        self._layers = {name: require_layer(kind, layer) for name, layer in layers.items()}

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield from self._layers.items()

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers.values())


class Sequential(_Children):
    """Layers one after the other: `Sequential(a, b)`, or `Sequential({"name": a, ...})`.

    Activations work in place on arrays that the layer before made and does not need again; a ReLU behind batch
    norm or a Residual is computed together with it in training. The gradient stops at the first layer that has a
    trainable weight, unless that of x is asked for.
    """

    back_in_place = True

    def __init__(self, *layers: Layer | Mapping[str, Layer]) -> None:
        self._fill(layers[0] if len(layers) == 1 and isinstance(layers[0], Mapping) else layers)

    @property
    def result(self) -> str:
        kinds = [layer.result for layer in reversed(self._layers.values())]
        return next((kind for kind in kinds if kind != "input"), "input")

    def __getitem__(self, index: int | str | slice) -> Layer:
        if isinstance(index, str):
            return self._layers[index]
        if isinstance(index, slice):
            return Sequential(dict(list(self._layers.items())[index]))
        return list(self._layers.values())[index]

    def append(self, layer: Layer) -> Self:
        """Add a layer at the end, named by its position; returns the Sequential."""
        name = str(len(self._layers))
        if name in self._layers:
            raise ValueError(f"Sequential: there is already a layer named {name!r}")
        self._layers[name] = require_layer("Sequential", layer)
        return self

    def __call__(self, x: np.ndarray) -> np.ndarray:
        free = False
        for name, layer in self._layers.items():
            x = call(name, layer, x, free=x if free else None)
            free = layer.result == "new" or (layer.result == "input" and free)
        return x

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        layers = list(self)
        backs: list[Back] = []
        free = fused = False
        for (name, layer), following in zip(self._layers.items(), [*layers[1:], None], strict=True):
            if fused:  # this is the ReLU that the layer before has computed
                backs.append(_passed_on)
                free = fused = False
                continue
            fused = layer.fuses_relu and type(following) is ReLU
            x, back_one = forward(name, layer, x, free=x if free else None, relu=fused)
            backs.append(back_one)
            free = layer.result == "new" or (layer.result == "input" and free)
        trainable = (position for position, layer in enumerate(layers) if layer.is_trainable())
        first = next(trainable, len(backs))

        def back(dy: np.ndarray, needs_input: bool = True, *, out: np.ndarray | None = None) -> np.ndarray | None:
            last, free = 0 if needs_input else first, out is not None
            for position in range(len(backs) - 1, last - 1, -1):
                given, needed = dy, needs_input or position > last
                dy = backward(layers[position], backs[position], given, needed, free)
                free = free or (needed and not np.may_share_memory(dy, given))
            return dy if needs_input else None

        return x, back

    def config(self) -> dict[str, Any]:
        return {"layers": dict(self._layers)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(config["layers"])


def _passed_on(dy: np.ndarray, needs_input: bool = True, *, out: np.ndarray | None = None) -> np.ndarray:
    """The back of a layer that the one before has computed."""
    return dy


class Residual(Layer):
    """y = body(x) + shortcut(x), where shortcut None is x itself (He et al. 2015)."""

    result = "new"
    back_in_place = True
    fuses_relu = True

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        self.body = require_layer("Residual", body)
        self.shortcut = None if shortcut is None else require_layer("Residual", shortcut)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        y = call("body", self.body, x)
        other = x if self.shortcut is None else call("shortcut", self.shortcut, x)
        return self._join(y, other, self.body.result == "new")

    def forward(self, x: np.ndarray, *, relu: bool = False) -> tuple[np.ndarray, Back]:
        y, body_back = forward("body", self.body, x)
        other, shortcut, shortcut_back = x, self.shortcut, None
        if shortcut is not None:
            other, shortcut_back = forward("shortcut", shortcut, x)
        y = self._join(y, other, self.body.result == "new", relu)
        signs = y if relu else None

        def back(dy: np.ndarray, needs_input: bool = True, *, out: np.ndarray | None = None) -> np.ndarray | None:
            if relu:
                dy = out = F.relu_backward(dy, signs, out=out)
            dx = body_back(dy, needs_input=needs_input)
            extra = dy
            if shortcut_back is not None:  # the last to read dy
                free = out is not None and not (needs_input and np.may_share_memory(dx, dy))
                extra = backward(shortcut, shortcut_back, dy, needs_input, free)
            return sum_of_gradients(dx, extra, dy) if needs_input else None

        return y, back

    @staticmethod
    def _join(y: np.ndarray, other: np.ndarray, free: bool, relu: bool = False) -> np.ndarray:
        if y.shape != other.shape:
            raise ValueError(f"Residual: body gives shape {y.shape}, shortcut {other.shape}")
        return F.add(y, other, relu=relu, out=y if free else None)

    def config(self) -> dict[str, Any]:
        return {"body": self.body, "shortcut": self.shortcut}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(config["body"], config["shortcut"])


class Concat(_Children):
    """All branches on the same x, joined along `axis`: `Concat([a, b])`, or `Concat({"name": a, ...})`."""

    result = "new"

    def __init__(self, branches: Iterable[Layer] | Mapping[str, Layer], axis: int = 1) -> None:
        self._fill(branches)
        if not self._layers:
            raise ValueError("Concat: expected at least one branch, got none")
        self.axis = read.size("Concat", "axis", axis, -32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self._join([call(name, layer, x) for name, layer in self._layers.items()])

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        results = [forward(name, layer, x) for name, layer in self._layers.items()]
        y = self._join([part for part, _ in results])
        ends = np.cumsum([part.shape[self.axis] for part, _ in results])[:-1]
        backs = [back_one for _, back_one in results]
        del results  # the parts need not live as long as the closure

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            dx = None
            for part, back_one in zip(np.split(dy, ends, axis=self.axis), backs, strict=True):
                more = back_one(part, needs_input=needs_input)
                if needs_input:
                    dx = more if dx is None else sum_of_gradients(dx, more, dy)
            return dx

        return y, back

    def _join(self, parts: list[np.ndarray]) -> np.ndarray:
        try:
            return np.concatenate(parts, axis=self.axis)
        except ValueError:
            shapes = ", ".join(str(part.shape) for part in parts)
            raise ValueError(f"Concat: branches do not fit along axis {self.axis}: {shapes}") from None

    def config(self) -> dict[str, Any]:
        return {"branches": dict(self._layers), "axis": self.axis}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(config["branches"], config["axis"])
