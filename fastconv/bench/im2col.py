"""Convolution and pooling by sliding_window_view and matmul: what good NumPy code does.
The side that fastconv is measured against; it takes int stride and padding only and checks nothing."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray


def _padded(x: Array, padding: int, fill: float = 0.0) -> Array:
    if not padding:
        return x
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=fill)


def _columns(x: Array, R: int, S: int, stride: int, padding: int) -> Array:
    """View (N, C, R, S, P, Q) of all windows."""
    windows = sliding_window_view(_padded(x, padding), (R, S), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 1, 4, 5, 2, 3)


def conv2d(x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: int = 0) -> Array:
    """x (N, C, H, W), weight (K, C, R, S) -> (N, K, P, Q).

    One sample's columns at a time: they stay in the cache and the buffer is reused, which is faster than
    columns of the whole batch at every size tried.
    """
    K, C, R, S = weight.shape
    windows = _columns(x, R, S, stride, padding)
    columns = np.empty(windows.shape[1:], x.dtype)
    P, Q = columns.shape[3:]
    y = np.empty((len(x), K, P * Q), x.dtype)
    rows = weight.reshape(K, C * R * S)
    for n in range(len(x)):
        columns[...] = windows[n]
        np.matmul(rows, columns.reshape(C * R * S, P * Q), out=y[n])
    if bias is not None:
        y += bias[:, None]
    return y.reshape(-1, K, P, Q)


def conv2d_grad_input(
    dy: Array, weight: Array, input_shape: tuple[int, ...], *, stride: int = 1, padding: int = 0
) -> Array:
    """Gradient of conv2d in x: columns of gradients, added back tap by tap."""
    K, C, R, S = weight.shape
    N, _, P, Q = dy.shape
    H, W = input_shape[2:]
    dxp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dy.dtype)
    filters = np.ascontiguousarray(weight.reshape(K, C * R * S).T)
    columns = np.empty((C, R, S, P, Q), dy.dtype)
    for n in range(N):
        np.matmul(filters, dy[n].reshape(K, P * Q), out=columns.reshape(C * R * S, P * Q))
        for r in range(R):
            for s in range(S):
                dxp[n, :, r : r + P * stride : stride, s : s + Q * stride : stride] += columns[:, r, s]
    return dxp[:, :, padding : padding + H, padding : padding + W]


def conv2d_grad_weight(
    dy: Array, x: Array, weight_shape: tuple[int, ...], *, stride: int = 1, padding: int = 0
) -> Array:
    """Gradient of conv2d in weight: gradients times the transposed columns, summed over the batch."""
    K, C, R, S = weight_shape
    P, Q = dy.shape[2:]
    windows = _columns(x, R, S, stride, padding)
    columns = np.empty(windows.shape[1:], x.dtype)
    dw = np.zeros((K, C * R * S), x.dtype)
    for n in range(len(x)):
        columns[...] = windows[n]
        dw += dy[n].reshape(K, P * Q) @ columns.reshape(C * R * S, P * Q).T
    return dw.reshape(weight_shape)


def conv2d_backward(dy: Array, x: Array, weight: Array, **geometry: int) -> tuple[Array, Array, Array]:
    """(dx, dweight, dbias) of conv2d."""
    dx = conv2d_grad_input(dy, weight, x.shape, **geometry)
    return dx, conv2d_grad_weight(dy, x, weight.shape, **geometry), dy.sum(axis=(0, 2, 3))


def _windows(x: Array, kernel_size: int, stride: int | None, padding: int, fill: float) -> Array:
    """View (N, C, P, Q, R, R) of all windows."""
    step = stride or kernel_size
    xp = _padded(x, padding, fill)
    return sliding_window_view(xp, (kernel_size, kernel_size), axis=(2, 3))[:, :, ::step, ::step]


def max_pool2d(x: Array, kernel_size: int, stride: int | None = None, padding: int = 0) -> Array:
    """The largest of each window; (N, C, H, W) -> (N, C, P, Q)."""
    return _windows(x, kernel_size, stride, padding, -np.inf).max(axis=(4, 5))


def max_pool2d_backward(dy: Array, indices: Array, input_shape: tuple[int, ...]) -> Array:
    """Every dy goes to where its window's largest value was; indices are flat in the H*W plane."""
    N, C, H, W = input_shape
    dx = np.zeros((N * C, H * W), dy.dtype)
    # Windows may overlap, so that two of them can name one place: the unbuffered addition.
    np.add.at(dx, (np.arange(N * C)[:, None], indices.reshape(N * C, -1)), dy.reshape(N * C, -1))
    return dx.reshape(input_shape)


def avg_pool2d(x: Array, kernel_size: int, stride: int | None = None, padding: int = 0) -> Array:
    """The mean of each window, padding counted as zeros; (N, C, H, W) -> (N, C, P, Q)."""
    return _windows(x, kernel_size, stride, padding, 0.0).mean(axis=(4, 5))


def avg_pool2d_backward(
    dy: Array, input_shape: tuple[int, ...], kernel_size: int, stride: int | None = None, padding: int = 0
) -> Array:
    """Every dy is shared out evenly over its window, tap by tap."""
    N, C, P, Q = dy.shape
    H, W = input_shape[2:]
    step = stride or kernel_size
    dxp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dy.dtype)
    share = dy / np.asarray(kernel_size * kernel_size, dy.dtype)
    for r in range(kernel_size):
        for s in range(kernel_size):
            dxp[:, :, r : r + P * step : step, s : s + Q * step : step] += share
    return dxp[:, :, padding : padding + H, padding : padding + W]
