"""One row for each layer: how to build it and a shape it takes. Every test of all layers runs over these rows."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastconv import layers as L
from fastconv.layers import Layer


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@dataclass(frozen=True)
class Case:
    """`loose` layers are not smooth everywhere: their inputs are spread so that no kink is near."""

    build: Callable[[], Layer]
    shape: tuple[int, ...]
    loose: bool = False
    name: str = field(default="")

    def __str__(self) -> str:
        return self.name


def _row(name: str, build: Callable[[], Layer], shape: tuple[int, ...], loose: bool = False) -> Case:
    return Case(build, shape, loose, name)


def shuffle_unit() -> L.Graph:
    """Split, convolve one half, swap channels; given in an order in which it cannot run."""
    conv = L.Conv2d(2, 2, 3, padding=1, generator=rng())
    return L.Graph(
        [
            ("out.order", L.Permute((0, 2, 1, 3)), "out.split"),
            ("cat", L.Cat(), ("left", "right.silu")),
            ("left", L.Slice(0, 2), "image"),
            ("right.conv", conv, "right.half"),
            ("right.half", L.Slice(2, 4), "image"),
            ("right.silu", L.SiLU(), "right.conv"),
            ("out.split", L.Reshape((0, 2, 2, -1)), "cat"),
            ("out", L.Reshape((0, 4, 3, 3)), "out.order"),
        ],
        inputs="image",
        outputs="out",
    )


def dense_block() -> L.Graph:
    """Every layer reads all features before it, so that gradients of all kinds come together."""
    g = rng()
    return L.Graph(
        [
            ("conv1", L.Conv2d(2, 3, 3, padding=1, generator=g), "x"),
            ("cat1", L.Cat(), ("x", "conv1")),
            ("norm", L.BatchNorm2d(5), "cat1"),
            ("tanh", L.Tanh(), "norm"),
            ("conv2", L.Conv2d(5, 3, 1, generator=g), "tanh"),
            ("cat2", L.Cat(), ("x", "conv1", "conv2")),
            ("again", L.Conv2d(8, 5, 1, generator=g), "cat2"),
            ("sum", L.Add(), ("again", "cat1", "norm", "again")),
            ("dropout", L.Dropout(0.4, generator=rng()), "sum"),
            ("flat", L.Flatten(), "dropout"),
            ("end", L.Sigmoid(), "flat"),
        ]
    )


def joins() -> L.Graph:
    """Broadcasting joins, one array read twice, weights without an input, a branch that leads nowhere."""
    return L.Graph(
        [
            ("gate", L.Sequential(L.GlobalAvgPool2d(), L.Sigmoid()), "x"),
            ("scaled", L.Mul(), ("gate", "x")),
            ("bias", L.Constant((3, 1, 1)), ()),
            ("sum", L.Add(), ("bias", "scaled", "scaled")),
            ("nowhere", L.Tanh(), "sum"),
            ("cube", L.Mul(), ("sum", "sum", "x")),
            ("difference", L.Sub(), ("cube", "gate")),
            ("quotient", L.Div(), ("difference", "gate")),
            ("product", L.MatMul(), ("quotient", "x")),
        ]
    )


CASES = [
    _row("Conv1d", lambda: L.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, generator=rng()), (2, 4, 9)),
    _row("Conv2d", lambda: L.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), generator=rng()), (2, 3, 5, 6)),
    _row("Conv2d-same", lambda: L.Conv2d(2, 3, 4, padding="same", bias=False, generator=rng()), (2, 2, 5, 4)),
    _row("Conv2d-pairs", lambda: L.Conv2d(2, 3, 2, padding=((1, 0), (2, 1)), generator=rng()), (2, 2, 3, 4)),
    _row("Conv3d", lambda: L.Conv3d(2, 4, 2, padding=1, groups=2, generator=rng()), (2, 2, 3, 2, 3)),
    _row("ConvTranspose1d", lambda: L.ConvTranspose1d(4, 2, 3, stride=2, padding=1, generator=rng()), (2, 4, 5)),
    _row(
        "ConvTranspose2d",
        lambda: L.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2, generator=rng()),
        (2, 4, 3, 4),
    ),
    _row("ConvTranspose3d", lambda: L.ConvTranspose3d(2, 3, 2, bias=False, generator=rng()), (1, 2, 2, 3, 2)),
    _row("MaxPool1d", lambda: L.MaxPool1d(3, 2, padding=1), (2, 3, 8), True),
    _row("MaxPool2d", lambda: L.MaxPool2d(2, ceil_mode=True), (2, 3, 5, 5), True),
    _row("MaxPool3d", lambda: L.MaxPool3d(2, 1), (2, 2, 3, 3, 3), True),
    _row("AvgPool1d", lambda: L.AvgPool1d(3, 2, padding=1), (2, 3, 8)),
    _row("AvgPool2d", lambda: L.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 3, 5, 6)),
    _row("AvgPool3d", lambda: L.AvgPool3d(2, divisor_override=3), (2, 2, 4, 3, 2)),
    _row("AdaptiveAvgPool2d", lambda: L.AdaptiveAvgPool2d((2, None)), (2, 3, 5, 4)),
    _row("AdaptiveMaxPool2d", lambda: L.AdaptiveMaxPool2d(2), (2, 3, 5, 3), True),
    _row("GlobalAvgPool2d", L.GlobalAvgPool2d, (2, 3, 4, 5)),
    _row("BatchNorm1d", lambda: L.BatchNorm1d(5), (6, 5)),
    _row("BatchNorm2d", lambda: L.BatchNorm2d(3, momentum=None), (3, 3, 2, 4)),
    _row("BatchNorm3d", lambda: L.BatchNorm3d(2, affine=False), (2, 2, 2, 2, 3)),
    _row("BatchNorm2d-ReLU", lambda: L.Sequential(L.BatchNorm2d(3), L.ReLU()), (3, 3, 2, 4)),
    _row("BatchNorm2d-untracked", lambda: L.BatchNorm2d(3, track_running_stats=False), (3, 3, 2, 4)),
    _row("BatchNorm2d-eval", lambda: L.BatchNorm2d(3).eval(), (3, 3, 2, 4)),
    _row("LocalResponseNorm", lambda: L.LocalResponseNorm(3, alpha=0.5), (2, 5, 3, 2)),
    _row("Linear", lambda: L.Linear(5, 4, generator=rng()), (3, 5)),
    _row("Linear-no-bias", lambda: L.Linear(5, 4, bias=False, generator=rng()), (3, 5)),
    _row("ReLU", L.ReLU, (2, 3, 4), True),
    _row("ReLU6", L.ReLU6, (2, 3, 4), True),
    _row("LeakyReLU", lambda: L.LeakyReLU(0.1), (2, 3, 4), True),
    _row("LeakyReLU-negative", lambda: L.LeakyReLU(-0.5), (2, 3, 4), True),
    _row("Sigmoid", L.Sigmoid, (2, 3, 4)),
    _row("Tanh", L.Tanh, (2, 3, 4)),
    _row("SiLU", L.SiLU, (2, 3, 4)),
    _row("Hardtanh", lambda: L.Hardtanh(-0.55, 1.2), (2, 3, 4), True),
    _row("Hardsigmoid", L.Hardsigmoid, (2, 3, 9), True),
    _row("Hardswish", L.Hardswish, (2, 3, 9), True),
    _row("ELU", lambda: L.ELU(0.7), (2, 3, 4), True),
    _row("Softplus", L.Softplus, (2, 3, 4)),
    _row("Threshold", lambda: L.Threshold(0.45), (2, 3, 4), True),
    _row("SELU", L.SELU, (2, 3, 4), True),
    _row("CELU", lambda: L.CELU(0.6), (2, 3, 4)),
    _row("Mish", L.Mish, (2, 3, 4)),
    _row("GELU", L.GELU, (2, 3, 4)),
    _row("GELU-tanh", lambda: L.GELU("tanh"), (2, 3, 4)),
    _row("Softsign", L.Softsign, (2, 3, 4)),
    _row("Erf", L.Erf, (2, 3, 4)),
    _row("PReLU", lambda: L.PReLU(3), (2, 3, 4), True),
    _row("PReLU-one", L.PReLU, (2, 3, 4, 2), True),
    _row("Mean", lambda: L.Mean((-1, 1)), (2, 3, 4)),
    _row("Mean-kept", lambda: L.Mean((2, 3), keepdim=True), (2, 3, 4, 2)),
    _row("Sum", lambda: L.Sum((1, -1)), (2, 3, 4)),
    _row("Amax", lambda: L.Amax(-1, keepdim=True), (2, 3, 4), True),
    _row("LpPool", lambda: L.LpPool(3, (2, 3), 2, (1, 0), ceil_mode=True), (2, 3, 5, 4), True),
    _row("Softmax", lambda: L.Softmax(dim=1), (2, 5, 3)),
    _row("LogSoftmax", L.LogSoftmax, (3, 5)),
    _row("Identity", L.Identity, (2, 3)),
    _row("Flatten", L.Flatten, (2, 3, 4, 2)),
    _row("Upsample-nearest", lambda: L.Upsample(scale_factor=(2, 3)), (2, 2, 3, 2)),
    _row("Upsample-bilinear", lambda: L.Upsample(size=6, mode="bilinear"), (1, 2, 3, 2)),
    _row("Resize-nearest", lambda: L.Resize((4, 7)), (2, 2, 3, 5)),
    _row("Resize-linear", lambda: L.Resize((2, 7), mode="linear", coordinates="align_corners"), (2, 2, 3, 5)),
    _row("Resize-cubic", lambda: L.Resize(scale_factor=(1.5, 0.75), mode="cubic"), (1, 2, 4, 5)),
    _row("Dropout", lambda: L.Dropout(0.4, generator=rng()), (3, 7)),
    _row("Dropout-eval", lambda: L.Dropout(0.4).eval(), (3, 7)),
    _row(
        "Sequential",
        lambda: L.Sequential(
            L.Conv2d(2, 3, 3, padding=1, generator=rng()), L.BatchNorm2d(3), L.SiLU(), L.Flatten(), L.Tanh()
        ),
        (2, 2, 3, 4),
    ),
    _row(
        "Residual",
        lambda: L.Residual(L.Sequential(L.Conv2d(2, 2, 3, padding=1, generator=rng()), L.Tanh())),
        (2, 2, 3, 4),
    ),
    _row("Residual-identity", lambda: L.Residual(L.Identity()), (2, 3)),
    _row(
        "Residual-shortcut",
        lambda: L.Residual(
            L.Conv2d(2, 4, 3, stride=2, padding=1, generator=rng()), L.Conv2d(2, 4, 1, stride=2, generator=rng())
        ),
        (2, 2, 4, 4),
    ),
    _row(
        "Concat",
        lambda: L.Concat([L.Identity(), L.Conv2d(2, 3, 1, generator=rng()), L.AvgPool2d(3, 1, 1), L.Identity()]),
        (2, 2, 3, 4),
    ),
    _row("Concat-last-axis", lambda: L.Concat({"a": L.Sigmoid(), "b": L.Tanh()}, axis=-1), (2, 3, 2)),
    _row("Reshape", lambda: L.Reshape((0, 2, -1, 0)), (2, 4, 6, 3)),
    _row("Permute", lambda: L.Permute((0, 2, 3, 1)), (2, 3, 4, 5)),
    _row("Slice", lambda: L.Slice(1, None, 2), (2, 5, 2)),
    _row("Slice-last-axis", lambda: L.Slice(-3, -1, dim=-1), (2, 2, 5)),
    _row("Pad", lambda: L.Pad(((1, 0), (2, 3)), value=1.5), (2, 2, 3, 2)),
    _row("Pad-reflect", lambda: L.Pad(((1, 0), (2, 3)), mode="reflect"), (2, 2, 3, 4)),
    _row("Pad-replicate", lambda: L.Pad(((4, 0), (0, 3)), mode="replicate"), (2, 2, 3, 2)),
    _row("Pad-circular", lambda: L.Pad(((1, 3), (0, 2)), mode="circular"), (2, 2, 3, 4)),
    _row("YoloHead", lambda: L.YoloHead(((3, 4), (6, 5), (9, 9)), 2, mask=(2, 0)), (2, 14, 2, 3)),
    _row("Graph-one", lambda: L.Graph([("only", L.Tanh(), "x")]), (2, 3)),
    _row("Graph", shuffle_unit, (2, 4, 3, 3)),
    _row("Graph-dense", dense_block, (3, 2, 3, 4)),
    _row("Graph-joins", joins, (2, 3, 2, 2)),
]


def inputs(case: Case, dtype: type = np.float64) -> np.ndarray:
    """Normal numbers, or for loose layers distinct multiples of 0.3, none of them 0 or 6."""
    generator = np.random.default_rng(3)
    size = int(np.prod(case.shape))
    if case.loose:
        return ((generator.permutation(size) - size // 2) * 0.3 + 0.1).reshape(case.shape).astype(dtype)
    return generator.normal(size=case.shape).astype(dtype)
