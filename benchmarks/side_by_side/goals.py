"""Which cases belong together and what fastconv is to reach on them: data, and one function that classifies.
It must hold no arithmetic over measurements: that is summary.py."""

from typing import NamedTuple

from .cases import CONVOLUTIONS, Case

PYTORCH = ("PyTorch", "PyTorch channels_last")
BEST = (*PYTORCH, "ONNX Runtime", "OpenVINO")

FORWARD = ("conv2d", "conv_transpose2d")
GRADIENTS = ("conv2d_grad_input", "conv2d_grad_weight")

# Operations a byte from which arithmetic bounds a layer, with room to spare: machines have 6 to 25 operations for each
# byte that their memory delivers.
COMPUTE_BOUND = 64

# The stated error of float32 convolutions, as a part of the largest result, up to so many channels.
ERROR_BOUNDS = {"conv2d": 4e-6, "conv2d_grad_input": 4e-6, "conv2d_grad_weight": 2e-5}
ERROR_CHANNELS = 512


def kind(case: Case) -> str:
    """The class of a case: its shape alone decides, forward or gradient does not matter."""
    if case.dtype == "float64" or case.group in ("overhead", "training"):
        return case.group
    if case.weight is None:
        return "pool" if "pool" in case.op else "norm"
    if case.groups > 1:
        return "grouped"
    K, C, R, S = case.weight
    stride, dilation = case.options.get("stride", 1), case.options.get("dilation", 1)
    of_a_network = case.group in ("vgg", "resnet", "yolo", "cifar")
    if (R, S, stride, dilation) != (3, 3, 1, 1) or min(C, K) < 32 or not of_a_network:
        return "dense"
    N, P = case.x[0], case.y[2]
    if N >= 16 or P >= 28:
        return "3x3"
    return {14: "3x3 at 14", 13: "3x3 at 14", 7: "3x3 at 7"}.get(P, "3x3 at 26")


def compute_bound(case: Case) -> bool:
    """Whether arithmetic, not memory, bounds the direct method."""
    return case.flops >= COMPUTE_BOUND * case.bytes


class Goal(NamedTuple):
    """A figure over the cases of these kinds and operations for which both sides were measured.

    figure: "speed" (how many times the time of `of` the fastest of `against` takes), "memory" (the same of bytes),
    "share of peak", "share of copy", "accuracy" (the stated error over the one seen). Its geometric mean is to reach
    `mean`, every single one `least`; None where nothing is asked.
    """

    row: str
    kinds: tuple[str, ...]
    ops: tuple[str, ...] = ()  # () is every one
    of: str = "fastconv"
    against: tuple[str, ...] = BEST
    figure: str = "speed"
    mean: float | None = None
    least: float | None = None

    def includes(self, case: Case) -> bool:
        """Whether the case counts for it."""
        return kind(case) in self.kinds and (not self.ops or case.op in self.ops)


_WINOGRAD = "3x3/1, C and K >= 32"
_LARGE = "outputs >= 28x28 or N >= 16"
_ALL_3X3 = ("3x3", "3x3 at 26", "3x3 at 14", "3x3 at 7")
_BOUND = "bound by arithmetic"

GOALS = (
    Goal(f"{_WINOGRAD}, {_LARGE}: forward", ("3x3",), ("conv2d",), mean=2.5, least=1.5),
    Goal(
        f"{_WINOGRAD}, outputs >= 28x28, N = 1: prepacked, against ncnn",
        ("3x3",),
        ("conv2d",),
        "fastconv prepacked",
        ("ncnn",),
        mean=1.4,
        least=1.1,
    ),
    Goal(f"{_WINOGRAD}, 14x14 and 13x13, N = 1: plain", ("3x3 at 14",), ("conv2d",), mean=1.2),
    Goal(
        f"{_WINOGRAD}, 14x14 and 13x13, N = 1: prepacked", ("3x3 at 14",), ("conv2d",), "fastconv prepacked", mean=2.0
    ),
    Goal(f"{_WINOGRAD}, 7x7, N = 1: plain", ("3x3 at 7",), ("conv2d",), mean=1.0),
    Goal(f"{_WINOGRAD}, 7x7, N = 1: prepacked", ("3x3 at 7",), ("conv2d",), "fastconv prepacked", mean=1.0),
    Goal(f"{_WINOGRAD}, {_LARGE}: input gradient", ("3x3",), ("conv2d_grad_input",), against=PYTORCH, mean=2.5),
    Goal(f"{_WINOGRAD}, {_LARGE}: weight gradient", ("3x3",), ("conv2d_grad_weight",), against=PYTORCH, mean=2.0),
    Goal(f"{_WINOGRAD}, smaller: gradients", _ALL_3X3[1:], GRADIENTS, against=PYTORCH, mean=1.1),
    Goal("every other dense layer: forward", ("dense", "3x3 at 26"), FORWARD, mean=1.0, least=0.85),
    Goal(
        f"every other dense layer, {_BOUND}: forward",
        ("dense", "3x3 at 26"),
        FORWARD,
        figure="share of peak",
        least=0.85,
    ),
    Goal(
        f"{_WINOGRAD}, {_BOUND}: direct algorithm",
        _ALL_3X3,
        ("conv2d",),
        "fastconv direct",
        figure="share of peak",
        least=0.85,
    ),
    Goal("every other dense layer: gradients", ("dense",), GRADIENTS, against=PYTORCH, mean=1.3),
    Goal("depthwise and grouped: forward", ("grouped",), FORWARD, mean=1.6),
    Goal("depthwise and grouped: gradients", ("grouped",), GRADIENTS, against=PYTORCH, mean=3.0),
    Goal("float64, against PyTorch", ("float64",), CONVOLUTIONS, against=PYTORCH, mean=4.0),
    Goal("float64, against JAX", ("float64",), CONVOLUTIONS, against=("JAX",), mean=2.0),
    Goal("pooling, forward and backward, against PyTorch NCHW", ("pool",), against=("PyTorch",), mean=5.0),
    Goal("pooling, forward and backward: share of the copy bandwidth", ("pool",), figure="share of copy", mean=0.6),
    Goal("against im2col NumPy: forward", ("3x3",), ("conv2d",), against=("im2col NumPy",), least=10.0),
    Goal("against im2col NumPy: gradients", ("3x3",), GRADIENTS, against=("im2col NumPy",), least=12.0),
    Goal("call overhead, against PyTorch", ("overhead",), against=PYTORCH, least=1.0),
    Goal("training steps, images a second, against PyTorch", ("training",), against=PYTORCH, least=2.0),
    Goal("training steps, peak memory, against PyTorch", ("training",), against=PYTORCH, figure="memory", least=1.0),
    Goal(
        "accuracy, C <= 512, normal data: error stated over seen",
        (*_ALL_3X3, "dense"),
        figure="accuracy",
        least=1.0,
    ),
)
