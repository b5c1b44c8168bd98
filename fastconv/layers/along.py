"""Weighted sums of elements along one axis, and their transpose: what padding by x itself and resampling are made of.
It must never let an element of share 0 count: an infinity there would become a NaN."""

import numpy as np


def gathered(x: np.ndarray, axis: int, places: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
    """A new array whose element i along `axis` is the sum of x at places[k, i] times shares[k, i]; shares None is 1."""
    if shares is None:
        y = x.take(places[0], axis)
        for place in places[1:]:
            y += x.take(place, axis)
        return y
    y = _weighted(x.take(places[0], axis), shares[0], axis)
    for place, share in zip(places[1:], shares[1:], strict=True):
        y += _weighted(x.take(place, axis), share, axis)
    return y


def scattered(dy: np.ndarray, axis: int, size: int, places: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
    """The gradient of `gathered` in x, which has `size` elements along `axis`."""
    dx = np.zeros((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)
    for number, place in enumerate(places):
        d = dy if shares is None else _weighted(dy, shares[number], axis)
        order = np.argsort(place, kind="stable")
        place = place[order]
        # Sums over runs of one place, each of which then comes once.
        first = np.flatnonzero(np.diff(place, prepend=-1))
        dx[(*(slice(None),) * axis, place[first])] += np.add.reduceat(d.take(order, axis), first, axis)
    return dx


def _weighted(x: np.ndarray, share: np.ndarray, axis: int) -> np.ndarray:
    share = share.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return np.where(share == 0, x.dtype.type(0), share * x)
