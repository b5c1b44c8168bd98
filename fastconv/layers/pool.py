"""Pooling layers, as PyTorch's. x is (N, C, *spatial) everywhere.
They must never compute anything themselves: fastconv.functional does."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import functional as F
from ..functional.max_pool_taps import max_pool_taps, max_pool_taps_backward
from . import _arguments as read
from .base import Back, Layer


def _no_indices(kind: str, return_indices: bool) -> bool:
    if return_indices:
        raise ValueError(f"{kind}: a layer returns one array; fastconv.functional gives the indices as well")
    return False


class _MaxPool(Layer):
    """The largest value of each window; a NaN wins. `stride` None is the kernel size."""

    arguments = ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode")
    result = "new"
    axes: ClassVar[int]
    operation: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        kind, axes = type(self).__name__, self.axes
        self.kernel_size = read.sizes(kind, "kernel_size", kernel_size, axes)
        self.stride = read.sizes(kind, "stride", kernel_size if stride is None else stride, axes)
        self.padding = read.padding(kind, padding, axes, words=False)
        self.dilation = read.sizes(kind, "dilation", dilation, axes)
        self.return_indices = _no_indices(kind, return_indices)
        self.ceil_mode = read.flag(kind, "ceil_mode", ceil_mode)

    def _window(self) -> tuple:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return type(self).operation(x, *self._window())

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        # One byte a maximum in place of an index of eight, and a gradient without a search.
        y, taps = max_pool_taps(self.axes, x, *self._window())
        shape = np.shape(x)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return max_pool_taps_backward(self.axes, dy, taps, shape, *self._window()) if needs_input else None

        return y, back

    def describe(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    __doc__ = _MaxPool.__doc__
    axes = 1
    operation = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    __doc__ = _MaxPool.__doc__
    axes = 2
    operation = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    __doc__ = _MaxPool.__doc__
    axes = 3
    operation = staticmethod(F.max_pool3d)


class _AvgPool(Layer):
    """The mean of each window. `count_include_pad` counts explicit padding, never the ceil_mode overhang;
    `divisor_override` (2-d and 3-d) divides instead of the number of elements."""

    arguments = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    result = "new"
    axes: ClassVar[int]
    operation: ClassVar[Callable[..., np.ndarray]]
    gradient: ClassVar[Callable[..., np.ndarray]]

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        kind, axes = type(self).__name__, self.axes
        self.kernel_size = read.sizes(kind, "kernel_size", kernel_size, axes)
        self.stride = read.sizes(kind, "stride", kernel_size if stride is None else stride, axes)
        self.padding = read.padding(kind, padding, axes, words=False)
        self.ceil_mode = read.flag(kind, "ceil_mode", ceil_mode)
        self.count_include_pad = read.flag(kind, "count_include_pad", count_include_pad)
        self.divisor_override = (
            None if divisor_override is None else read.size(kind, "divisor_override", divisor_override)
        )

    def _window(self) -> tuple:
        window = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return (*window, self.count_include_pad, self.divisor_override)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return type(self).operation(x, *self._window())

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        shape = np.shape(x)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return type(self).gradient(dy, shape, *self._window()) if needs_input else None

        return self(x), back

    def describe(self) -> str:
        text = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        if self.ceil_mode:
            text += ", ceil_mode=True"
        if not self.count_include_pad:
            text += ", count_include_pad=False"
        return text if self.divisor_override is None else f"{text}, divisor_override={self.divisor_override}"


class AvgPool1d(_AvgPool):
    __doc__ = _AvgPool.__doc__
    axes = 1
    operation = staticmethod(F.avg_pool1d)
    gradient = staticmethod(F.avg_pool1d_backward)


class AvgPool2d(_AvgPool):
    __doc__ = _AvgPool.__doc__
    axes = 2
    operation = staticmethod(F.avg_pool2d)
    gradient = staticmethod(F.avg_pool2d_backward)


class AvgPool3d(_AvgPool):
    __doc__ = _AvgPool.__doc__
    axes = 3
    operation = staticmethod(F.avg_pool3d)
    gradient = staticmethod(F.avg_pool3d_backward)


def _output_size(kind: str, value: Any) -> tuple[int | None, ...]:
    """An int, or (P, Q) of which None stands for the size of x."""
    parts = value if isinstance(value, (tuple, list)) else (value, value)
    if len(parts) != 2:
        raise ValueError(f"{kind}: output_size must be an integer or (P, Q), got {value!r}")
    return tuple(None if part is None else read.size(kind, "output_size", part) for part in parts)


class _AdaptivePool(Layer):
    """What both adaptive pools share: the output size, of which None means that of x."""

    result = "new"
    output_size: tuple[int | None, ...]

    def _wanted(self, x: np.ndarray) -> tuple[int, ...]:
        # x is checked by the operation: shape[2:] may be short here, but then it is refused there.
        spatial = (*np.shape(x)[2:4], 1, 1)
        return tuple(spatial[i] if size is None else size for i, size in enumerate(self.output_size))

    def describe(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_AdaptivePool):
    """Means of (P, Q) windows that together cover the plane: (N, C, H, W) -> (N, C, P, Q)."""

    arguments = ("output_size",)

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        self.output_size = _output_size("AdaptiveAvgPool2d", output_size)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return F.adaptive_avg_pool2d(x, self._wanted(x))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        shape = np.shape(x)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return F.adaptive_avg_pool2d_backward(dy, shape) if needs_input else None

        return self(x), back


class AdaptiveMaxPool2d(_AdaptivePool):
    """Largest values of (P, Q) windows that together cover the plane: (N, C, H, W) -> (N, C, P, Q)."""

    arguments = ("output_size", "return_indices")

    def __init__(self, output_size: int | tuple[int | None, int | None] | None, return_indices: bool = False) -> None:
        self.output_size = _output_size("AdaptiveMaxPool2d", output_size)
        self.return_indices = _no_indices("AdaptiveMaxPool2d", return_indices)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return F.adaptive_max_pool2d(x, self._wanted(x))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        y, indices = F.adaptive_max_pool2d(x, self._wanted(x), return_indices=True)
        shape = np.shape(x)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return F.adaptive_max_pool2d_backward(dy, indices, shape) if needs_input else None

        return y, back


class GlobalAvgPool2d(Layer):
    """The mean of each plane: (N, C, H, W) -> (N, C, 1, 1)."""

    result = "new"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return F.global_avg_pool2d(x)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        shape = np.shape(x)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            return F.global_avg_pool2d_backward(dy, shape) if needs_input else None

        return self(x), back
