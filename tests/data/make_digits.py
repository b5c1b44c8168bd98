"""Makes the files of fastconv/data/uci_digits/ from scikit-learn's copy: python make_digits.py FOLDER.
It is how the shipped files came to be; a test compares them with scikit-learn's where that is installed."""

import gzip
import struct
import sys
from pathlib import Path

import numpy as np


def digits_as_idx() -> dict[str, bytes]:
    """The unpacked content of each file by its name; pixels stay the original integers 0..16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    parts = {"images-idx3-ubyte.gz": bunch.images, "labels-idx1-ubyte.gz": bunch.target}
    files = {}
    for name, part in parts.items():
        values = part.astype(np.uint8)
        assert (values == part).all()
        header = struct.pack(f">HBB{values.ndim}I", 0, 0x08, values.ndim, *values.shape)
        files[name] = header + values.tobytes()
    return files


def main(folder: Path) -> None:
    for name, content in digits_as_idx().items():
        # No time stamp: the same content gives the same file.
        (folder / name).write_bytes(gzip.compress(content, compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
