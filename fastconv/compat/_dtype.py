"""The dtype that operands of a foreign net are brought to before fastconv sees them.
It must never change a dtype that fastconv computes in when all operands have it."""

from typing import Any

import numpy as np


def floats(*operands: Any) -> list[np.ndarray]:
    """The operands as arrays of one dtype: float32 where NumPy's promotion with float32 gives that, float64 otherwise
    (integers of 32 bits and more, mixtures, long doubles). TypeError for complex numbers and what is no number."""
    arrays = [np.asarray(operand) for operand in operands]
    dtype = np.result_type(np.float32, *(array.dtype for array in arrays))
    if dtype.kind != "f":
        given = ", ".join(str(array.dtype) for array in arrays)
        raise TypeError(f"expected real numbers, got {given}")
    return [array.astype(np.float32 if dtype == np.float32 else np.float64, copy=False) for array in arrays]
