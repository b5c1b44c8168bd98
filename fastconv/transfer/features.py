"""Freezing parts of a network, and what a frozen trunk makes of a data set, computed once.
A frozen part must compute the same in training as in inference: its batch norm by running statistics, no dropout."""

from typing import Any, TypeVar

import numpy as np

from ..data import ArrayDataset
from ..layers import BatchNorm1d, BatchNorm2d, BatchNorm3d, Layer
from ..progress import epoch_progress
from ..training_data import Source

_AnyLayer = TypeVar("_AnyLayer", bound=Layer)


def freeze(layer: _AnyLayer) -> _AnyLayer:
    """Keep training from changing anything inside: no gradients, and `eval()`, so that batch norm uses its running
    statistics and leaves them, and dropout does nothing. Returns the layer."""
    return layer.requires_grad_(False).eval()


def unfreeze(layer: _AnyLayer, *, batch_norm: bool = True) -> _AnyLayer:
    """Let training change all inside again. Returns the layer.

    With batch_norm=False batch norms still normalise by the running statistics that they were trained with: their
    weights train, the statistics stay. That is the better choice for small batches and few pictures.
    """
    layer.requires_grad_(True).train()
    if not batch_norm:
        for _, inside in layer.named_layers():
            if isinstance(inside, (BatchNorm1d, BatchNorm2d, BatchNorm3d)):
                inside.eval()
    return layer


def extract_features(
    trunk: Layer, x: Any, y: Any = None, *, batch_size: int = 8, progress: bool = False, title: str = "features"
) -> ArrayDataset:
    """What the trunk makes of every sample, in memory, with the same targets: a data set for `Trainer.fit` of a head.

    x, y are arrays (N, ...), or x is a data set, as for the Trainer. The trunk runs once, as inference: batch norm by
    its running statistics, no dropout. A head trained on this learns what the whole network with a frozen trunk would,
    but for random changes of the pictures: those need the trunk in each epoch. `progress` shows a bar with the `title`.
    """
    if not isinstance(trunk, Layer):
        raise TypeError(f"extract_features: trunk must be a Layer, got {type(trunk).__name__}")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"extract_features: batch_size must be an integer of at least 1, got {batch_size!r}")
    source = Source("extract_features", x, y)
    features = targets = np.empty(0)
    bar = epoch_progress(title, len(source), 0, progress)
    try:
        for start in range(0, len(source), batch_size):
            stop = min(start + batch_size, len(source))
            inputs, target = source.batch(np.arange(start, stop))
            found = trunk(inputs)
            if not isinstance(found, np.ndarray):
                raise TypeError(f"extract_features: trunk must give one array, got {type(found).__name__}")
            if start == 0:
                features = np.empty((len(source), *found.shape[1:]), found.dtype)
                targets = np.empty((len(source), *target.shape[1:]), target.dtype)
            features[start:stop], targets[start:stop] = found, target
            bar.update(stop - start)
    finally:
        bar.close()
    return ArrayDataset(features, targets)
