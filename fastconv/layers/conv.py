"""Convolution and transposed convolution layers in one, two and three dimensions, as PyTorch's.
They must never compute anything themselves: fastconv.functional does."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import functional as F
from . import _arguments as read
from .base import Back, Layer
from .initial import uniform
from .packed import Packed
from .parameter import Parameter


class _Convolution(Layer):
    """What all convolutions share: weights, checks of arguments, the closure of the gradient."""

    result = "new"
    axes: ClassVar[int]
    operation: ClassVar[Callable[..., np.ndarray]]
    gradients: ClassVar[Callable[..., tuple]]
    packed: Packed | None = None  # by `pack`

    def _set(
        self, in_channels: Any, out_channels: Any, kernel_size: Any, stride: Any, dilation: Any, groups: Any
    ) -> None:
        kind, axes = type(self).__name__, self.axes
        self.in_channels = read.size(kind, "in_channels", in_channels)
        self.out_channels = read.size(kind, "out_channels", out_channels)
        self.kernel_size = read.sizes(kind, "kernel_size", kernel_size, axes)
        self.stride = read.sizes(kind, "stride", stride, axes)
        self.dilation = read.sizes(kind, "dilation", dilation, axes)
        self.groups = read.size(kind, "groups", groups)
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(f"{kind}: groups={groups} does not divide {name}={getattr(self, name)}")

    def _set_weights(self, first: int, second: int, bias: Any, generator: np.random.Generator | None) -> None:
        shape = (first, second // self.groups, *self.kernel_size)
        # PyTorch's fan-in is that of axis 1, for transposed convolutions too.
        fan_in = math.prod(shape[1:])
        self.weight = Parameter(uniform(shape, fan_in, generator))
        wanted = read.flag(type(self).__name__, "bias", bias)
        self.bias = Parameter(uniform((self.out_channels,), fan_in, generator)) if wanted else None

    def geometry(self) -> dict[str, Any]:
        """Stride, padding, dilation and groups, as `operation` takes them."""
        names = ("stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    def __call__(self, x: np.ndarray) -> np.ndarray:
        bias = None if self.bias is None else self.bias.data
        weight = self.weight.data if self.packed is None else self.packed.of(self.weight)
        return type(self).operation(x, weight, bias, **self.geometry())

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        weight, bias, version = self.weight, self.bias, self.weight.version

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            needs = (needs_input, weight.requires_grad, bias is not None and bias.requires_grad)
            if not any(needs):
                return None
            data = weight.require_version(version)
            dx, dweight, dbias = type(self).gradients(dy, x, data, **self.geometry(), needs=needs)
            weight.add_gradient(dweight)
            if bias is not None:
                bias.add_gradient(dbias)
            return dx

        return self(x), back

    def describe(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}", f"kernel_size={self.kernel_size}"]
        parts.append(f"stride={self.stride}")
        ones, zeros = (1,) * self.axes, (0,) * self.axes
        for name, usual in (
            ("padding", zeros),
            ("dilation", ones),
            ("output_padding", zeros),
            ("groups", 1),
        ):
            if getattr(self, name, usual) != usual:
                parts.append(f"{name}={getattr(self, name)!r}")
        return ", ".join(parts if self.bias is not None else [*parts, "bias=False"])


class _Conv(_Convolution):
    """x (N, in_channels, *spatial) -> (N, out_channels, *spatial out); weight (out, in / groups, *kernel).

    `padding` is an int, one per axis, ((before, after), ...), "same" or "valid". Weights and bias start as
    U(-b, b) with b = 1 / sqrt(in_channels / groups * kernel elements), drawn from `generator`.
    """

    arguments = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        "bias",
    )

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: Any = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self._set(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = read.padding(type(self).__name__, padding, self.axes)
        if self.padding == "same" and max(self.stride) > 1:
            raise ValueError(f'{type(self).__name__}: padding="same" needs stride 1, got {self.stride}')
        self._set_weights(self.out_channels, self.in_channels, bias, generator)

    def flops(self, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> int:
        return 2 * math.prod(output) * (self.weight.data.size // self.out_channels)


class Conv1d(_Conv):
    __doc__ = _Conv.__doc__
    axes = 1
    operation = staticmethod(F.conv1d)
    gradients = staticmethod(F.conv1d_backward)


class Conv2d(_Conv):
    __doc__ = _Conv.__doc__
    axes = 2
    operation = staticmethod(F.conv2d)
    gradients = staticmethod(F.conv2d_backward)


class Conv3d(_Conv):
    __doc__ = _Conv.__doc__
    axes = 3
    operation = staticmethod(F.conv3d)
    gradients = staticmethod(F.conv3d_backward)


class _ConvTranspose(_Convolution):
    """x (N, in_channels, *spatial) -> (N, out_channels, *spatial out); weight (in, out / groups, *kernel).

    The size out is (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1.
    Weights and bias start as U(-b, b) with b = 1 / sqrt(out_channels / groups * kernel elements).
    """

    arguments = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "output_padding",
        "groups",
        "bias",
        "dilation",
    )

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: Any = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        kind = type(self).__name__
        self._set(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = read.padding(kind, padding, self.axes, words=False)
        self.output_padding = read.sizes(kind, "output_padding", output_padding, self.axes, 0)
        for more, step, spread in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if more >= max(step, spread):
                raise ValueError(
                    f"{kind}: output_padding must be smaller than stride or dilation, got output_padding="
                    f"{self.output_padding}, stride={self.stride}, dilation={self.dilation}"
                )
        self._set_weights(self.in_channels, self.out_channels, bias, generator)

    def geometry(self) -> dict[str, Any]:
        """Stride, padding, dilation and groups, as `operation` takes them."""
        return super().geometry() | {"output_padding": self.output_padding}

    def flops(self, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> int:
        return 2 * math.prod(inputs[0]) * (self.weight.data.size // self.in_channels)


class ConvTranspose1d(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    axes = 1
    operation = staticmethod(F.conv_transpose1d)
    gradients = staticmethod(F.conv_transpose1d_backward)


class ConvTranspose2d(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    axes = 2
    operation = staticmethod(F.conv_transpose2d)
    gradients = staticmethod(F.conv_transpose2d_backward)


class ConvTranspose3d(_ConvTranspose):
    __doc__ = _ConvTranspose.__doc__
    axes = 3
    operation = staticmethod(F.conv_transpose3d)
    gradients = staticmethod(F.conv_transpose3d_backward)


# The layers whose weights `Layer.pack` prepares.
PACKS = (Conv1d, Conv2d, Conv3d)
