"""Reads a file, or a part of it in memory, from front to back without ever asking for more than there is.
It must never allocate by a length that a file states before comparing it with what is left."""

from typing import BinaryIO

from .errors import FormatError
from .files import PathType


class BoundedReader:
    """Reads a file or a part of it, counting; `place` describes an offset in error messages."""

    def __init__(self, file: BinaryIO, path: PathType, size: int, place: str = "") -> None:
        self.file, self.path, self.size, self.position, self._place = file, path, size, 0, place

    def where(self, position: int | None = None) -> int | str:
        position = self.position if position is None else position
        return f"{self._place} byte {position}" if self._place else position

    def take(self, length: int) -> bytearray:
        """The next `length` bytes; FormatError, before anything is allocated, if there are fewer."""
        self.require(length)
        data = bytearray(length)
        if self.file.readinto(data) != length:
            raise FormatError(self.path, self.where(), "the end of the file", f"{length} bytes (did it change?)")
        self.position += length
        return data

    def require(self, length: int) -> None:
        """FormatError if there are fewer than `length` bytes."""
        if length > self.size - self.position:
            found = f"{self.size - self.position} more bytes"
            raise FormatError(self.path, self.where(), found, f"{length}")
