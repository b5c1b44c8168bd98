"""Weights prepared once for many calls: an explicit object, never a hidden cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _geometry, _kernels
from fastconv import _validate as check
from fastconv._memory import empty

LAYOUTS = ("NCHW", "NHWC")


class PackedWeight:
    """A weight in the order the kernels read it, made by `pack`. It keeps the array it was made from as `source` and
    does not follow later changes of that array."""

    def __init__(self, source: np.ndarray, packed: np.ndarray, groups: int):
        self.source = source
        self.packed = packed
        self.groups = groups

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    @property
    def ndim(self) -> int:
        return self.source.ndim

    def __reduce__(self):
        return _packed, (self.source, self.groups)

    def __repr__(self) -> str:
        return f"PackedWeight(shape={self.shape}, dtype={self.dtype}, groups={self.groups})"


def _packed(weight: np.ndarray, groups: int) -> PackedWeight:
    geometry = _geometry.conv(
        "pack", (1, weight.shape[1] * groups, *weight.shape[2:]), weight.shape, 1, 0, 1, groups, "NCHW"
    )
    packed = empty((_kernels.conv_packed_size(geometry.fields, weight.dtype.itemsize),), weight.dtype)
    _kernels.conv_pack(geometry.fields, weight, packed)
    return PackedWeight(weight, packed, groups)


def pack(
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    input_shape: tuple[int, ...] | None = None,
    layout: str = "NCHW",
) -> PackedWeight:
    """Prepare a weight (K, C / groups, *kernel) once for many calls of convNd, which takes it in place of the array.

    The other arguments are those of the calls to come; `input_shape`, where known, is checked against the weight. The
    weight's values are taken now: pack again after changing them."""
    weight = check.array("pack", "weight", weight)
    if weight.ndim not in (3, 4, 5):
        check.reject("pack", f"weight has {weight.ndim} dimensions; expected (K, C / groups, *kernel)")
    check.choice("pack", "layout", layout, LAYOUTS)
    groups = check.size("pack", "groups", groups, 1)
    check.no_empty_axis("pack", "weight", weight.shape, 0)
    if weight.shape[0] % groups:
        check.reject("pack", f"groups {groups} does not divide the {weight.shape[0]} output channels")
    if input_shape is not None:
        shape = check.shape("pack", "input_shape", input_shape, weight.ndim)
        _geometry.conv("pack", shape, weight.shape, stride, padding, dilation, groups, layout)
    return _packed(weight, groups)
