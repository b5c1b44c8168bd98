"""Pooling by the p-norm of each window: the sums are AvgPool's, the powers plain NumPy.
What takes means or largest values is in pool.py."""

from typing import Any

import numpy as np

from . import _arguments as read
from .base import Back, Layer
from .pool import AvgPool1d, AvgPool2d, AvgPool3d

_SUMS = (AvgPool1d, AvgPool2d, AvgPool3d)


class LpPool(Layer):
    """The p-norm of each window of x (N, C, *spatial), p = `norm_type`: the root of the sum of abs(x) ** p.

    `kernel_size` has a size for each of the one to three spatial axes; the other arguments are AvgPool2d's. It is
    ONNX's: PyTorch's LPPool2d takes no absolute values.
    """

    arguments = ("norm_type", "kernel_size", "stride", "padding", "ceil_mode")
    result = "new"

    def __init__(
        self,
        norm_type: int,
        kernel_size: tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[Any, ...] = 0,
        ceil_mode: bool = False,
    ) -> None:
        self.norm_type = read.size("LpPool", "norm_type", norm_type)
        if not isinstance(kernel_size, (tuple, list)) or not 1 <= len(kernel_size) <= len(_SUMS):
            raise ValueError(f"LpPool: kernel_size must be 1 to 3 sizes, got {kernel_size!r}")
        axes = len(kernel_size)
        self.kernel_size = read.sizes("LpPool", "kernel_size", kernel_size, axes)
        self.stride = read.sizes("LpPool", "stride", kernel_size if stride is None else stride, axes)
        self.padding = read.padding("LpPool", padding, axes, words=False)
        self.ceil_mode = read.flag("LpPool", "ceil_mode", ceil_mode)

    def _sums(self) -> Layer:
        kind = _SUMS[len(self.kernel_size) - 1]
        return kind(self.kernel_size, self.stride, self.padding, self.ceil_mode, divisor_override=1)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self._sums()(np.abs(x) ** self.norm_type) ** (1 / self.norm_type)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        x = np.asarray(x)
        less = self.norm_type - 1
        with np.errstate(all="ignore"):
            sums, sums_back = self._sums().forward(np.abs(x) ** self.norm_type)
            y = sums ** (1 / self.norm_type)

        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            if not needs_input:
                return None
            with np.errstate(all="ignore"):
                # A window of zeros has a kink there: its gradient is 0.
                shares = np.where(y == 0, dy.dtype.type(0), dy / y**less)
                return sums_back(shares) * np.abs(x) ** less * np.sign(x)

        return y, back

    def describe(self) -> str:
        text = f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{text}, padding={self.padding}" + (", ceil_mode=True" if self.ceil_mode else "")
