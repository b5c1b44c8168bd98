"""A data set as the input of a trained network: each picture goes through the network's Preprocess.
It must never read a picture at another size than its own: the Preprocess alone decides how sizes change."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _arguments as check
from .dataset import Dataset
from .folder import PictureFolder, read_picture
from .preprocess import Preprocess


class Preprocessed:
    """`batch(indices) -> (x, y)` of a data set of pictures, where x (N, C, H, W) is what `preprocess` makes of each.

    Of a PictureFolder the files are decoded at their own size, whatever the folder's `size` and `fit` are; other data
    sets give pictures (1 or 3 channels) of 0..1, taken as 8 bits a channel. `transform(x, generator)` is applied to
    each batch: a random crop pads with 0, which of a normalised input is the mean colour.
    """

    def __init__(self, dataset: Dataset, preprocess: Preprocess, transform: Callable | None = None) -> None:
        if not isinstance(preprocess, Preprocess):
            raise TypeError(f"Preprocessed: preprocess must be a Preprocess, got {preprocess!r}")
        if transform is not None and not callable(transform):
            raise TypeError(f"Preprocessed: transform must be callable, got {transform!r}")
        self.dataset, self.preprocess, self.transform = dataset, preprocess, transform
        self.y = dataset.y

    def __len__(self) -> int:
        return len(self.dataset)

    def __repr__(self) -> str:
        return f"Preprocessed({self.dataset!r}, {self.preprocess.describe()})"

    def batch(self, indices: Any, generator: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`(x, y)` of the pictures at `indices` (1-d integers from 0 to N-1)."""
        chosen = check.indices("Preprocessed.batch", indices, len(self))
        channels = 1 if self.preprocess.channels == "L" else 3
        x = np.empty((len(chosen), channels, *self.preprocess.size), np.float32)
        for row, picture in enumerate(self._pictures(chosen)):
            x[row] = self.preprocess(picture)
        if self.transform is not None:
            x = self.transform(x, generator)
        return x, self.y[chosen]

    def _pictures(self, chosen: np.ndarray) -> Iterator[np.ndarray]:
        if isinstance(self.dataset, PictureFolder):
            yield from (read_picture(self.dataset.files[index]) for index in chosen.tolist())
            return
        x, _ = self.dataset.batch(chosen)
        yield from np.rint(255 * np.clip(x, 0, 1)).astype(np.uint8).transpose(0, 2, 3, 1)
