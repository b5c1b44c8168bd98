"""The files of a zip archive that compresses nothing, as PyTorch writes it; every range of bytes is checked.
It must never unpack anything, nor give more bytes in all than the archive has."""

import errno
import struct
import zipfile
import zlib
from typing import BinaryIO, NamedTuple

from .errors import FormatError
from .files import PathType


class _Member(NamedTuple):
    """Where the bytes of a file are, and their checksum (0: none)."""

    start: int
    length: int
    checksum: int


class StoredArchive:
    """Reads files by the names of the archive's directory. FormatError for a damaged or compressed archive, and for
    files that overlap each other."""

    def __init__(self, file: BinaryIO, path: PathType, size: int) -> None:
        self._file, self._path = file, path
        self.names: dict[str, _Member] = {}
        for info in _directory(file, path):
            if info.filename in self.names:
                raise FormatError(path, _place(info.filename), "the same name twice", "it once")
            self.names[info.filename] = self._member(info, size)
        if sum(member.length for member in self.names.values()) > size:
            raise FormatError(path, None, "files in the archive that overlap", "files side by side")

    def _member(self, info: zipfile.ZipInfo, size: int) -> _Member:
        place = _place(info.filename)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise FormatError(self._path, place, "a compressed or encrypted file", "one that is stored as it is")
        header = b""
        if 0 <= info.header_offset <= size - 30:
            self._file.seek(info.header_offset)
            header = self._file.read(30)
        if not header.startswith(b"PK\x03\x04"):
            raise FormatError(self._path, place, "no header where the directory says", "a header")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
        if start + info.file_size > size:
            raise FormatError(self._path, place, f"{info.file_size} bytes from {start} on", f"at most {size} in all")
        return _Member(start, info.file_size, info.CRC)

    def read(self, name: str, length: int | None = None) -> bytearray:
        """All bytes of a file, which must be `length` if that is given."""
        member = self.names.get(name)
        if member is None:
            raise FormatError(self._path, _place(name), "no such file", "it in the archive")
        if length not in (None, member.length):
            raise FormatError(self._path, _place(name), f"{member.length} bytes", f"{length}")
        data = bytearray(member.length)
        self._file.seek(member.start)
        if self._file.readinto(data) != member.length:
            raise FormatError(self._path, _place(name), "the end of the file", f"{member.length} bytes")
        if member.checksum and zlib.crc32(data) != member.checksum:
            raise FormatError(self._path, _place(name), "bytes with another checksum", "those of the directory")
        return data


def _directory(file: BinaryIO, path: PathType) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError) as error:
        raise FormatError(path, None, f"a damaged zip archive ({error})", "an archive of PyTorch") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a seek to before the start: the directory lies about itself
            raise
        raise FormatError(path, None, "a damaged zip archive", "an archive of PyTorch") from None


def _place(name: str) -> str:
    return f"file {name!r}" if len(name) <= 80 else f"file {name[:77]!r}..."
