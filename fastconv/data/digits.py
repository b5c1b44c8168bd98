"""The 1,797 handwritten 8x8 digits that come with the package (uci_digits/, CC BY 4.0, see the notice there).
It must never need the network or another package: it is what every example and the demo start from."""

from pathlib import Path

import numpy as np

from .idx import read_idx
from .split import stratified_split

_FOLDER = Path(__file__).with_name("uci_digits")
# The stored pixels count the set points of a 4x4 block: 0..16.
_PIXEL_MAXIMUM = np.float32(16)

CLASSES = tuple("0123456789")

Arrays = tuple[np.ndarray, np.ndarray]


def load_digits() -> tuple[Arrays, Arrays]:
    """The UCI digits: `((x_train, y_train), (x_test, y_test))`, 1,438 and 359 samples.

    x is float32 (N, 1, 8, 8) scaled to 0..1, y int64 (N,) from 0 to 9. The split never changes: a fifth of
    each class for the test, `stratified_split(labels, 0.2, seed=0)`, in the order of the original file.
    """
    x = read_idx(_FOLDER / "images-idx3-ubyte.gz")[:, None] / _PIXEL_MAXIMUM
    y = read_idx(_FOLDER / "labels-idx1-ubyte.gz").astype(np.int64)
    train, test = stratified_split(y, 0.2, seed=0)
    return (x[train], y[train]), (x[test], y[test])
