"""ONNX's Resize and Upsample as Upsample layers, where they enlarge pictures by whole factors.
Which pixel each result comes from is computed by ONNX's formulas and compared, not assumed of a mode's name."""

import math
from collections.abc import Callable

from .. import layers as L
from .onnx_read_node import At

_POSITIONS: dict[str, Callable[[int, int, int], float]] = {
    "half_pixel": lambda i, size, large: (i + 0.5) * size / large - 0.5,
    "pytorch_half_pixel": lambda i, size, large: (i + 0.5) * size / large - 0.5 if large > 1 else 0.0,
    "half_pixel_symmetric": lambda i, size, large: (i + 0.5) * size / large - 0.5,
    "asymmetric": lambda i, size, large: i * size / large,
    "align_corners": lambda i, size, large: i * (size - 1) / (large - 1) if large > 1 else 0.0,
}
_ROUNDINGS: dict[str, Callable[[float], int]] = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def upsample(at: At) -> None:
    """Opset 7 to 9."""
    scales = at.reals("scales") if at.opset < 9 else tuple(at.constant(1, "scales").reshape(-1).tolist())
    mode = at.word("mode", "nearest", ("nearest", "linear", "bilinear"))
    _enlarge(at, _factors(at, scales), mode, "asymmetric", "floor")


def resize(at: At) -> None:
    if at.opset < 11:
        scales = tuple(at.constant(1, "scales").reshape(-1).tolist())
        _enlarge(at, _factors(at, scales), at.word("mode", "nearest"), "asymmetric", "floor")
        return
    if at.wholes("axes") is not None or at.word("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise at.refuse("axes or keep_aspect_ratio_policy", "sizes of all axes, stretched")
    if at.whole("antialias", 0):
        raise at.refuse("antialias=1", "0")
    if at.has(3):
        factors = _from_sizes(at)
    else:
        scales = at.constant(2, "scales").reshape(-1)
        factors = _factors(at, tuple(scales.tolist())) if scales.size else _from_sizes(at)
    # Of the cubic mode and of what crops, which are refused.
    at.pass_over("cubic_coeff_a", "exclude_outside", "extrapolation_value")
    position = at.word("coordinate_transformation_mode", "half_pixel", _POSITIONS)
    rounding = at.word("nearest_mode", "round_prefer_floor", _ROUNDINGS)
    _enlarge(at, factors, at.word("mode", "nearest"), position, rounding)


def _from_sizes(at: At) -> tuple[int, int]:
    """The factors that enlarge x to `sizes`; where these depend on the batch, to the shape that onnx inferred."""
    small = at.spatial("sizes")
    if at.is_constant(3):
        large = (at.whole_numbers(3, "sizes") or ())[2:]
    else:
        large = (at.wiring.shapes.get(at.node.output[0]) or ())[2:]
    if len(small) != 2 or len(large) != 2 or any(b is None or b % a for a, b in zip(small, large, strict=True)):
        raise at.refuse(f"sizes {large} for x of {small}", "pictures, larger by whole factors")
    return large[0] // small[0], large[1] // small[1]


def _factors(at: At, scales: tuple[float, ...] | None) -> tuple[int, int]:
    if scales is None or len(scales) != 4 or scales[:2] != (1, 1) or any(s != int(s) or s < 1 for s in scales[2:]):
        raise at.refuse(f"scales {scales}", "1, 1 and two whole numbers")
    return int(scales[2]), int(scales[3])


def _enlarge(at: At, factors: tuple[int, int], mode: str, position: str, rounding: str) -> None:
    if factors == (1, 1):
        at.pass_on()
        return
    if mode == "nearest" and all(_repeats(factor, position, rounding) for factor in factors):
        at.add(L.Upsample(scale_factor=factors), at.x())
    elif mode in ("linear", "bilinear") and position in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        at.add(L.Upsample(scale_factor=factors, mode="bilinear"), at.x())
    else:
        raise at.refuse(f"mode {mode!r}, {position}, {rounding}", "each pixel repeated, or linear by half pixels")


def _repeats(factor: int, position: str, rounding: str) -> bool:
    """Whether every pixel is repeated `factor` times, for several sizes of x."""
    for size in (1, 2, 3, 7):
        for i in range(size * factor):
            source = _ROUNDINGS[rounding](_POSITIONS[position](i, size, size * factor))
            if min(max(source, 0), size - 1) != i // factor:
                return False
    return True
