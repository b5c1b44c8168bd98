"""Convolution and pooling of MyGrad on fastconv: `conv_nd`, `max_pool`, `avg_pool`, and `install()`.
What fastconv does not compute (other dtypes, more than three axes) and every error are left to MyGrad's own operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from mygrad import Tensor
    from mygrad.nnet.layers import conv, pooling
    from mygrad.operation_base import Operation
except ImportError as error:
    raise ImportError('fastconv.compat.mygrad needs MyGrad: pip install "fastconv[compat]"') from error

from fastconv import functional as F

__all__ = ["avg_pool", "conv_nd", "install", "max_pool"]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_GRAD_INPUT = {1: F.conv1d_grad_input, 2: F.conv2d_grad_input, 3: F.conv3d_grad_input}
_GRAD_WEIGHT = {1: F.conv1d_grad_weight, 2: F.conv2d_grad_weight, 3: F.conv3d_grad_weight}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MAX_POOL_BACKWARD = {1: F.max_pool1d_backward, 2: F.max_pool2d_backward, 3: F.max_pool3d_backward}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_AVG_POOL_BACKWARD = {1: F.avg_pool1d_backward, 2: F.avg_pool2d_backward, 3: F.avg_pool3d_backward}


def conv_nd(
    x: Any, filter_bank: Any, *, stride: Any, padding: Any = 0, dilation: Any = 1, constant: bool | None = None
) -> Tensor:
    """MyGrad's conv_nd: x (N, C, X0, ...) with filter_bank (F, C, W0, ...) to (N, F, G0, ...). ValueError where the
    shapes differ in dimensions or channels, or the windows do not tile x exactly."""
    if x.ndim < 3 or x.ndim != filter_bank.ndim or x.shape[1] != filter_bank.shape[1]:
        raise ValueError(f"conv_nd: x {x.shape} and filter_bank {filter_bank.shape}; expected (N, C, ...), (F, C, ...)")
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    return Tensor._op(ConvND, x, filter_bank, op_kwargs=window, constant=constant)


def max_pool(x: Any, pool: tuple[int, ...], stride: Any, *, constant: bool | None = None) -> Tensor:
    """MyGrad's max_pool over the last len(pool) axes of x. ValueError where the windows do not tile x exactly."""
    return Tensor._op(MaxPoolND, x, op_args=(pool, stride), constant=constant)


def avg_pool(x: Any, pool: tuple[int, ...], stride: Any, *, constant: bool | None = None) -> Tensor:
    """The mean of each window over the last len(pool) axes (1 to 3) of x; arguments and errors as max_pool."""
    return Tensor._op(AvgPoolND, x, op_args=(pool, stride), constant=constant)


def install() -> None:
    """Let MyGrad's own conv_nd and max_pool compute on fastconv, wherever they were imported to."""
    conv.ConvND, pooling.MaxPoolND = ConvND, MaxPoolND


class ConvND(conv.ConvND):
    """MyGrad's operation where fastconv computes it, itself where not."""

    window: dict[str, tuple[int, ...]] | None = None

    def __call__(self, x: Tensor, w: Tensor, *, stride: Any, padding: Any = 0, dilation: Any = 1) -> np.ndarray:
        axes = x.ndim - 2
        window = {
            name: _per_axis(value, axes)
            for name, value in (("stride", stride), ("padding", padding), ("dilation", dilation))
        }
        dtype = np.result_type(x.data, w.data)
        if axes not in _CONV or w.ndim != x.ndim or not _computed(dtype) or not _tiles(x.shape, w.shape, **window):
            return super().__call__(x, w, stride=stride, padding=padding, dilation=dilation)
        self.variables, self.window, self.dtype = (x, w), window, dtype
        return _CONV[axes](*self._operands(x, w), **window)

    def backward_var(self, grad: np.ndarray, index: int, **kwargs: Any) -> np.ndarray:
        if self.window is None:
            return super().backward_var(grad, index, **kwargs)
        x, w = self.variables
        gradient, other = (_GRAD_INPUT, w) if index == 0 else (_GRAD_WEIGHT, x)
        variable = self.variables[index]
        result = gradient[x.ndim - 2](*self._operands(grad, other), variable.shape, **self.window)
        return result.astype(variable.dtype, copy=False)

    def _operands(self, *operands: Any) -> list[np.ndarray]:
        return [np.asarray(operand, self.dtype) for operand in operands]


class MaxPoolND(pooling.MaxPoolND):
    """MyGrad's operation where fastconv computes it, itself where not."""

    indices: np.ndarray | None = None

    def __call__(self, x: Tensor, pool: Any, stride: Any) -> np.ndarray:
        window = _pool_window(x, pool, stride)
        if window is None or not _computed(x.dtype):
            return super().__call__(x, pool, stride)
        self.variables = (x,)
        axes = len(pool)
        y, self.indices = _MAX_POOL[axes](_planes(x.data, axes), *window, return_indices=True)
        return y.reshape(*x.shape[: x.ndim - axes], *y.shape[2:])

    def backward_var(self, grad: np.ndarray, index: int, **kwargs: Any) -> np.ndarray:
        if self.indices is None:
            return super().backward_var(grad, index, **kwargs)
        (x,) = self.variables
        axes = self.indices.ndim - 2
        dy = np.asarray(grad, x.dtype).reshape(self.indices.shape)
        return _MAX_POOL_BACKWARD[axes](dy, self.indices, _planes(x.data, axes).shape).reshape(x.shape)


class AvgPoolND(Operation):
    """The mean of each window, which MyGrad has no operation for."""

    def __call__(self, x: Tensor, pool: Any, stride: Any) -> np.ndarray:
        self.window = _pool_window(x, pool, stride)
        if self.window is None:
            raise ValueError(
                f"avg_pool: x {x.shape} with pool {pool!r}, stride {stride!r}; expected windows that tile it"
            )
        self.variables = (x,)
        axes = len(pool)
        y = _AVG_POOL[axes](_planes(x.data, axes), *self.window)
        return y.reshape(*x.shape[: x.ndim - axes], *y.shape[2:])

    def backward_var(self, grad: np.ndarray, index: int, **kwargs: Any) -> np.ndarray:
        (x,) = self.variables
        axes = len(self.window[0])
        shape = _planes(x.data, axes).shape
        dy = np.asarray(grad, x.dtype).reshape(*shape[:2], *grad.shape[grad.ndim - axes :])
        return _AVG_POOL_BACKWARD[axes](dy, shape, *self.window).reshape(x.shape)


def _computed(dtype: np.dtype) -> bool:
    return dtype in (np.float32, np.float64)


def _per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    return tuple(value) if np.ndim(value) else (value,) * axes


def _tiles(x: tuple, w: tuple, stride: tuple, padding: tuple, dilation: tuple) -> bool:
    """Whether the arguments are whole numbers for each axis, and their windows, in an x that is not empty, end where
    x does."""
    axes = len(x) - 2
    values = [*zip(stride, padding, dilation, strict=False)]
    if not len(stride) == len(padding) == len(dilation) == axes or x[1] != w[1] or 0 in x or 0 in w:
        return False
    if not all(isinstance(v, (int, np.integer)) for row in values for v in row):
        return False
    return all(
        s >= 1 and p >= 0 and d >= 1 and n + 2 * p > (k - 1) * d and (n + 2 * p - (k - 1) * d - 1) % s == 0
        for n, k, (s, p, d) in zip(x[2:], w[2:], values, strict=True)
    )


def _pool_window(x: Tensor, pool: Any, stride: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(pool, stride), or None where fastconv has no such window."""
    if not isinstance(pool, (tuple, list, np.ndarray)) or len(pool) not in _MAX_POOL or len(pool) > x.ndim:
        return None
    stride, axes = _per_axis(stride, len(pool)), len(pool)
    if not all(isinstance(size, (int, np.integer)) and size > 0 for size in pool):
        return None
    shape, window = (1, x.size, *x.shape[x.ndim - axes :]), (1, x.size, *pool)
    return (tuple(pool), stride) if _tiles(shape, window, stride, (0,) * axes, (1,) * axes) else None


def _planes(x: np.ndarray, axes: int) -> np.ndarray:
    """x with its leading axes as one batch of one channel."""
    return x.reshape(-1, 1, *x.shape[x.ndim - axes :])
