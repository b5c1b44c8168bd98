"""Convolution and pooling as loops in Python over N, K, P, Q: what everybody writes first.
The slow side of the benchmarks; it takes int stride and padding only and checks nothing."""

from typing import Any

import numpy as np

Array = np.ndarray


def _padded(x: Array, padding: int, fill: float = 0.0) -> Array:
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return np.pad(x, sides, constant_values=fill)


def conv2d(x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: int = 0) -> Array:
    """x (N, C, H, W), weight (K, C, R, S) -> (N, K, P, Q); one sum over C, R, S for each output."""
    K, _, R, S = weight.shape
    xp = _padded(x, padding)
    P, Q = (xp.shape[2] - R) // stride + 1, (xp.shape[3] - S) // stride + 1
    y = np.empty((len(x), K, P, Q), x.dtype)
    for n in range(len(x)):
        for k in range(K):
            for p in range(P):
                for q in range(Q):
                    window = xp[n, :, p * stride : p * stride + R, q * stride : q * stride + S]
                    y[n, k, p, q] = np.sum(window * weight[k])
    return y if bias is None else y + bias[:, None, None]


def conv2d_grad_input(
    dy: Array, weight: Array, input_shape: tuple[int, ...], *, stride: int = 1, padding: int = 0
) -> Array:
    """Gradient of conv2d in x: every dy spreads its filter over its window."""
    N, K, P, Q = dy.shape
    R, S = weight.shape[2:]
    dxp = _padded(np.zeros(input_shape, dy.dtype), padding)
    for n in range(N):
        for k in range(K):
            for p in range(P):
                for q in range(Q):
                    window = dxp[n, :, p * stride : p * stride + R, q * stride : q * stride + S]
                    window += dy[n, k, p, q] * weight[k]
    return dxp[:, :, padding : padding + input_shape[2], padding : padding + input_shape[3]]


def conv2d_grad_weight(
    dy: Array, x: Array, weight_shape: tuple[int, ...], *, stride: int = 1, padding: int = 0
) -> Array:
    """Gradient of conv2d in weight: every dy adds its window to its filter."""
    N, K, P, Q = dy.shape
    R, S = weight_shape[2:]
    xp = _padded(x, padding)
    dw = np.zeros(weight_shape, x.dtype)
    for n in range(N):
        for k in range(K):
            for p in range(P):
                for q in range(Q):
                    window = xp[n, :, p * stride : p * stride + R, q * stride : q * stride + S]
                    dw[k] += dy[n, k, p, q] * window
    return dw


def conv2d_backward(dy: Array, x: Array, weight: Array, **geometry: int) -> tuple[Array, Array, Array]:
    """(dx, dweight, dbias) of conv2d."""
    dx = conv2d_grad_input(dy, weight, x.shape, **geometry)
    return dx, conv2d_grad_weight(dy, x, weight.shape, **geometry), dy.sum(axis=(0, 2, 3))


def _pool(x: Array, R: int, stride: int, padding: int, fill: float, reduce: Any) -> Array:
    N, C = x.shape[:2]
    xp = _padded(x, padding, fill)
    P, Q = (xp.shape[2] - R) // stride + 1, (xp.shape[3] - R) // stride + 1
    y = np.empty((N, C, P, Q), x.dtype)
    for n in range(N):
        for c in range(C):
            for p in range(P):
                for q in range(Q):
                    y[n, c, p, q] = reduce(xp[n, c, p * stride : p * stride + R, q * stride : q * stride + R])
    return y


def max_pool2d(x: Array, kernel_size: int, stride: int | None = None, padding: int = 0) -> Array:
    """The largest of each window; (N, C, H, W) -> (N, C, P, Q)."""
    return _pool(x, kernel_size, stride or kernel_size, padding, -np.inf, np.max)


def max_pool2d_backward(dy: Array, indices: Array, input_shape: tuple[int, ...]) -> Array:
    """Every dy goes to where its window's largest value was; indices are flat in the H*W plane."""
    N, C, P, Q = dy.shape
    W = input_shape[3]
    dx = np.zeros(input_shape, dy.dtype)
    for n in range(N):
        for c in range(C):
            for p in range(P):
                for q in range(Q):
                    at = indices[n, c, p, q]
                    dx[n, c, at // W, at % W] += dy[n, c, p, q]
    return dx


def avg_pool2d(x: Array, kernel_size: int, stride: int | None = None, padding: int = 0) -> Array:
    """The mean of each window, padding counted as zeros; (N, C, H, W) -> (N, C, P, Q)."""
    return _pool(x, kernel_size, stride or kernel_size, padding, 0.0, np.mean)


def avg_pool2d_backward(
    dy: Array, input_shape: tuple[int, ...], kernel_size: int, stride: int | None = None, padding: int = 0
) -> Array:
    """Every dy is shared out evenly over its window."""
    N, C, P, Q = dy.shape
    R, step = kernel_size, stride or kernel_size
    dxp = _padded(np.zeros(input_shape, dy.dtype), padding)
    for n in range(N):
        for c in range(C):
            for p in range(P):
                for q in range(Q):
                    dxp[n, c, p * step : p * step + R, q * step : q * step + R] += dy[n, c, p, q] / (R * R)
    return dxp[:, :, padding : padding + input_shape[2], padding : padding + input_shape[3]]
