"""By what src_c/kernels/conv.h chooses the algorithm of a dense 3x3 convolution, once more, to be fitted to measured
times: what a form costs, as a sum over the costs table of a target. It must choose as the kernels do: a test compares
the two."""

import platform
import re
from pathlib import Path
from typing import NamedTuple

TARGETS = Path(__file__).parent.parent / "src_c" / "targets"
COSTS = (
    "GATHER_COST",
    "PACK_COST",
    "INPUT2_COST",
    "OUTPUT2_COST",
    "WEIGHT2_COST",
    "INPUT4_COST",
    "OUTPUT4_COST",
    "WEIGHT4_COST",
    "STRIDED_INPUT_COST",
    "STRIDED_OUTPUT_COST",
    "STRIDED_WEIGHT_COST",
)
LEAST_CHANNELS = 16
"""Below that many of either side every choice is direct, for accuracy."""

# Form: outputs of a tile each way, points, and the costs of its input, output and weight.
WINOGRAD = {
    "winograd 2x2": (2, 16, ("INPUT2_COST", "OUTPUT2_COST", "WEIGHT2_COST")),
    "winograd 4x4": (4, 36, ("INPUT4_COST", "OUTPUT4_COST", "WEIGHT4_COST")),
    "winograd 2x2 stride 2": (2, 25, ("STRIDED_INPUT_COST", "STRIDED_OUTPUT_COST", "STRIDED_WEIGHT_COST")),
}


class Layer(NamedTuple):
    """(N, C, H, H) to K channels, kernel 3x3, padding 1; H >= 3, for one row of output has no stride."""

    N: int
    C: int
    H: int
    K: int
    stride: int = 1

    @property
    def P(self) -> int:
        """Height of the output."""
        return (self.H - 1) // self.stride + 1

    @property
    def forms(self) -> tuple[str, ...]:
        """Those it can be computed in."""
        return ("direct", "winograd 2x2", "winograd 4x4") if self.stride == 1 else ("direct", "winograd 2x2 stride 2")

    def __str__(self) -> str:
        return f"{self.N}x{self.C}x{self.H}x{self.H} -> {self.K}{' /2' if self.stride == 2 else ''}"


class Target(NamedTuple):
    """A file of src_c/targets/: bytes of a vector, filters of a register tile, and the costs table, in multiply-adds of
    a vector."""

    name: str
    vector_bytes: int
    tile: int
    costs: dict[str, float]


def _defined(text: str, name: str) -> float:
    """The value of a #define. Of two, between #if and #else, the first is that of aarch64."""
    values = re.findall(rf"^#define {name} ([\d.]+)$", text, re.M)
    return float(values[0 if platform.machine() in ("aarch64", "arm64") else -1])


def read_target(name: str) -> Target:
    """That target as its file has it."""
    text = (TARGETS / f"{name}.c").read_text()
    costs = {cost: _defined(text, cost) for cost in COSTS}
    return Target(name, int(_defined(text, "VBYTES")), int(_defined(text, "TILE_M")), costs)


def with_costs(text: str, costs: dict[str, float]) -> str:
    """The text of a target's file with another table."""
    for name, value in costs.items():
        text, found = re.subn(rf"^(#define {name}) [\d.]+$", rf"\1 {value:g}", text, flags=re.M)
        if found != 1:
            raise ValueError(f"{name} is defined {found} times; expected once")
    return text


def write_costs(name: str, costs: dict[str, float]) -> None:
    """The table into the target's file, which has to be built again then."""
    path = TARGETS / f"{name}.c"
    path.write_text(with_costs(path.read_text(), costs))


def terms(target: Target, layer: Layer, form: str, packed: bool, itemsize: int = 4) -> dict[str, float]:
    """What a form costs: `products` multiply-adds of a vector, and how often each cost of the table is paid."""
    lanes, depth = target.vector_bytes // itemsize, 9 * layer.C
    filters = -(-layer.K // target.tile) * target.tile
    if form == "direct":
        pixels = -(-layer.N * layer.P**2 // lanes)
        result = {"products": pixels * depth * filters, "GATHER_COST": pixels * depth}
        return result if packed else {**result, "PACK_COST": filters * depth}
    out, points, (of_input, of_output, of_weight) = WINOGRAD[form]
    vectors = -(-layer.N * (-(-layer.P // out)) ** 2 // lanes)
    result = {
        "products": vectors * layer.C * points * filters,
        of_input: vectors * layer.C,
        of_output: vectors * filters,
    }
    return result if packed else {**result, of_weight: layer.C * filters / target.tile}


def cost(target: Target, layer: Layer, form: str, packed: bool, itemsize: int = 4) -> float:
    """In multiply-adds of a vector."""
    prices = {"products": 1.0, **target.costs}
    return sum(count * prices[name] for name, count in terms(target, layer, form, packed, itemsize).items())


def choice(target: Target, layer: Layer, packed: bool, itemsize: int = 4) -> str:
    """The form that the kernels choose; of two that cost as much, the one named first here and there."""
    if min(layer.C, layer.K) < LEAST_CHANNELS:
        return "direct"
    costs = {form: cost(target, layer, form, packed, itemsize) for form in layer.forms}
    order = ("direct", "winograd 4x4", "winograd 2x2", "winograd 2x2 stride 2")
    return min((form for form in order if form in costs), key=lambda form: costs[form])
