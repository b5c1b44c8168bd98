"""A planned network as a program of kernel calls: the door through which fastconv.inference reaches the kernels.
It must judge nothing: what it is given was planned from geometries that validation has made."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv import _geometry, _kernels, _pool_geometry
from fastconv import _validate as check
from fastconv._memory import empty

POINTWISE = _kernels.POINTWISE
ACTIVATIONS = {"": 0, "relu": 1, "leaky_relu": 2, "relu6": 3}
"""In the order of enum fc_activation of src_c/fastconv.h."""

_PACKED_FAR = 2  # of enum fc_weight of src_c/fastconv.h

Program = _kernels.Program
Arena = _kernels.Memory
conv_geometry = _geometry.conv
pool_geometry = _pool_geometry.pool
array = check.array
new_array = empty
reject = check.reject
size = check.size


class Place(NamedTuple):
    """Where an operand lies: the number of an array (-1: none), elements from its start to the first image, and from
    one image to the next."""

    array: int
    offset: int
    image: int


NOWHERE = Place(-1, 0, 0)


PLACES = ("x", "y", "weight", "packed", "bias", "add", "entry", "first")
"""In the order of fc_places of src_c/program.h."""


class Step(NamedTuple):
    """One call of a kernel; `sizes` are the members of its geometry (src_c/program.h), of an expand a pair of them."""

    op: str
    places: dict[str, Place]
    sizes: tuple[Any, ...]
    activation: str = ""
    numbers: tuple[float, ...] = ()
    first_activation: str = ""

    def packed(self) -> tuple:
        """What the binding takes."""
        places = (self.places.get(name, NOWHERE) for name in PLACES)
        geometry = self.op in ("conv", "expand", "max_pool", "avg_pool")
        sizes = self.sizes if geometry else (*self.sizes, 0, 0, 0, 0, 0)[:5]
        activations = ACTIVATIONS[self.activation], ACTIVATIONS[self.first_activation]
        numbers = (*self.numbers, 0.0, 0.0, 0.0)[:3]
        flat = tuple(number for place in places for number in place)
        return _kernels.STEPS[self.op], *activations, numbers, flat, sizes


class Weights(NamedTuple):
    """The form in which a convolution's weight is kept, and the members of the geometry that says it."""

    plain: np.ndarray | None
    packed: np.ndarray | None
    form: str
    fields: tuple[int, ...]


def expands(first: Any, second: Any, itemsize: int) -> bool:
    """Whether the second convolution, depthwise, can take over the first's channels one by one, and gains by it."""
    return _kernels.conv_expands(first.fields, second.fields, itemsize)


def prepared(geometry: Any, weight: np.ndarray) -> Weights:
    """The weight as the kernels read it for this geometry: as it is where it is depthwise, else packed. Transformed, it
    keeps the plain values too, for images that are not finite."""
    fields, dtype = geometry.fields, weight.dtype
    algorithm = _kernels.conv_algorithm(fields, dtype.itemsize, _PACKED_FAR)
    form, fields = _geometry.FORMS[algorithm], (*fields[:-1], algorithm)
    size = _kernels.conv_packed_size(fields, dtype.itemsize)
    if size == 0:
        return Weights(weight, None, form, fields)
    packed = empty((size,), dtype)
    _kernels.conv_pack(fields, weight, packed)
    transformed = form.startswith("winograd") and not form.endswith("few tiles")
    return Weights(weight if transformed else None, packed, form, fields)
