"""Batch normalisation and local response normalisation, as PyTorch's.
Inference must never change the running statistics, nor depend on anything but them."""

from typing import ClassVar

import numpy as np

from .. import functional as F
from . import _arguments as read
from ._synchronised import finish_gradient, normalise, over_ranks
from .base import Back, Layer
from .initial import filled
from .parameter import Parameter


class _BatchNorm(Layer):
    """Normalise each channel of x (N, C, *spatial) by its mean and variance (Ioffe and Szegedy 2015).

    In training these are the batch's, and running_mean and running_var (unbiased) move towards them by
    `momentum`, or with None become the average over all batches. After `eval()`, and in inference, they are
    the running ones, constants to the gradient. With track_running_stats=False they are always the batch's.
    """

    arguments = ("num_features", "eps", "momentum", "affine", "track_running_stats")
    buffer_names = ("running_mean", "running_var", "num_batches_tracked")
    result = "new"
    call_in_place = True
    back_in_place = True
    fuses_relu = True
    ndims: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        kind = type(self).__name__
        self.num_features = read.size(kind, "num_features", num_features)
        self.eps = read.number(kind, "eps", eps, 0)
        self.momentum = None if momentum is None else read.number(kind, "momentum", momentum, 0, 1)
        self.affine = read.flag(kind, "affine", affine)
        self.track_running_stats = read.flag(kind, "track_running_stats", track_running_stats)
        shape, tracked = (self.num_features,), self.track_running_stats
        self.weight = Parameter(filled(shape, 1)) if affine else None
        self.bias = Parameter(filled(shape, 0)) if affine else None
        self.running_mean = filled(shape, 0) if tracked else None
        self.running_var = filled(shape, 1) if tracked else None
        self.num_batches_tracked = filled((), 0, np.int64) if tracked else None

    def _affine(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        return (self.weight.data, self.bias.data) if self.affine else (None, None)

    def _require_channels(self, x: np.ndarray) -> None:
        shape = np.shape(x)
        if len(shape) not in self.ndims or shape[1] != self.num_features:
            wanted = " or ".join(str(n) for n in self.ndims)
            raise ValueError(
                f"{type(self).__name__}: x must have {wanted} dimensions and {self.num_features} channels, "
                f"got shape {shape}"
            )

    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        self._require_channels(x)
        if not self.track_running_stats:
            return F.batch_norm_train(x, *self._affine(), eps=self.eps)[0]
        return F.batch_norm(x, self.running_mean, self.running_var, *self._affine(), eps=self.eps, out=out)

    def forward(self, x: np.ndarray, *, relu: bool = False) -> tuple[np.ndarray, Back]:
        self._require_channels(x)
        by_batch = self.training or not self.track_running_stats
        allreduce = over_ranks() if by_batch else None
        if by_batch:
            if allreduce is not None:
                y, mean, var, count = normalise(np.asarray(x), self._affine(), self.eps, relu, allreduce)
            else:
                y, mean, var = F.batch_norm_train(x, *self._affine(), eps=self.eps, relu=relu)
                count = y.size // self.num_features
            if self.training and self.track_running_stats:
                self._track(mean, var, count)
        else:
            # Copies, because a later forward may move the statistics before back is called.
            mean, var = self.running_mean.copy(), self.running_var.copy()
            y = F.batch_norm(x, mean, var, *self._affine(), eps=self.eps, relu=relu)
        weight, bias = self.weight, self.bias
        versions = (weight.version, bias.version) if self.affine else (0, 0)

        def back(dy: np.ndarray, needs_input: bool = True, *, out: np.ndarray | None = None) -> np.ndarray | None:
            if not needs_input and not self.is_trainable():
                return None
            scale = shift = None
            if weight is not None:
                scale, shift = weight.require_version(versions[0]), bias.require_version(versions[1])
            constant = not by_batch or allreduce is not None
            dx, dweight, dbias = F.batch_norm_backward(
                dy, x, mean, var, scale, shift, eps=self.eps, training=not constant, relu=relu, out=out
            )
            if allreduce is not None and needs_input:
                sums = dweight, dbias
                finish_gradient(dx, x, mean, var, scale, sums, self.eps, count, allreduce)
            if weight is not None:
                weight.add_gradient(dweight)
                bias.add_gradient(dbias)
            return dx if needs_input else None

        return y, back

    def _track(self, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        self.num_batches_tracked += 1
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean *= 1 - share
        self.running_mean += share * mean
        self.running_var *= 1 - share
        self.running_var += (share * count / (count - 1)) * var

    def describe(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps:g}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    __doc__ = _BatchNorm.__doc__
    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = _BatchNorm.__doc__
    ndims = (4,)


class BatchNorm3d(_BatchNorm):
    __doc__ = _BatchNorm.__doc__
    ndims = (5,)


class LocalResponseNorm(Layer):
    """x / (k + alpha / size * sum of squares over `size` neighbouring channels) ** beta (AlexNet, 2012)."""

    arguments = ("size", "alpha", "beta", "k")
    result = "new"

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        kind = "LocalResponseNorm"
        self.size = read.size(kind, "size", size)
        self.alpha, self.beta = read.number(kind, "alpha", alpha), read.number(kind, "beta", beta)
        self.k = read.number(kind, "k", k)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        def back(dy: np.ndarray, needs_input: bool = True) -> np.ndarray | None:
            if not needs_input:
                return None
            return F.local_response_norm_backward(dy, x, self.size, self.alpha, self.beta, self.k)

        return self(x), back

    def describe(self) -> str:
        return f"{self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"
