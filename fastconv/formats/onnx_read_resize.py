"""ONNX's Resize and Upsample: as Upsample layers where they enlarge pictures by whole factors, else as Resize layers.
Which pixel each result comes from is computed by ONNX's formulas and compared, not assumed of a mode's name."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import layers as L
from ..layers.resize import MODES, POSITIONS, ROUNDINGS
from .onnx_read_graph import Shape
from .onnx_read_node import At

_CENTRED = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
_LARGEST = 64
_POLICIES = ("stretch", "not_larger", "not_smaller")


@dataclass
class _Target:
    """What becomes of the axes of x: how many times as large, or how many elements, by axis; and parts to crop."""

    scales: dict[int, float] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    region: dict[int, tuple[float, float]] = field(default_factory=dict)

    def changed(self) -> list[int]:
        scaled = (axis for axis, scale in self.scales.items() if scale != 1)
        return sorted({*scaled, *self.sizes, *self.region})


def upsample(at: At) -> None:
    """Opset 7 to 9."""
    scales = at.reals("scales") if at.opset < 9 else tuple(at.constant(1, "scales").reshape(-1).tolist())
    _former(at, scales or ())


def resize(at: At) -> None:
    if at.opset < 11:
        _former(at, tuple(at.constant(1, "scales").reshape(-1).tolist()))
        return
    mode = at.word("mode", "nearest", MODES)
    how = {
        "coordinates": at.word("coordinate_transformation_mode", "half_pixel", POSITIONS),
        "rounding": at.word("nearest_mode", "round_prefer_floor", ROUNDINGS),
        "cubic_coeff_a": at.real("cubic_coeff_a", -0.75),
        "exclude_outside": bool(at.whole("exclude_outside", 0)),
        "antialias": bool(at.whole("antialias", 0)),
        "outside": at.real("extrapolation_value", 0.0),
    }
    if how["antialias"] and mode == "nearest":
        raise at.refuse("antialias=1 and mode 'nearest'", "linear or cubic")
    _resample(at, _target(at, how["coordinates"] == "tf_crop_and_resize"), mode, how)


def _former(at: At, scales: tuple[float, ...]) -> None:
    """Before opset 11, which left open how x is sampled: as ONNX Runtime does, at its elements i / scale."""
    mode = at.word("mode", "nearest", ("nearest", "linear", "bilinear"))
    if min(scales, default=1) < 1 < max(scales, default=1):
        raise at.refuse(f"scales {scales}", "scales all of at least 1 or all of at most 1")
    rounding = "ceil" if min(scales, default=1) < 1 else "floor"
    target = _Target(scales=_by_axis(at, tuple(range(len(at.known_shape()))), scales, "scales"))
    _resample(at, target, mode.removeprefix("bi"), {"coordinates": "asymmetric", "rounding": rounding})


def _by_axis(at: At, axes: tuple[int, ...], values: tuple, what: str) -> dict[int, Any]:
    if len(values) != len(axes):
        raise at.refuse(f"{what} {values}", f"{len(axes)} of them")
    return dict(zip(axes, values, strict=True))


def _target(at: At, cropped: bool) -> _Target:
    shape = at.known_shape()
    rank = len(shape)
    axes = at.wholes("axes", tuple(range(rank)))
    policy = at.word("keep_aspect_ratio_policy", "stretch", _POLICIES)
    if any(not -rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) != len(axes):
        raise at.refuse(f"axes {axes}", f"axes of {rank} dimensions")
    axes = tuple(axis % rank for axis in axes)
    target = _Target()
    if cropped:
        bounds = at.constant(1, "roi").reshape(-1).tolist()
        pairs = tuple(zip(bounds[: len(axes)], bounds[len(axes) :], strict=True))
        target.region = {a: pair for a, pair in _by_axis(at, axes, pairs, "roi").items() if pair != (0, 1)}
    scales = at.constant(2, "scales").reshape(-1).tolist() if at.has(2) else []
    if scales and not at.has(3):
        target.scales = _by_axis(at, axes, tuple(scales), "scales")
        return target
    sizes = _sizes(at, axes)
    if policy != "stretch":
        if any(shape[axis] is None for axis in sizes):
            raise at.refuse(f"x of unknown size {shape}", f"sizes that are known, for {policy}")
        ratios = [size / shape[axis] for axis, size in sizes.items()]
        scale = min(ratios) if policy == "not_larger" else max(ratios)
        target.scales = dict.fromkeys(sizes, scale)
        sizes = {axis: int(scale * shape[axis] + 0.5) for axis in sizes}
    # A batch that was traced as a number stays that of x, and so does what keeps its size.
    target.sizes = {a: size for a, size in sizes.items() if size != shape[a] and not (a == 0 and shape[0] is None)}
    return target


def _sizes(at: At, axes: tuple[int, ...]) -> dict[int, int]:
    """The sizes asked for; where these depend on the batch, those that onnx inferred."""
    if at.is_constant(3):
        return _by_axis(at, axes, at.whole_numbers(3, "sizes") or (), "sizes")
    found = at.wiring.shapes.get(at.node.output[0]) or ()
    if len(found) != len(at.known_shape()) or any(found[a] is None and a > 1 for a in axes):
        raise at.refuse(f"sizes {found}", "sizes that are known")
    return {axis: found[axis] for axis in axes if found[axis] is not None}


def _resample(at: At, target: _Target, mode: str, how: dict[str, Any]) -> None:
    changed = target.changed()
    if not changed:
        at.pass_on()
        return
    shape = at.known_shape()
    factors = _factors(shape, target)
    if factors is not None and mode == "nearest" and all(_repeats(factor, how) for factor in factors):
        at.add(L.Upsample(scale_factor=factors), at.x())
        return
    if factors is not None and mode == "linear" and how["coordinates"] in _CENTRED:
        at.add(L.Upsample(scale_factor=factors, mode="bilinear"), at.x())
        return
    axes = range(changed[0], len(shape))
    settings: dict[str, Any] = {"mode": mode, **how}
    if target.sizes or not target.scales:
        settings["size"] = tuple(target.sizes.get(axis) for axis in axes)
    if target.scales:
        settings["scale_factor"] = tuple(target.scales.get(axis, 1.0) for axis in axes)
    if how["coordinates"] == "tf_crop_and_resize":
        settings["region"] = tuple(target.region.get(axis, (0.0, 1.0)) for axis in axes)
    at.add(L.Resize(**settings), at.x())


def _factors(shape: Shape, target: _Target) -> tuple[int, int] | None:
    """The whole factors by which pictures get larger, None where it is anything else that is asked for."""
    if len(shape) != 4 or target.region or not set(target.changed()) <= {2, 3} or (target.sizes and target.scales):
        return None
    factors = [target.scales.get(axis, 1.0) for axis in (2, 3)]
    for axis, size in target.sizes.items():
        if shape[axis] is None:
            return None
        factors[axis - 2] = size / shape[axis]
    return tuple(map(int, factors)) if all(f >= 1 and f == int(f) for f in factors) else None


def _repeats(factor: int, how: dict[str, Any]) -> bool:
    """Whether every pixel is repeated `factor` times, for several sizes of x; not looked at for factors that no network
    has."""
    if factor > _LARGEST:
        return False
    for size in (1, 2, 3, 7):
        i = np.arange(size * factor, dtype=np.float32)
        at = POSITIONS[how["coordinates"]](i, size, len(i), np.float32(factor), (0.0, 1.0))
        if not np.array_equal(ROUNDINGS[how["rounding"]](at).clip(0, size - 1), np.arange(len(i)) // factor):
            return False
    return True
