"""Weights by name from any file that holds them: safetensors, and PyTorch's .pth in both containers.
What a file is tells its content, never its name; nothing that a file says is ever run."""

import numpy as np

from .errors import FormatError
from .files import PathType, open_regular
from .pth import START, is_pth, read_pth
from .tensors import READ_DTYPES, read_tensors

_STRANGERS = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x80", "a pickle"),
    (b"\x08", "perhaps an ONNX model"),
)


def read_weights(path: PathType) -> dict[str, np.ndarray]:
    """{name: new array} of a .safetensors, .pth or .pt file, for `model.load_state_dict`.

    float16 and bfloat16 become float32. FormatError for a file that is damaged, of another format, or a PyTorch file
    that holds more than tensors and plain values: such files could run code, and are refused.
    """
    with open_regular(path) as (file, _):
        start = file.read(START)
    if is_pth(start):
        return read_pth(path)
    if start[8:9] != b"{":
        found = next(
            (name for sign, name in _STRANGERS if start.startswith(sign)), f"a file that starts with {start[:8]!r}"
        )
        raise FormatError(path, 0, found, "a .safetensors file, or a .pth that torch.save wrote")
    return read_tensors(path, READ_DTYPES)[0]
