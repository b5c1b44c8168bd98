"""Layers as they are written to ONNX files and read from them: those of layer_cases.py, and the corners where ONNX and
PyTorch differ."""

import numpy as np
from layer_cases import CASES, Case, rng

from fastconv import layers as L


def _row(text, build, shape, loose=False):
    return Case(build, shape, loose, text)


MORE = [
    _row("conv, everything", lambda: L.Conv2d(4, 6, (2, 3), (2, 1), ((0, 3), (2, 0)), (3, 2), 2), (2, 4, 9, 7)),
    _row("conv, depthwise", lambda: L.Conv2d(5, 5, 3, 2, 1, groups=5, bias=False), (1, 5, 7, 5)),
    _row("conv, same and dilated", lambda: L.Conv1d(3, 2, 4, padding="same", dilation=3), (2, 3, 11)),
    _row("conv, valid", lambda: L.Conv3d(2, 3, (1, 2, 3), padding="valid"), (1, 2, 3, 3, 5)),
    _row(
        "transposed, everything",
        lambda: L.ConvTranspose2d(4, 6, 3, (3, 2), ((2, 0), (1, 3)), (2, 1), 2, dilation=(1, 2)),
        (2, 4, 3, 5),
    ),
    _row("transposed 3-d", lambda: L.ConvTranspose3d(2, 4, 2, 2, 1, 1, 2), (1, 2, 3, 2, 3)),
    _row("max, ceil and padding", lambda: L.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 3, 6, 7), True),
    _row("max, ceil and no overhang", lambda: L.MaxPool2d(3, 2, ceil_mode=True), (2, 3, 7, 5), True),
    _row("max, window in the padding alone is none", lambda: L.MaxPool1d(2, 3, 1, ceil_mode=True), (1, 2, 5), True),
    _row("max, dilated", lambda: L.MaxPool2d((2, 3), 1, (1, 2), (3, 2), ceil_mode=True), (2, 2, 7, 8), True),
    _row("max, padded more than its taps", lambda: L.MaxPool2d(2, 2, 2, 3, ceil_mode=True), (2, 2, 6, 7), True),
    _row("max, one side", lambda: L.MaxPool2d(2, 1, ((0, 1), (0, 1))), (1, 3, 5, 4), True),
    _row("max 3-d, ceil", lambda: L.MaxPool3d((2, 3, 2), 2, (0, 1, 1), ceil_mode=True), (1, 2, 5, 4, 4), True),
    _row("mean, ceil", lambda: L.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 3, 6, 5)),
    _row("mean, ceil, padding not counted", lambda: L.AvgPool2d(3, 2, 1, True, False), (2, 3, 6, 5)),
    _row("mean, ceil, divisor", lambda: L.AvgPool2d((3, 2), 2, (1, 0), True, True, 5), (2, 3, 6, 5)),
    _row("mean, sides", lambda: L.AvgPool2d(4, 3, ((2, 0), (0, 1)), True), (1, 2, 7, 8)),
    _row("mean, sides not counted", lambda: L.AvgPool2d(4, 3, ((2, 0), (0, 1)), True, False), (1, 2, 7, 8)),
    _row("mean 1-d, ceil", lambda: L.AvgPool1d(4, 3, 2, True), (2, 3, 8)),
    _row("mean 3-d, ceil", lambda: L.AvgPool3d((3, 2, 2), 2, (1, 1, 0), True), (1, 2, 4, 3, 5)),
    _row("adaptive mean, even", lambda: L.AdaptiveAvgPool2d((2, 3)), (2, 3, 4, 9)),
    _row("adaptive mean, uneven", lambda: L.AdaptiveAvgPool2d((3, 4)), (2, 3, 7, 5)),
    _row("adaptive mean, larger", lambda: L.AdaptiveAvgPool2d(7), (2, 3, 1, 5)),
    _row("adaptive mean, same", lambda: L.AdaptiveAvgPool2d((5, None)), (2, 3, 5, 4)),
    _row("adaptive max, even", lambda: L.AdaptiveMaxPool2d((2, 3)), (2, 3, 4, 9), True),
    _row("adaptive max, one", lambda: L.AdaptiveMaxPool2d(1), (2, 3, 5, 4), True),
    _row("adaptive max, larger", lambda: L.AdaptiveMaxPool2d((3, 7)), (2, 3, 7, 5), True),
    _row("norm of (N, C)", lambda: L.BatchNorm1d(4, affine=False, track_running_stats=False), (5, 4)),
    _row("norm of (N, C, L), eps", lambda: L.BatchNorm1d(4, eps=0.3, track_running_stats=False), (3, 4, 2)),
    _row("lrn, even size", lambda: L.LocalResponseNorm(4, 0.7, 0.6, 1.5), (2, 6, 3, 2)),
    _row("lrn, size beyond the channels", lambda: L.LocalResponseNorm(9, 0.7, 0.6, 1.5), (2, 4, 3, 2)),
    _row("lrn 1-d", lambda: L.LocalResponseNorm(3, 0.7), (2, 5, 4)),
    _row("flatten all", lambda: L.Flatten(0), (2, 3, 4)),
    _row("flatten the middle", lambda: L.Flatten(1, 2), (2, 3, 4, 5)),
    _row("flatten the end", lambda: L.Flatten(-2), (2, 3, 4, 5)),
    _row("nearest to a size", lambda: L.Upsample(size=(9, 4)), (2, 3, 3, 2)),
    _row("bilinear, uneven", lambda: L.Upsample(None, (3, 2), "bilinear", False), (2, 3, 3, 5)),
    _row("bilinear of one pixel", lambda: L.Upsample(scale_factor=4, mode="bilinear"), (1, 2, 1, 1)),
    _row("slice from the end", lambda: L.Slice(-4, None, 3, dim=3), (2, 3, 4, 7)),
    _row("slice of the batch", lambda: L.Slice(1, dim=0), (3, 2, 3)),
    _row("pad all axes", lambda: L.Pad(((1, 0), (0, 2), (3, 1)), value=-2.5), (2, 3, 4)),
    _row("softmax of the first", lambda: L.Softmax(0), (3, 4)),
    _row("log softmax of channels", lambda: L.LogSoftmax(-3), (2, 5, 3, 2)),
    _row("batches joined", lambda: L.Concat([L.Identity(), L.Tanh()], axis=0), (2, 3)),
    _row("a sequence of nothing", lambda: L.Sequential(), (2, 3)),
    _row("a batch that is fixed", lambda: L.Reshape((-1, 2, 5)), (4, 5)),
    _row("a batch that moves", lambda: L.Permute((1, 0, 2)), (4, 5, 2)),
]  # fmt: skip
EVERY = [*CASES, *MORE]


def trained(model, dtype):
    """The model with statistics and biases that are not the first ones, in `dtype` even if it has no weights."""
    g = rng()
    for name, array in model.state_dict(copy=False).items():
        if "num_batches" not in name:
            array[...] = g.uniform(0.5, 1.5, array.shape) * (1 if "var" in name else g.choice([-1, 1], array.shape))
    if dtype == np.float64:
        model = L.Sequential(L.Graph([("one", L.Constant(()), ()), ("y", L.Add(), ("x", "one"))]), model)
    return model.astype(dtype)
