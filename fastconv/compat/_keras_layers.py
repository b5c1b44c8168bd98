"""Convolution and pooling of Keras 3's numpy backend on fastconv, with the signatures of keras.src.backend.numpy.nn.
Imported by fastconv.compat.keras alone, which makes Keras importable first.

Shapes: inputs (N, *spatial, C) or (N, C, *spatial) by data_format; kernels (*kernel, C / groups, K), of depthwise
convolution (*kernel, C, multiplier), of transposed convolution (*kernel, K, C). One, two or three spatial axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras.src import backend
from keras.src.backend.common import backend_utils as rules
from keras.src.backend.numpy.core import convert_to_tensor, is_tensor

from fastconv import functional as F
from fastconv.compat._dtype import floats

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_LAYOUTS = {"channels_last": "NHWC", "channels_first": "NCHW"}


def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> np.ndarray:
    """Convolution, grouped where the kernel has fewer input channels. ValueError where they do not divide those of
    the inputs, or the output would be empty."""
    inputs, kernel, layout = _operands(inputs, kernel, data_format)
    channels, kernel_channels = inputs.shape[-1 if layout == "NHWC" else 1], kernel.shape[-2]
    if channels % kernel_channels:
        raise ValueError(
            "The number of input channels must be evenly divisible by kernel's in_channels. "
            f"Received input channels {channels} and kernel in_channels {kernel_channels}."
        )
    weight = _weight(kernel, _swapped)
    return _convolve(inputs, weight, strides, padding, dilation_rate, channels // kernel_channels, layout)


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> np.ndarray:
    """Convolution of each channel by itself; ValueError as conv, or where kernel and inputs differ in channels."""
    inputs, kernel, layout = _operands(inputs, kernel, data_format)
    rules.check_conv_input_channels(inputs, kernel, backend.standardize_data_format(data_format))
    weight = _weight(kernel, _channel_by_channel)
    return _convolve(inputs, weight, strides, padding, dilation_rate, kernel.shape[-2], layout)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> np.ndarray:
    """Transposed convolution with Keras's rules for padding and output_padding."""
    inputs, kernel, layout = _operands(inputs, kernel, data_format)
    rules.check_conv_transpose_input_channels(inputs, kernel, backend.standardize_data_format(data_format))
    axes = inputs.ndim - 2
    dilation = _per_axis(dilation_rate, axes)
    # What jax adds to both sides of the stretched inputs; fastconv's padding is what that lacks of a full correlation.
    added = rules.compute_conv_transpose_padding_args_for_jax(
        inputs.shape, kernel.shape, strides, padding, output_padding, dilation_rate
    )
    ends = [
        ((size - 1) * d - left, (size - 1) * d - right)
        for size, d, (left, right) in zip(kernel.shape, dilation, added, strict=False)
    ]
    result = _CONV_TRANSPOSE[axes](
        *floats(inputs, _weight(kernel, _swapped)),
        stride=_per_axis(strides, axes),
        padding=tuple((before, max(after, 0)) for before, after in ends),
        output_padding=tuple(max(-after, 0) for _, after in ends),
        dilation=dilation,
        layout=layout,
    )
    return result.astype(inputs.dtype, copy=False)


def max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> np.ndarray:
    """The largest element of each window."""
    inputs, window, layout = _pooling(inputs, pool_size, strides, padding, data_format)
    result = _MAX_POOL[inputs.ndim - 2](*floats(inputs), *window, layout=layout)
    return result.astype(inputs.dtype, copy=False)


def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> np.ndarray:
    """The mean of each window's elements inside the inputs; of integers a float."""
    inputs, window, layout = _pooling(inputs, pool_size, strides, padding, data_format)
    result = _AVG_POOL[inputs.ndim - 2](*floats(inputs), *window, count_include_pad=False, layout=layout)
    return result if inputs.dtype.kind in "iub" else result.astype(inputs.dtype, copy=False)


def _operands(inputs: Any, kernel: Any, data_format: str | None) -> tuple[np.ndarray, Any, str]:
    """inputs as an array, the kernel as an array or Variable, and fastconv's name of the layout."""
    inputs = inputs if is_tensor(inputs) else convert_to_tensor(inputs)
    if not isinstance(kernel, backend.Variable):
        kernel = kernel if is_tensor(kernel) else convert_to_tensor(kernel)
    return inputs, kernel, _LAYOUTS[backend.standardize_data_format(data_format)]


def _weight(kernel: Any, laid_out: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """laid_out(kernel). That of a Variable is kept on it for as long as it has this value, which becomes read-only, so
    that a write past `assign` is an error and not an answer from the weights of before."""
    if not isinstance(kernel, backend.Variable):
        return laid_out(kernel)
    value = kernel.value
    kept = getattr(kernel, "_fastconv_weight", None)
    if kept is None or kept[0] is not value or kept[1] is not laid_out:
        value.flags.writeable = False
        kept = kernel._fastconv_weight = value, laid_out, np.ascontiguousarray(laid_out(value))
    return kept[2]


def _swapped(kernel: np.ndarray) -> np.ndarray:
    """(*kernel, A, B) as (B, A, *kernel)."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def _channel_by_channel(kernel: np.ndarray) -> np.ndarray:
    """(*kernel, C, multiplier) as (C * multiplier, 1, *kernel)."""
    return np.moveaxis(kernel.reshape(*kernel.shape[:-2], -1), -1, 0)[:, None]


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _convolve(
    inputs: np.ndarray, weight: np.ndarray, strides: Any, padding: str, dilation: Any, groups: int, layout: str
) -> np.ndarray:
    axes = inputs.ndim - 2
    strides, dilation = _per_axis(strides, axes), _per_axis(dilation, axes)
    sizes = inputs.shape[1:-1] if layout == "NHWC" else inputs.shape[2:]
    extents = [(size - 1) * d + 1 for size, d in zip(weight.shape[2:], dilation, strict=True)]
    padding = _padding(padding, sizes, extents, strides)
    if any(size + sum(ends) < extent for size, ends, extent in zip(sizes, padding, extents, strict=True)):
        raise ValueError(
            "The convolution operation resulted in an empty output. This can happen if the input is too small for the "
            f"given kernel size, strides, dilation rate, and padding mode. Received inputs {inputs.shape} and a kernel "
            f"that covers {tuple(extents)}."
        )
    result = _CONV[axes](
        *floats(inputs, weight), stride=strides, padding=padding, dilation=dilation, groups=groups, layout=layout
    )
    return result.astype(inputs.dtype, copy=False)


def _pooling(inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> tuple:
    """(inputs, (kernel_size, stride, padding), layout)."""
    inputs, _, layout = _operands(inputs, inputs, data_format)
    axes = inputs.ndim - 2
    pool_size = _per_axis(pool_size, axes)
    strides = pool_size if strides is None else _per_axis(strides, axes)
    sizes = inputs.shape[1:-1] if layout == "NHWC" else inputs.shape[2:]
    return inputs, (pool_size, strides, _padding(padding, sizes, pool_size, strides)), layout


def _padding(padding: str, sizes: Any, extents: Any, strides: Any) -> tuple[tuple[int, int], ...]:
    """((before, after), ...): "same" gives ceil(size / stride) outputs, the odd element at the end."""
    if padding.lower() == "valid":
        return ((0, 0),) * len(sizes)
    if padding.lower() != "same":
        raise ValueError(f"Invalid padding '{padding}', must be 'same' or 'valid'.")
    totals = [
        max((-(-size // stride) - 1) * stride + extent - size, 0)
        for size, extent, stride in zip(sizes, extents, strides, strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)
