"""Replaces a file so that a crash at any moment leaves the old content or the new one, whole.
It must never write into the file itself, nor leave its temporary file behind."""

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress

from .files import PathType

Piece = bytes | bytearray | memoryview


class FileLayer:
    """The calls to the system that a write makes, in one place, so that tests can let the n-th fail."""

    def create(self, path: str) -> int:
        """Open a file that must not exist yet for writing."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        return os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o666)

    def write(self, descriptor: int, piece: Piece) -> None:
        """Write all of `piece`."""
        view = memoryview(piece).cast("B")
        while view:
            view = view[os.write(descriptor, view) :]

    def set_mode(self, descriptor: int, mode: int) -> None:
        """Give the file the permissions of the one that it will replace."""
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)

    def sync(self, descriptor: int) -> None:
        """Wait until the content is on the disk, on macOS also past the disk's own cache."""
        try:
            import fcntl

            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except (ImportError, AttributeError, OSError):
            os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def replace(self, source: str, target: str) -> None:
        os.replace(source, target)

    def sync_folder(self, path: str) -> None:
        """Make a change of names in the folder durable, where the system can."""
        if os.name != "posix":
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: str) -> None:
        os.unlink(path)


FILES = FileLayer()


def write_atomically(path: PathType, pieces: Iterable[Piece], files: FileLayer | None = None) -> None:
    """Replace (or create) the file `path` by `pieces` one after the other.

    The temporary file lies in the same folder; its content is on the disk before it takes the name. An
    existing file passes its permissions on, and a symbolic link is followed. OSError as the system gives it;
    then the old file is untouched. A folder as `path` is an IsADirectoryError.
    """
    files = FILES if files is None else files
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    mode = _mode_of(target)
    temporary = os.path.join(folder, f".{os.path.basename(target)[:100]}.tmp-{os.getpid()}-{secrets.token_hex(8)}")
    try:
        descriptor = files.create(temporary)
        try:
            if mode is not None:
                files.set_mode(descriptor, mode)
            for piece in pieces:
                files.write(descriptor, piece)
            files.sync(descriptor)
        finally:
            files.close(descriptor)
        files.replace(temporary, target)
    except FileExistsError:
        raise  # the temporary file is somebody else's
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            files.remove(temporary)
        raise
    files.sync_folder(folder)


def _mode_of(target: str) -> int | None:
    """The permissions of the file to replace, None if there is none."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        kind = IsADirectoryError if stat.S_ISDIR(status.st_mode) else OSError
        raise kind(f"{target} is not a regular file, so it cannot be replaced")
    return stat.S_IMODE(status.st_mode)
