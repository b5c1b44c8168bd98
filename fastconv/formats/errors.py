"""The one exception that readers of files raise for a file that is not what it should be.
It must never import anything of the package: every reader depends on it."""

import os


class FormatError(ValueError):
    """A file is malformed: cut short, corrupt, of another format, or over a stated limit.

    `path` is the file, `where` the place in it (an int is an offset in bytes, counted in the unpacked data of
    a compressed file; text such as "line 3" is taken as it is; None is the file as a whole), `found` what is
    there, `expected` what should be. A file that is missing or may not be read raises the OSError of `open`.
    """

    def __init__(self, path: str | bytes | os.PathLike, where: int | str | None, found: str, expected: str) -> None:
        self.path = os.fsdecode(path)
        self.where = where
        self.found = found
        self.expected = expected
        super().__init__(self.path, where, found, expected)  # all four, so that the error can be pickled

    def __str__(self) -> str:
        place = f"byte {self.where}" if isinstance(self.where, int) else self.where
        prefix = self.path if place is None else f"{self.path}, {place}"
        return f"{prefix}: found {self.found}, expected {self.expected}"
