"""Builds .pth files by hand, valid and hostile, for the tests of the reader. It never runs what it builds."""

import io
import struct
import zipfile

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
MACHINE = b"\x80\x02}X\r\x00\x00\x00little_endian\x88s."


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def sizes(values):
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(key, count, kind="FloatStorage"):
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + integer(count) + b"tQ"


def tensor(key, count, size, stride, offset=0, kind="FloatStorage"):
    """A tensor as _rebuild_tensor_v2 describes it."""
    parts = storage(key, count, kind) + integer(offset) + sizes(size) + sizes(stride) + b"\x89" + b"}"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + parts + b"tR"


def state(**tensors):
    """The pickle of a dict of what `tensor` gives."""
    return b"\x80\x02}" + b"".join(text(key) + value + b"s" for key, value in tensors.items()) + b"."


def archive(pickle, files=None, compression=zipfile.ZIP_STORED, **more):
    """The zip container around a pickle and {key: bytes of the storage}."""
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w", compression) as target:
        target.writestr("model/data.pkl", pickle)
        for key, data in (files or {}).items():
            target.writestr(f"model/data/{key}", data)
        for key, data in more.items():
            target.writestr(f"model/{key}", data)
    return room.getvalue()


def stream(pickle, keys=(), storages=b"", version=b"\x80\x02M\xe9\x03.", machine=MACHINE):
    """The older container: `storages` follow as they are."""
    listed = b"\x80\x02]" + b"".join(text(key) + b"a" for key in keys) + b"."
    return MAGIC + version + machine + pickle + listed + storages
