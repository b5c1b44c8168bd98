"""Layers for the nodes of a Graph that join arrays to one, Add, Sub, Mul, Div, MatMul, Cat, or need none: Constant.
They must never write into an array that is not handed over as `out`."""

import numpy as np

from .. import functional as F
from . import _arguments as read
from .base import Back, Layer
from .initial import filled
from .parameter import Parameter


class Join(Layer):
    """`y, back = join.forward(*xs)`, `dxs = back(dy)` with one gradient for each x, `join(*xs)`.

    Each gradient is a new array, or dy or a view of it, and never shares memory with another one unless
    both are dy's. With needs_input=False back returns None.
    """

    input_count = None
    result = "new"

    def __call__(self, *xs: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def forward(self, *xs: np.ndarray) -> tuple[np.ndarray, Back]:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def _require_arrays(self, xs: tuple[np.ndarray, ...]) -> None:
        """Several arrays of one dtype; ValueError or TypeError otherwise."""
        kind = type(self).__name__
        if not xs:
            raise ValueError(f"{kind}: expected at least one array, got none")
        if len({x.dtype for x in xs}) > 1:
            raise TypeError(f"{kind}: expected arrays of one dtype, got {', '.join(str(x.dtype) for x in xs)}")


class _Elementwise(Join):
    """What the joins element by element share; shapes are broadcast as NumPy's."""

    call_in_place = True

    def operation(self, x: np.ndarray, other: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        """The result of two arrays, into `out`, which may be one of them, if it is not None."""
        raise NotImplementedError

    def __call__(self, *xs: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        self._require_arrays(xs)
        try:
            shape = np.broadcast_shapes(*(x.shape for x in xs))
        except ValueError:
            shapes = ", ".join(str(x.shape) for x in xs)
            raise ValueError(f"{type(self).__name__}: shapes do not fit each other: {shapes}") from None
        if len(xs) == 1:
            return xs[0].copy()
        y, own = xs[0], False
        for other in xs[1:]:
            # `out` may be overwritten in the step that reads it, a result of ours always.
            room = y if own or out is y else other if out is other else None
            with np.errstate(all="ignore"):
                y, own = self.operation(y, other, room if room is not None and room.shape == shape else None), True
        return y


class Add(_Elementwise):
    """The sum of all inputs; shapes are broadcast."""

    forward_in_place = True

    def operation(self, x: np.ndarray, other: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return F.add(x, other, out=out) if x.shape == other.shape else np.add(x, other, out=out)

    def forward(self, *xs: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, Back]:
        shapes = [x.shape for x in xs]

        def back(dy: np.ndarray, needs_input: bool = True) -> tuple[np.ndarray, ...] | None:
            return tuple(_summed_to(shape, dy) for shape in shapes) if needs_input else None

        return self(*xs, out=out), back


class Sub(_Elementwise):
    """The first input minus the second; shapes are broadcast."""

    input_count = 2
    forward_in_place = True

    def operation(self, x: np.ndarray, other: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return np.subtract(x, other, out=out)

    def forward(self, *xs: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, Back]:
        first, second = (x.shape for x in xs)

        def back(dy: np.ndarray, needs_input: bool = True) -> tuple[np.ndarray, ...] | None:
            return (_summed_to(first, dy), np.negative(_summed_to(second, dy))) if needs_input else None

        return self(*xs, out=out), back


class Mul(_Elementwise):
    """The product of all inputs; shapes are broadcast."""

    def operation(self, x: np.ndarray, other: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return np.multiply(x, other, out=out)

    def forward(self, *xs: np.ndarray) -> tuple[np.ndarray, Back]:
        def back(dy: np.ndarray, needs_input: bool = True) -> tuple[np.ndarray, ...] | None:
            if not needs_input:
                return None
            others = (xs[:position] + xs[position + 1 :] for position in range(len(xs)))
            return tuple(_summed_to(x.shape, self(dy, *rest)) for x, rest in zip(xs, others, strict=True))

        return self(*xs), back


class Div(_Elementwise):
    """The first input divided by the second; shapes are broadcast."""

    input_count = 2

    def operation(self, x: np.ndarray, other: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        return np.divide(x, other, out=out)

    def forward(self, *xs: np.ndarray) -> tuple[np.ndarray, Back]:
        y = self(*xs)
        first, second = xs

        def back(dy: np.ndarray, needs_input: bool = True) -> tuple[np.ndarray, ...] | None:
            if not needs_input:
                return None
            with np.errstate(all="ignore"):
                part = dy / second
                return _summed_to(first.shape, part), np.negative(_summed_to(second.shape, part * (first / second)))

        return y, back


class MatMul(Join):
    """The matrix product of two inputs over their last two axes; those before are broadcast."""

    input_count = 2

    def __call__(self, x: np.ndarray, other: np.ndarray) -> np.ndarray:
        self._require_arrays((x, other))
        if x.ndim < 2 or other.ndim < 2 or x.shape[-1] != other.shape[-2]:
            raise ValueError(f"MatMul: shapes do not fit each other: {x.shape}, {other.shape}")
        with np.errstate(all="ignore"):
            return np.matmul(x, other)

    def forward(self, x: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, Back]:
        def back(dy: np.ndarray, needs_input: bool = True) -> tuple[np.ndarray, ...] | None:
            if not needs_input:
                return None
            with np.errstate(all="ignore"):
                first, second = dy @ np.swapaxes(other, -1, -2), np.swapaxes(x, -1, -2) @ dy
            return _summed_to(x.shape, first), _summed_to(other.shape, second)

        return self(x, other), back


class Cat(Join):
    """The inputs one after the other along the axis `dim`: channels by default."""

    arguments = ("dim",)

    def __init__(self, dim: int = 1) -> None:
        self.dim = read.size("Cat", "dim", dim, -32)

    def __call__(self, *xs: np.ndarray) -> np.ndarray:
        self._require_arrays(xs)
        try:
            return np.concatenate(xs, axis=self.dim)
        except ValueError:
            shapes = ", ".join(str(x.shape) for x in xs)
            raise ValueError(f"Cat: shapes do not fit along dim {self.dim}: {shapes}") from None

    def forward(self, *xs: np.ndarray) -> tuple[np.ndarray, Back]:
        y = self(*xs)
        ends = np.cumsum([x.shape[self.dim] for x in xs])[:-1]

        def back(dy: np.ndarray, needs_input: bool = True) -> tuple[np.ndarray, ...] | None:
            return tuple(np.split(dy, ends, axis=self.dim)) if needs_input else None

        return y, back

    def describe(self) -> str:
        return f"dim={self.dim}"


class Constant(Layer):
    """An array of weights `value`, zeros at first, for a node that reads nothing: what Add and Mul take."""

    arguments = ("shape",)
    input_count = 0

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = read.sizes("Constant", "shape", tuple(shape), len(shape))
        self.value = Parameter(filled(self.shape, 0))

    def __call__(self) -> np.ndarray:
        return self.value.data

    def forward(self) -> tuple[np.ndarray, Back]:
        def back(dy: np.ndarray, needs_input: bool = True) -> tuple[()]:
            self.value.add_gradient(dy.copy())  # dy may belong to others
            return ()

        return self.value.data, back

    def describe(self) -> str:
        return f"shape={self.shape}"


def _summed_to(shape: tuple[int, ...], dy: np.ndarray) -> np.ndarray:
    """dy summed along the axes that broadcasting from `shape` added or stretched."""
    if dy.shape == shape:
        return dy
    added = dy.ndim - len(shape)
    stretched = (axis + added for axis, size in enumerate(shape) if size == 1 and dy.shape[axis + added] != 1)
    with np.errstate(all="ignore"):
        return dy.sum(axis=(*range(added), *stretched), keepdims=True).reshape(shape)
