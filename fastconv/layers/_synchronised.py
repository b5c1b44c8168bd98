"""Batch norm whose statistics are those of all ranks of a job: what it adds to the functional operations.
All ranks must call it for the same layers in the same order, also those without a sample."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from .. import functional as F

# The array becomes its sum over all ranks.
AllReduce = Callable[[np.ndarray], np.ndarray]
_over_ranks: ContextVar[AllReduce | None] = ContextVar("fastconv_over_ranks", default=None)


@contextmanager
def synchronised(allreduce: AllReduce | None) -> Iterator[None]:
    """Inside, batch norm in training takes its statistics over all ranks, which `allreduce` adds up."""
    token = _over_ranks.set(allreduce)
    try:
        yield
    finally:
        _over_ranks.reset(token)


def over_ranks() -> AllReduce | None:
    """The sum over the ranks inside `synchronised`; None outside."""
    return _over_ranks.get()


def normalise(
    x: np.ndarray,
    affine: tuple[np.ndarray | None, np.ndarray | None],
    eps: float,
    relu: bool,
    allreduce: AllReduce,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(y, mean, biased variance, values a channel) with the statistics of the x of all ranks.

    The variance is added up about the common mean, in float64, so that nothing cancels.
    """
    channels, own = x.shape[1], x.size // x.shape[1]
    out = None
    if own > 1:
        out, mean, var = F.batch_norm_train(x, eps=eps)
    else:
        mean = x.reshape(own, channels).sum(axis=0)
        var = np.zeros_like(mean)
    sums = allreduce(np.append(own * mean.astype(np.float64), own))
    count, common = int(sums[-1]), sums[:-1] / sums[-1]
    if count < 2:
        raise ValueError(f"batch norm: training needs more than one value a channel over all ranks, got {count}")
    spread = allreduce(own * (var + (mean - common) ** 2)) / count
    mean, var = common.astype(x.dtype), spread.astype(x.dtype)
    return F.batch_norm(x, mean, var, *affine, eps=eps, relu=relu, out=out), mean, var, count


def finish_gradient(
    dx: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None,
    sums: tuple[np.ndarray, np.ndarray],
    eps: float,
    count: int,
    allreduce: AllReduce,
) -> np.ndarray:
    """dx, whose part by constant statistics is there, with that by mean and variance: written into dx.

    `sums` are dweight and dbias of this rank. dx -= weight / std / count * (dbias + xhat * dweight), with the sums
    over all ranks (Ioffe and Szegedy 2015).
    """
    dweight, dbias = np.split(allreduce(np.concatenate(sums).astype(np.float64)), 2)
    scale = -1 / (np.sqrt(var.astype(np.float64) + eps) * count)
    if weight is not None:
        scale *= weight
    through = F.batch_norm(x, mean, var, (scale * dweight).astype(x.dtype), (scale * dbias).astype(x.dtype), eps=eps)
    return F.add(dx, through, out=dx)
