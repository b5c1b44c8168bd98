"""Opens files for the readers: regular files only, sizes from the open file, bounded reads.
It must never map a file into memory: one that shrinks under a map kills the process."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from .errors import FormatError

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)

PathType = str | bytes | os.PathLike


@contextmanager
def open_regular(path: PathType) -> Iterator[tuple[BinaryIO, int]]:
    """Open `path` for reading and give `(file, size in bytes)`.

    A directory, pipe, socket or device is a FormatError and is never opened; OSError as `open` raises it; a
    number is a TypeError (an open descriptor is not a path).
    """
    path = os.fspath(path)
    _require_regular(path, os.stat(path).st_mode)
    # Between stat and open the name may come to mean a pipe: non-blocking so that opening it cannot hang.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        _require_regular(path, status.st_mode)
        yield file, status.st_size


def read_exactly(file: BinaryIO, path: PathType, offset: int, length: int) -> bytes:
    """Read `length` bytes at the file's position, which is `offset`; FormatError where it ends before.

    For short pieces whose length the caller has bounded: it allocates `length` bytes.
    """
    data = file.read(length)
    if len(data) != length:
        raise FormatError(path, offset + len(data), "the end of the file", f"{length - len(data)} more bytes")
    return data


def read_text(path: PathType, max_bytes: int) -> str:
    """Read a small UTF-8 text file; FormatError where it is longer than `max_bytes` or not UTF-8."""
    with open_regular(path) as (file, size):
        if size > max_bytes:
            raise FormatError(path, None, f"{size} bytes", f"at most {max_bytes}")
        data = file.read(max_bytes)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(path, error.start, f"byte 0x{data[error.start]:02x}", "UTF-8 text") from None


def _require_regular(path: str | bytes, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "a special file")
        raise FormatError(path, None, kind, "a regular file")
