"""The tensors of an ONNX file as arrays, and where they lie in other files of its folder.
It must never look at a size that is stated before it is compared with the bytes that are there."""

import errno
import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from .errors import FormatError
from .files import PathType, open_regular, read_exactly

# Where a tensor may hold its numbers.
_FIELDS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
# What is left in the graph for onnx to check and infer by: constants that say shapes.
_SMALL_BYTES = 4096


class Tensors:
    """The initializers by name; of each the array is made when it is asked for."""

    def __init__(self, onnx: Any, path: PathType, initializers: Iterable[Any], external_data: bool) -> None:
        self._onnx, self.path, self._external = onnx, path, external_data
        kinds = onnx.TensorProto
        self._floats = {kinds.FLOAT: np.dtype(np.float32), kinds.DOUBLE: np.dtype(np.float64)}
        self._kinds = {
            **self._floats,
            kinds.FLOAT16: np.dtype(np.float16),
            kinds.INT64: np.dtype(np.int64),
            kinds.INT32: np.dtype(np.int32),
            kinds.UINT8: np.dtype(np.uint8),
            kinds.INT8: np.dtype(np.int8),
            kinds.BOOL: np.dtype(np.bool_),
        }
        self._typed = {kinds.FLOAT: "float_data", kinds.DOUBLE: "double_data", kinds.INT64: "int64_data"}
        self.protos: dict[str, Any] = {}
        for tensor in initializers:
            if not tensor.name or tensor.name in self.protos:
                raise FormatError(path, f"initializer {tensor.name!r}", "a name twice or none", "a name of its own")
            self.require_sound(tensor, f"initializer {tensor.name!r}")
            self.protos[tensor.name] = tensor

    def float_dtype(self, kind: int) -> np.dtype | None:
        """float32 or float64 for that number of onnx's, else None."""
        return self._floats.get(kind)

    def require_sound(self, tensor: Any, where: str) -> None:
        """FormatError unless the tensor has a dtype that is read here and as many bytes as its shape says."""
        dtype = self._kinds.get(tensor.data_type)
        if dtype is None:
            raise FormatError(self.path, where, f"data type {tensor.data_type}", "float16/32/64, integers or bool")
        if any(size < 0 for size in tensor.dims) or tensor.HasField("segment"):
            raise FormatError(self.path, where, f"shape {list(tensor.dims)}", "sizes of at least 0, not in segments")
        given = [field.name for field, _ in tensor.ListFields() if field.name in _FIELDS]
        if len(given) + self._is_external(tensor) > 1:
            places = given + ["another file"] * self._is_external(tensor)
            raise FormatError(self.path, where, f"data in {' and '.join(places)}", "data in one of them")
        if self._is_external(tensor):
            if not self._external:
                what = "sure that the file may have others of its folder read: external_data=True"
                raise FormatError(self.path, where, "weights in another file", what)
            return
        count = math.prod(tensor.dims)
        if tensor.HasField("raw_data"):
            found, wanted, what = len(tensor.raw_data), count * dtype.itemsize, "bytes"
        else:
            field = self._typed.get(tensor.data_type, "int32_data")
            found, wanted, what = len(getattr(tensor, field)), count, "numbers"
        if found != wanted:
            raise FormatError(self.path, where, f"{found:,} {what}", f"{wanted:,}, for shape {list(tensor.dims)}")

    def is_small(self, name: str) -> bool:
        """Whether onnx may have it for its checks."""
        tensor = self.protos[name]
        return not self._is_external(tensor) and tensor.ByteSize() <= _SMALL_BYTES

    def array(self, tensor: Any, where: str) -> np.ndarray:
        """A new array, of float16 as float32."""
        if self._is_external(tensor):
            array = self._read_external(tensor, where)
        else:
            array = np.array(self._onnx.numpy_helper.to_array(tensor), order="C")
        return array.astype(np.float32) if array.dtype == np.float16 else array

    def _is_external(self, tensor: Any) -> bool:
        return tensor.data_location == self._onnx.TensorProto.EXTERNAL

    def _read_external(self, tensor: Any, where: str) -> np.ndarray:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        dtype, shape = self._kinds[tensor.data_type], tuple(tensor.dims)
        length = math.prod(shape) * dtype.itemsize
        place = self._contained(entries.get("location", ""), where)
        try:
            offset, stated = int(entries.get("offset", "0")), int(entries.get("length", str(length)))
        except ValueError:
            raise FormatError(self.path, where, f"external data {entries}", "offset and length in bytes") from None
        with open_regular(place) as (file, size):
            if os.fstat(file.fileno()).st_nlink > 1:  # it may be a name of a file that lies elsewhere
                what = "a file in the folder of this one, and nowhere else"
                raise FormatError(self.path, where, f"external data in {os.path.basename(place)!r}, a hard link", what)
            if offset < 0 or stated != length or offset + length > size:
                found = f"{stated:,} bytes from {offset:,} on of {size:,}"
                raise FormatError(self.path, where, found, f"{length:,} bytes that are in {os.path.basename(place)!r}")
            file.seek(offset)
            data = read_exactly(file, place, offset, length)
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)

    def _contained(self, location: str, where: str) -> str:
        """The file of that name inside the model's folder, whatever links say."""
        if not location or "\0" in location or os.path.isabs(location):
            raise FormatError(self.path, where, f"external data in {location!r}", "a file in the folder of this one")
        folder = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(self.path))))
        place = os.path.realpath(os.path.join(folder, location))
        if os.path.commonpath([folder, place]) != folder or place == folder or not _may_be_there(place):
            found = f"external data in {location[:200]!r}"
            raise FormatError(self.path, where, found, "a file in the folder of this one")
        return place


def _may_be_there(path: str) -> bool:
    """Whether a file can have that name: a missing one, or one that may not be read, is for `open` to say."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno not in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP)
    return True
