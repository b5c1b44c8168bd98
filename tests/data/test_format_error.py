"""FormatError and the opening of files: what every reader relies on."""

import os
import pickle
import socket
from pathlib import Path

import pytest

from fastconv.formats import FormatError
from fastconv.formats.files import open_regular, read_exactly, read_text


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (12, "a/b.bin, byte 12: found 3, expected 4"),
        ("line 7", "a/b.bin, line 7: found 3, expected 4"),
        (None, "a/b.bin: found 3, expected 4"),
    ],
)
def test_message(where, text):
    error = FormatError(Path("a/b.bin"), where, "3", "4")
    assert str(error) == text
    assert isinstance(error, ValueError)
    assert (error.path, error.where, error.found, error.expected) == ("a/b.bin", where, "3", "4")


def test_survives_pickling():
    error = FormatError(b"x", 1, "found", "expected")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FormatError
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_opens_a_file_with_its_size(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    for form in (path, str(path), os.fsencode(path)):
        with open_regular(form) as (file, size):
            assert size == 5
            assert file.read() == b"12345"
    assert file.closed


def test_missing_and_forbidden_are_os_errors(tmp_path):
    for missing in (tmp_path / "none", ""):
        with pytest.raises(FileNotFoundError), open_regular(missing):
            pass
    with pytest.raises(NotADirectoryError), open_regular(__file__ + "/x"):
        pass


def test_descriptor_is_not_a_path():
    with pytest.raises(TypeError), open_regular(0):
        pass


def test_only_regular_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)  # the name of a socket must be short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    cases = {tmp_path: "a directory", tmp_path / "pipe": "a named pipe", tmp_path / "socket": "a socket"}
    for path, kind in {**cases, "/dev/zero": "a character device"}.items():
        with pytest.raises(FormatError) as caught, open_regular(path):
            pass
        assert (caught.value.found, caught.value.expected) == (kind, "a regular file")


def test_read_exactly_says_where_it_ends(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    with open_regular(path) as (file, _):
        assert read_exactly(file, path, 0, 3) == b"123"
        with pytest.raises(FormatError, match=r"byte 5: found the end of the file, expected 2 more bytes"):
            read_exactly(file, path, 3, 4)


def test_read_text(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"\xef\xbb\xbfh\xc3\xa9")
    assert read_text(path, 6) == "h\u00e9"
    with pytest.raises(FormatError, match="found 6 bytes, expected at most 5"):
        read_text(path, 5)
    path.write_bytes(b"ab\xff")
    with pytest.raises(FormatError, match=r"byte 2: found byte 0xff, expected UTF-8"):
        read_text(path, 10)
