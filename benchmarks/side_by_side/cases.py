"""What is measured, as data: every case of the comparison, by group, and how a case is chosen and written.
It must import no library that is measured: the process that asks for the times reads it, and every worker."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Self

from .layers import NETWORKS, distinct

CONVOLUTIONS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")


class Case(NamedTuple):
    """One operation on one shape. `op` is a function of fastconv.functional, or "train", a step of `network`.

    x is (N, C, H, W); weight is (K, C / groups, R, S), for a transposed convolution (C, K / groups, R, S).
    """

    group: str
    op: str
    x: tuple[int, ...]
    weight: tuple[int, ...] | None = None
    options: dict[str, int] = {}  # noqa: RUF012 - a case is never changed
    dtype: str = "float32"
    network: str = ""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The case of which `_asdict` went through JSON."""
        weight = values["weight"] and tuple(values["weight"])
        return cls(**{**values, "x": tuple(values["x"]), "weight": weight})

    @property
    def key(self) -> str:
        """What makes it one measurement: everything but the group, which several networks' layers may share."""
        return f"{self.op} {self.layer}"

    @property
    def groups(self) -> int:
        return self.options.get("groups", 1)

    @property
    def y(self) -> tuple[int, ...]:
        """Shape of the output of the forward operation, on which a gradient is taken."""
        if self.op.startswith("global") or self.op == "train":
            return (*self.x[:2], 1, 1)
        if self.weight is None and "kernel_size" not in self.options:
            return self.x
        kernel = self.weight[2:] if self.weight else (self.options["kernel_size"],) * 2
        stride = self.options.get("stride", 1 if self.weight else kernel[0])
        padding, dilation = self.options.get("padding", 0), self.options.get("dilation", 1)
        if self.op.startswith("conv_transpose"):
            more = self.options.get("output_padding", 0) - 2 * padding + 1
            space = (
                (size - 1) * stride + dilation * (R - 1) + more for size, R in zip(self.x[2:], kernel, strict=True)
            )
            return (self.x[0], self.weight[1] * self.groups, *space)
        space = (
            (size + 2 * padding - dilation * (R - 1) - 1) // stride + 1
            for size, R in zip(self.x[2:], kernel, strict=True)
        )
        return (self.x[0], self.weight[0] if self.weight else self.x[1], *space)

    @property
    def flops(self) -> int:
        """Operations of the direct method; 0 for what is bound by memory, and for a training step."""
        if self.weight is None:
            return 0
        pixels = self.x if self.op.startswith("conv_transpose") else self.y  # each meets one filter of every output
        return 2 * math.prod(pixels) * math.prod(self.weight[1:])

    @property
    def bytes(self) -> int:
        """Read and written at the least: each operand and the result once."""
        size = 8 if self.dtype == "float64" else 4
        x, y = math.prod(self.x), math.prod(self.y)
        if self.weight:
            return size * (x + y + math.prod(self.weight))
        if self.op == "max_pool2d_backward":
            return size * (x + y) + 8 * y  # the indices are int64 everywhere
        operands = 2 if self.op in ("batch_norm_backward", "relu_backward") else 1
        return size * (operands * x + y)

    @property
    def layer(self) -> str:
        """The shape in short, such as `1x64x56x56 -> 64 3x3`."""
        text = "x".join(map(str, self.x))
        options = dict(self.options)
        if self.op == "train":
            return f"{self.network} {text}"
        if self.weight:
            R, S = self.weight[2:]
            text += f" -> {self.y[1]} {R}x{S}"
            if options.get("groups") == self.x[1]:
                del options["groups"]
                text += " depthwise"
            if options.pop("padding", 0) != R // 2:
                text += f" padding {self.options.get('padding', 0)}"
        elif "kernel_size" in options:
            R = options.pop("kernel_size")
            options.pop("padding", 0)
            options.setdefault("stride", R)
            text += f" {R}x{R}"
        stride = options.pop("stride", 1)
        text += f" /{stride}" if stride > 1 else ""
        text += "".join(f" {name} {value}" for name, value in options.items())
        return text + (" float64" if self.dtype == "float64" else "")


def _convolutions(group: str, x: tuple, weight: tuple, options: dict, **more: Any) -> Iterator[Case]:
    for op in CONVOLUTIONS:
        yield Case(group, op, x, weight, options, **more)


def _networks() -> Iterator[Case]:
    """Every distinct layer of each network, one picture and sixteen."""
    for group in NETWORKS:
        for N in (1, 16):
            for layer in distinct(group):
                options = {"stride": layer.stride, "padding": layer.R // 2, "groups": layer.groups}
                usual = {"stride": 1, "padding": 0, "groups": 1}
                weight = (layer.K, layer.C // layer.groups, layer.R, layer.R)
                options = {name: value for name, value in options.items() if value != usual[name]}
                yield from _convolutions(group, (N, layer.C, layer.H, layer.H), weight, options)


def _cifar() -> Iterator[Case]:
    """Layers of networks for 32 x 32 pictures, in batches of 64. Columns: C, H, K, R, stride."""
    for C, H, K, R, stride in (
        (3, 32, 32, 3, 1),
        (32, 32, 32, 3, 1),
        (64, 32, 64, 3, 1),
        (64, 32, 128, 3, 2),
        (64, 16, 128, 3, 1),
        (128, 16, 128, 3, 1),
        (128, 8, 256, 3, 1),
        (256, 8, 256, 3, 1),
        (256, 4, 512, 3, 1),
        (512, 4, 512, 3, 1),
        (64, 32, 128, 1, 2),
    ):
        options = {"stride": stride, "padding": R // 2} if stride > 1 else {"padding": R // 2}
        yield from _convolutions("cifar", (64, C, H, H), (K, C, R, R), options)


def _special() -> Iterator[Case]:
    """Convolutions that are not dense, not 3x3, or not of stride 1. Columns: x, weight, options."""
    for x, weight, options in (
        ((1, 128, 56, 56), (128, 1, 3, 3), {"padding": 1, "groups": 128}),
        ((1, 96, 56, 56), (96, 1, 3, 3), {"stride": 2, "padding": 1, "groups": 96}),
        ((1, 96, 56, 56), (96, 1, 5, 5), {"stride": 2, "padding": 2, "groups": 96}),
        ((1, 96, 56, 56), (96, 1, 7, 7), {"padding": 3, "groups": 96}),
        ((16, 128, 56, 56), (128, 1, 3, 3), {"padding": 1, "groups": 128}),
        ((16, 96, 56, 56), (96, 1, 7, 7), {"padding": 3, "groups": 96}),
        ((1, 256, 28, 28), (256, 8, 3, 3), {"padding": 1, "groups": 32}),
        ((16, 256, 28, 28), (256, 8, 3, 3), {"padding": 1, "groups": 32}),
        ((1, 128, 56, 56), (128, 32, 3, 3), {"padding": 1, "groups": 4}),
        ((1, 256, 28, 28), (256, 256, 3, 3), {"padding": 2, "dilation": 2}),
        ((4, 64, 28, 28), (64, 64, 3, 3), {"padding": 4, "dilation": 4}),
        ((1, 32, 56, 56), (64, 32, 5, 5), {"padding": 2}),
        ((16, 48, 27, 27), (128, 48, 5, 5), {"padding": 2}),
        ((1, 64, 56, 56), (64, 64, 7, 7), {"padding": 3}),
        ((8, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    ):
        yield from _convolutions("special", x, weight, options)
    for x, weight, options in (
        ((4, 64, 28, 28), (64, 32, 2, 2), {"stride": 2}),
        ((1, 256, 16, 16), (256, 128, 4, 4), {"stride": 2, "padding": 1}),
        ((4, 128, 28, 28), (128, 64, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ):
        yield Case("special", "conv_transpose2d", x, weight, options)


def _float64() -> Iterator[Case]:
    for x, weight, options in (
        ((4, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
        ((1, 256, 28, 28), (256, 256, 3, 3), {"padding": 1}),
        ((1, 256, 28, 28), (512, 256, 1, 1), {}),
    ):
        yield from _convolutions("float64", x, weight, options, dtype="float64")


def _pool() -> Iterator[Case]:
    for x in ((16, 64, 112, 112), (64, 64, 32, 32), (1, 64, 112, 112)):
        for options in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}):
            for op in ("max_pool2d", "max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward"):
                yield Case("pool", op, x, None, options)
    for x in ((16, 2048, 7, 7), (32, 64, 56, 56)):
        for op in ("global_avg_pool2d", "global_avg_pool2d_backward"):
            yield Case("pool", op, x)


def _norm() -> Iterator[Case]:
    for x in ((16, 64, 112, 112), (64, 64, 32, 32), (1, 256, 56, 56)):
        for op in ("batch_norm_train", "batch_norm_backward", "batch_norm", "relu", "relu_backward"):
            yield Case("norm", op, x)


def _training() -> Iterator[Case]:
    """Whole steps: forward, loss, backward, SGD with momentum. The networks are in networks.py."""
    yield Case("training", "train", (64, 1, 28, 28), network="mnist_cnn")
    yield Case("training", "train", (64, 3, 32, 32), network="vgg_cifar")
    yield Case("training", "train", (32, 3, 32, 32), network="resnet18_cifar")


def every_case() -> list[Case]:
    """All of them, in the order in which they are measured; the same layer may come once in each group."""
    overhead = Case("overhead", "conv2d", (1, 8, 8, 8), (8, 8, 3, 3), {"padding": 1})
    networks, cifar = _networks(), _cifar()
    return [overhead, *networks, *cifar, *_special(), *_float64(), *_pool(), *_norm(), *_training()]


GROUPS = ("overhead", *NETWORKS, "cifar", "special", "float64", "pool", "norm", "training")
OPS = tuple(dict.fromkeys(case.op for case in every_case()))

# A handful that meets every library and every kind of case but training, in less than a minute.
QUICK = (
    "conv2d 1x8x8x8 -> 8 3x3",
    "conv2d 1x256x14x14 -> 256 3x3",
    "conv2d_grad_input 1x256x14x14 -> 256 3x3",
    "conv2d_grad_weight 1x256x14x14 -> 256 3x3",
    "conv2d 1x64x56x56 -> 64 3x3",
    "conv2d 1x64x56x56 -> 256 1x1",
    "conv2d 1x128x56x56 -> 128 3x3 depthwise",
    "conv2d_grad_weight 1x256x28x28 -> 512 1x1 float64",
    "max_pool2d 64x64x32x32 2x2 /2",
    "batch_norm_train 64x64x32x32",
)


def select(
    *, groups: Iterable[str] = (), ops: Iterable[str] = (), batches: Iterable[int] = (), match: str = "", quick=False
) -> list[Case]:
    """The cases of these groups, operations and batch sizes (none given: all) whose text contains `match`, each layer
    once."""
    groups, ops, batches = set(groups), set(ops), set(batches)
    chosen: dict[str, Case] = {}
    for case in every_case():
        if (
            (not groups or case.group in groups)
            and (not ops or case.op in ops)
            and (not batches or case.x[0] in batches)
            and match in case.key
            and (not quick or case.key in QUICK)
        ):
            chosen.setdefault(case.key, case)
    return list(chosen.values())
