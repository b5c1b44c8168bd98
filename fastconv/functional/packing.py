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

    def __init__(self, source: np.ndarray, packed: np.ndarray, form: str, groups: int):
        self.source = source
        self.packed = packed
        self.form = form
        self.groups = groups
        # Some paths read the plain values too; a snapshot, so that a later change of the source cannot mix in.
        self.values = source.copy() if self.algorithm == "winograd" or groups > 1 else source

    @property
    def algorithm(self) -> str:
        return self.form.split()[0]

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
        return _packed, (self.values, self.form, self.groups)

    def __repr__(self) -> str:
        details = f"shape={self.shape}, dtype={self.dtype}, form={self.form!r}, groups={self.groups}"
        return f"PackedWeight({details})"


def _packed(weight: np.ndarray, form: str, groups: int) -> PackedWeight:
    """Depends on the form and the weight alone, so that any input the algorithm can do will fit it."""
    x_shape = (1, weight.shape[1] * groups, *weight.shape[2:])
    geometry = _geometry.conv("pack", x_shape, weight.shape, 1, 0, 1, groups, "NCHW", form)
    packed = empty((_kernels.conv_packed_size(geometry.fields, weight.dtype.itemsize),), weight.dtype)
    _kernels.conv_pack(geometry.fields, weight, packed)
    return PackedWeight(weight, packed, form, groups)


def pack(
    weight: np.ndarray,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    input_shape: tuple[int, ...] | None = None,
    layout: str = "NCHW",
    algorithm: str = "auto",
) -> PackedWeight:
    """Prepare a weight (K, C / groups, *kernel) once for many calls of convNd, which takes it in place of the array.

    The other arguments are those of the calls to come; with `input_shape` the algorithm is the one for that shape,
    without it the one for a large input. For "winograd" the weight is kept transformed, 1.4 to 4 times its size, and
    a transform that is paid once is chosen more often. The weight's values are taken now: pack again after changing
    them.
    ValueError where the weight does not fit the other arguments."""
    weight = check.array("pack", "weight", weight)
    if weight.ndim not in (3, 4, 5):
        check.reject("pack", f"weight has {weight.ndim} dimensions; expected (K, C / groups, *kernel)")
    check.choice("pack", "layout", layout, LAYOUTS)
    check.choice("pack", "algorithm", algorithm, _geometry.ALGORITHMS)
    groups = check.size("pack", "groups", groups, 1)
    check.no_empty_axis("pack", "weight", weight.shape, 0)
    if input_shape is None:
        kernel = np.array(weight.shape[2:]) * np.array(check.sizes("pack", "dilation", dilation, weight.ndim - 2, 1))
        shape = _geometry.arranged(1, weight.shape[1] * groups, tuple(int(k) + 64 for k in kernel), layout)
    else:
        shape = check.shape("pack", "input_shape", input_shape, weight.ndim)
    geometry = _geometry.conv("pack", shape, weight.shape, stride, padding, dilation, groups, layout, algorithm)
    return _packed(weight, chosen_form("pack", geometry, weight.dtype, packed=True), groups)


def chosen_form(op: str, geometry: _geometry.Conv, dtype: np.dtype, *, packed: bool) -> str:
    """The form of a weight, to be packed or not, that a convolution of this geometry runs with; ValueError where the
    algorithm asked for is impossible."""
    chosen = _geometry.FORMS[_kernels.conv_algorithm(geometry.fields, dtype.itemsize, packed)]
    if _geometry.FORMS[geometry.fields[-1]].startswith("winograd") and chosen == "direct":
        needs = "needs a 2-d 3x3 kernel of stride 1, or 2 without dilation, or a 5x5 one of stride 1, and layout 'NCHW'"
        check.reject(op, f"algorithm 'winograd' (asked for, or chosen by pack for its arguments) {needs}")
    return chosen
