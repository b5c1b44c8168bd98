"""Reader of IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped.
It must never allocate on the word of a header before that agrees with the size of the file."""

import errno
import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..formats.errors import FormatError
from ..formats.files import PathType, open_regular, read_exactly
from .dataset import scale_bytes

# Type codes of "The IDX file format", http://yann.lecun.com/exdb/mnist/; all numbers are big-endian.
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 8
_GZIP_MAGIC = b"\x1f\x8b"
# Deflate's best case is 258 bytes for a 1-bit length and a 1-bit distance.
_DEFLATE_MAX_RATIO = 258 * 4
_CHUNK = 1 << 20

FOLDER_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

Arrays = tuple[np.ndarray, np.ndarray]


def read_idx(path: PathType, *, max_bytes: int = 1 << 31) -> np.ndarray:
    """Read one IDX file, gzipped or not (told by its first bytes), of any of its six number types.

    Gives an array of the announced shape and type in native byte order.
    FormatError: not a regular file, unknown type code, a dimension of 0, more than `max_bytes` of data, data
    shorter or longer than announced, broken gzip. Offsets in errors count unpacked bytes.
    """
    with open_regular(path) as (file, size):
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not packed:
            return _read_array(file, path, size, max_bytes, packed=False)
        try:
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                return _read_array(unpacked, path, size, max_bytes, packed=True)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise FormatError(path, None, f"broken gzip data ({error})", "a whole gzip file") from error


def load_idx_folder(path: PathType, *, as_bytes: bool = False) -> tuple[Arrays, Arrays]:
    """Load the four files of MNIST or Fashion-MNIST from a folder: `((x_train, y_train), (x_test, y_test))`.

    The names are train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte, with or without .gz (also spelt train-images.idx3-ubyte). x is float32 (N, 1, H,
    W) scaled to 0..1, or uint8 with `as_bytes`; y is int64 (N,). A missing file is a FileNotFoundError; files
    that do not fit together are FormatErrors.
    """
    folder = Path(os.fsdecode(path))
    train_x, train_y, test_x, test_y = (_find(folder, name) for name in FOLDER_NAMES)
    train = _read_pair(train_x, train_y)
    test = _read_pair(test_x, test_y)
    if train[0].shape[1:] != test[0].shape[1:]:
        found, expected = (f"pictures of {x.shape[2]}x{x.shape[3]}" for x in (test[0], train[0]))
        raise FormatError(test_x, 8, found, f"{expected} as in the training part")
    if as_bytes:
        return train, test
    return (scale_bytes(train[0]), train[1]), (scale_bytes(test[0]), test[1])


def has_idx_files(folder: Path) -> bool:
    """Whether any of the four standard files is there."""
    return any(candidate.exists() for name in FOLDER_NAMES for candidate in _candidates(folder, name))


def _read_array(file: BinaryIO, path: PathType, size: int, max_bytes: int, *, packed: bool) -> np.ndarray:
    """The array in `file`, whose size on disk is `size`; all of the header is checked first."""
    magic = read_exactly(file, path, 0, 4)
    if magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise FormatError(path, 0, f"magic number 0x{magic.hex()}", "0x0000, an IDX type code, and a dimension count")
    if not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise FormatError(path, 3, f"{magic[3]} dimensions", f"1 to {_MAX_DIMENSIONS}")
    header = 4 + 4 * magic[3]
    shape = tuple(np.frombuffer(read_exactly(file, path, 4, header - 4), ">u4").tolist())
    if 0 in shape:
        raise FormatError(path, 4 + 4 * shape.index(0), "a dimension of 0", "at least 1")
    dtype = np.dtype(_DTYPES[magic[2]])
    length = math.prod(shape) * dtype.itemsize
    if length > max_bytes:
        raise FormatError(path, 4, f"shape {shape}, {length} bytes of data", f"at most {max_bytes} bytes")
    if not packed and header + length != size:
        raise FormatError(path, 4, f"shape {shape} in a file of {size} bytes", f"{header + length} bytes")
    if packed and header + length > _DEFLATE_MAX_RATIO * size:
        possible = f"at most {_DEFLATE_MAX_RATIO * size} bytes, all that {size} gzipped bytes can hold"
        raise FormatError(path, 4, f"shape {shape}, {header + length} bytes", possible)
    data = _read_data(file, path, header, length)
    return data.view(dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def _read_data(file: BinaryIO, path: PathType, offset: int, length: int) -> np.ndarray:
    """`length` bytes, then the end of the file. In pieces: only data that really arrives touches memory."""
    data = np.empty(length, np.uint8)
    view, done = memoryview(data), 0
    while done < length:
        got = file.readinto(view[done : done + _CHUNK])
        if not got:
            raise FormatError(path, offset + done, "the end of the data", f"{length - done} more bytes")
        done += got
    if file.read(1):
        raise FormatError(path, offset + length, "more data than the header announces", "the end of the file")
    return data


def _candidates(folder: Path, name: str) -> tuple[Path, ...]:
    dotted = name.replace("-idx", ".idx")
    return tuple(folder / f"{stem}{suffix}" for stem in (name, dotted) for suffix in ("", ".gz"))


def _find(folder: Path, name: str) -> Path:
    for candidate in _candidates(folder, name):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        errno.ENOENT, f"No such file, with or without .gz (one of {FOLDER_NAMES})", str(folder / name)
    )


def _read_pair(images: Path, labels: Path) -> Arrays:
    """uint8 (N, 1, H, W) and int64 (N,) from a file of pictures and one of labels."""
    x, y = read_idx(images), read_idx(labels)
    for path, part, ndim, what in ((images, x, 3, "pictures"), (labels, y, 1, "labels")):
        if part.dtype != np.uint8 or part.ndim != ndim:
            raise FormatError(path, 0, f"{part.dtype} with {part.ndim} dimensions", f"{what}: uint8 with {ndim}")
    if len(x) != len(y):
        raise FormatError(labels, 4, f"{len(y)} labels", f"{len(x)}, one for each picture of {images.name}")
    return x[:, None], y.astype(np.int64)
