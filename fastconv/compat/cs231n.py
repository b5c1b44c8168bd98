"""Every name of `fast_layers` and `im2col_cython` of the CS231n assignments, on fastconv: no build step.
It must never import a net: `install()` stands in for the two modules, in whatever package they are missing.

Shapes: x (N, C, H, W), w (F, C, HH, WW), b (F,); conv_param {"stride", "pad"}; pool_param {"pool_height", "pool_width",
"stride"}. Windows that do not fit any more are left out, as in the assignment's formula. The gradient of a maximum that
several elements of a window share goes to the first of them in row-major order; the course's reshape method splits it.
The caches are for the backward functions alone.
"""

import sys
from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.compat._dtype import floats

__all__ = [
    "col2im_6d_cython",
    "col2im_cython",
    "conv_backward_fast",
    "conv_backward_im2col",
    "conv_backward_strides",
    "conv_forward_fast",
    "conv_forward_im2col",
    "conv_forward_strides",
    "im2col_cython",
    "max_pool_backward_fast",
    "max_pool_backward_im2col",
    "max_pool_backward_reshape",
    "max_pool_forward_fast",
    "max_pool_forward_im2col",
    "max_pool_forward_reshape",
]


def conv_forward_fast(x: Any, w: Any, b: Any, conv_param: dict[str, int]) -> tuple[np.ndarray, tuple]:
    """(out, cache): out (N, F, OH, OW)."""
    x, w, b = floats(x, w, b)
    window = {"stride": conv_param["stride"], "padding": conv_param["pad"]}
    return F.conv2d(x, w, b.reshape(-1), **window), (x, w, window)


def conv_backward_fast(dout: Any, cache: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dw, db)."""
    x, w, window = cache
    dout, x, w = floats(dout, x, w)
    return F.conv2d_backward(dout, x, w, **window)


def max_pool_forward_fast(x: Any, pool_param: dict[str, int]) -> tuple[np.ndarray, tuple]:
    """(out, cache): out (N, C, OH, OW). Any window and stride, overlapping ones too."""
    (x,) = floats(x)
    window = pool_param["pool_height"], pool_param["pool_width"]
    out, indices = F.max_pool2d(x, window, pool_param["stride"], return_indices=True)
    return out, (x.shape, x.dtype, indices)


def max_pool_backward_fast(dout: Any, cache: tuple) -> np.ndarray:
    """dx of the shape and dtype of x."""
    shape, dtype, indices = cache
    return F.max_pool2d_backward(np.asarray(dout, dtype), indices, shape)


conv_forward_im2col = conv_forward_strides = conv_forward_fast
conv_backward_im2col = conv_backward_strides = conv_backward_fast
max_pool_forward_im2col = max_pool_forward_reshape = max_pool_forward_fast
max_pool_backward_im2col = max_pool_backward_reshape = max_pool_backward_fast


def im2col_cython(x: np.ndarray, field_height: int, field_width: int, padding: int, stride: int) -> np.ndarray:
    """Columns (C * field_height * field_width, OH * OW * N), N fastest, of x (N, C, H, W)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (field_height, field_width), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]  # (N, C, OH, OW, field_height, field_width)
    return windows.transpose(1, 4, 5, 2, 3, 0).reshape(x.shape[1] * field_height * field_width, -1)


def col2im_cython(
    cols: np.ndarray, N: int, C: int, H: int, W: int, field_height: int, field_width: int, padding: int, stride: int
) -> np.ndarray:
    """x (N, C, H, W): each element the sum of its places in the columns of im2col_cython."""
    P = (H + 2 * padding - field_height) // stride + 1
    Q = (W + 2 * padding - field_width) // stride + 1
    cols = cols.reshape(C, field_height, field_width, P, Q, N).transpose(0, 1, 2, 5, 3, 4)
    return col2im_6d_cython(cols, N, C, H, W, field_height, field_width, padding, stride)


def col2im_6d_cython(
    cols: np.ndarray, N: int, C: int, H: int, W: int, HH: int, WW: int, pad: int, stride: int
) -> np.ndarray:
    """x (N, C, H, W) as col2im_cython, from columns (C, HH, WW, N, OH, OW)."""
    P, Q = cols.shape[4:]
    x = np.zeros((N, C, H + 2 * pad, W + 2 * pad), cols.dtype)
    for i in range(HH):
        for j in range(WW):
            x[:, :, i : i + stride * P : stride, j : j + stride * Q : stride] += cols[:, i, j].swapaxes(0, 1)
    return x[:, :, pad : pad + H, pad : pad + W]


def install(package: str = "cs231n") -> None:
    """Let `package`.fast_layers and `package`.im2col_cython be this module, whether they exist or not.

    Before the net's own import: what it has already taken from them it keeps, so RuntimeError then."""
    names = [f"{package}.fast_layers", f"{package}.im2col_cython"]
    here = sys.modules[__name__]
    if loaded := [name for name in names if sys.modules.get(name, here) is not here]:
        raise RuntimeError(f"install: {' and '.join(loaded)} already imported; call install() before the net's import")
    for name in names:
        sys.modules[name] = here
