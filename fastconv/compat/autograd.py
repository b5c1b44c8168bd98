"""Convolution and pooling for autograd (HIPS): primitives with gradients of every order, and `install()`, which gives
`autograd.scipy.signal.convolve` a fast path. It must never answer a call that it does not compute: theirs does.

Shapes: x (N, C, H, W), weight (K, C / groups, R, S), bias (K,); stride, padding, dilation and groups are fastconv's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import autograd.numpy as anp
    import autograd.scipy.signal
    from autograd.extend import defvjp, primitive
    from autograd.tracer import getval
except ImportError as error:
    raise ImportError('fastconv.compat.autograd needs autograd: pip install "fastconv[compat]"') from error

from fastconv import functional as F
from fastconv.compat._dtype import floats

__all__ = ["avg_pool2d", "conv2d", "convolve", "install", "max_pool2d"]

_theirs = autograd.scipy.signal.convolve


@primitive
def conv2d(x: Any, weight: Any, bias: Any = None, **window: Any) -> np.ndarray:
    """fastconv.conv2d; window: stride, padding, dilation, groups. Operands of several dtypes are promoted."""
    if bias is None:
        return F.conv2d(*floats(x, weight), **window)
    return F.conv2d(*floats(x, weight, bias), **window)


@primitive
def _grad_input(dy: Any, weight: Any, shape: tuple[int, ...], **window: Any) -> np.ndarray:
    return F.conv2d_grad_input(*floats(dy, weight), shape, **window)


@primitive
def _grad_weight(dy: Any, x: Any, shape: tuple[int, ...], **window: Any) -> np.ndarray:
    return F.conv2d_grad_weight(*floats(dy, x), shape, **window)


# Each of the three is linear in both operands, so that their gradients are each other.
defvjp(
    conv2d,
    lambda y, x, weight, bias=None, **window: lambda dy: _grad_input(dy, weight, x.shape, **window),
    lambda y, x, weight, bias=None, **window: lambda dy: _grad_weight(dy, x, weight.shape, **window),
    lambda y, x, weight, bias=None, **window: lambda dy: anp.sum(dy, axis=(0, 2, 3)),
)
defvjp(
    _grad_input,
    lambda dx, dy, weight, shape, **window: lambda g: conv2d(g, weight, **window),
    lambda dx, dy, weight, shape, **window: lambda g: _grad_weight(dy, g, weight.shape, **window),
    argnums=(0, 1),
)
defvjp(
    _grad_weight,
    lambda dweight, dy, x, shape, **window: lambda g: conv2d(x, g, **window),
    lambda dweight, dy, x, shape, **window: lambda g: _grad_input(dy, g, x.shape, **window),
    argnums=(0, 1),
)


def max_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """fastconv.max_pool2d. The gradient of a maximum that several elements share goes to the first of them."""
    y, indices = F.max_pool2d(*floats(getval(x)), kernel_size, stride, padding, return_indices=True)
    return _taken(x, indices, y)


@primitive
def _taken(x: Any, indices: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """The elements of x at `indices`, flat in each plane; y where that is known already."""
    if y is not None:
        return y
    planes = (*indices.shape[:2], -1)
    return np.take_along_axis(x.reshape(planes), indices.reshape(planes), 2).reshape(indices.shape)


@primitive
def _put(dy: Any, indices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return F.max_pool2d_backward(*floats(dy), indices, shape)


defvjp(_taken, lambda y, x, indices, *_: lambda dy: _put(dy, indices, x.shape), argnums=(0,))
defvjp(_put, lambda dx, dy, indices, shape: lambda g: _taken(g, indices), argnums=(0,))


@primitive
def avg_pool2d(x: Any, *window: Any, **more: Any) -> np.ndarray:
    """fastconv.avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)."""
    return F.avg_pool2d(*floats(x), *window, **more)


@primitive
def _spread(dy: Any, shape: tuple[int, ...], *window: Any, **more: Any) -> np.ndarray:
    return F.avg_pool2d_backward(*floats(dy), shape, *window, **more)


defvjp(avg_pool2d, lambda y, x, *window, **more: lambda dy: _spread(dy, x.shape, *window, **more), argnums=(0,))
defvjp(_spread, lambda dx, dy, shape, *window, **more: lambda g: avg_pool2d(g, *window, **more), argnums=(0,))


def convolve(A: Any, B: Any, axes: Any = None, dot_axes: Any = ((), ()), mode: str = "full") -> Any:
    """autograd.scipy.signal.convolve; on fastconv where it is a network's layer: A (N, C, H, W), B (C, K, R, S) no
    larger than A, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid", both of one float dtype."""
    layer = mode == "valid" and _lists(axes) == [[2, 3], [2, 3]] and _lists(dot_axes) == [[1], [0]]
    if layer and _computed(A, B):
        return conv2d(A, anp.transpose(B, (1, 0, 2, 3))[:, :, ::-1, ::-1])
    return _theirs(A, B, axes=axes, dot_axes=dot_axes, mode=mode)


def install() -> None:
    """Put `convolve` in the place of autograd.scipy.signal.convolve; what was imported from there before stays."""
    autograd.scipy.signal.convolve = convolve


def _lists(axes: Any) -> list[list[int]] | None:
    return None if axes is None else [list(part) for part in axes]


def _computed(A: Any, B: Any) -> bool:
    A, B = getval(A), getval(B)
    return (
        np.ndim(A) == np.ndim(B) == 4
        and A.dtype == B.dtype
        and A.dtype in (np.float32, np.float64)
        and A.shape[1] == B.shape[0]
        and all(0 < k <= n for k, n in zip(B.shape[2:], A.shape[2:], strict=True))
        and A.size > 0
        and B.size > 0
    )
