"""Every operation that is timed, and on what, as data: one line a row, on shapes of real networks.
`fastconv bench` has its own short list, in fastconv/bench/shapes.py, which is part of this one."""

from typing import NamedTuple

from fastconv.bench import TABLE, Row

SAME = {"padding": 1}
HALF = {"stride": 2, "padding": 1}

# Layers of VGG-16 and ResNet, batch 1 and 16. Columns: x (N, C, H, W), weight (K, C/groups, R, S), options.
_LAYERS = (
    ((1, 3, 224, 224), (64, 3, 3, 3), SAME),
    ((1, 64, 224, 224), (64, 64, 3, 3), SAME),
    ((1, 128, 112, 112), (128, 128, 3, 3), SAME),
    ((1, 256, 56, 56), (256, 256, 3, 3), SAME),
    ((1, 512, 28, 28), (512, 512, 3, 3), SAME),
    ((1, 512, 14, 14), (512, 512, 3, 3), SAME),
    ((1, 512, 7, 7), (512, 512, 3, 3), SAME),
    ((1, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((1, 64, 56, 56), (64, 64, 1, 1), {}),
    ((1, 64, 56, 56), (64, 64, 3, 3), SAME),
    ((1, 256, 56, 56), (512, 256, 1, 1), {"stride": 2}),
    ((1, 128, 56, 56), (128, 128, 3, 3), HALF),
    ((1, 1024, 14, 14), (256, 1024, 1, 1), {}),
)
_CONVOLUTIONS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")

# Windows that slide: pooling of ResNet's stem and of VGG's first block.
_POOLS = (
    ((16, 64, 112, 112), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((16, 64, 112, 112), {"kernel_size": 2}),
)
_POOLINGS = ("max_pool2d", "max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward")

_NETWORKS = (
    *(Row(op, x, weight, options) for x, weight, options in _LAYERS for op in _CONVOLUTIONS),
    *(Row(op, x, None, options) for x, options in _POOLS for op in _POOLINGS),
)
WINDOWED = (*TABLE, *(row for row in _NETWORKS if row not in TABLE))


class Plain(NamedTuple):
    """An operation without a window of its own kind in WINDOWED. `arrays` are shapes of normal operands, by
    position."""

    op: str
    arrays: tuple[tuple[int, ...], ...]
    options: dict[str, object] = {}  # noqa: RUF012 - a row is never changed


_IMAGES = (32, 64, 56, 56)
_ROWS = (256, 1000)

PLAIN = (
    Plain("conv1d", ((16, 64, 1024), (64, 64, 3)), SAME),
    Plain("conv3d", ((2, 16, 16, 32, 32), (16, 16, 3, 3, 3)), SAME),
    Plain("conv2d", ((16, 32, 56, 56), (32, 1, 3, 3)), {"padding": 1, "groups": 32}),
    Plain("conv2d", ((4, 64, 56, 56), (64, 16, 3, 3)), {"padding": 1, "groups": 4}),
    Plain("conv2d", ((4, 64, 28, 28), (64, 64, 3, 3)), {"padding": 2, "dilation": 2}),
    Plain("conv_transpose2d", ((4, 64, 28, 28), (64, 32, 2, 2)), {"stride": 2}),
    Plain("global_avg_pool2d", (_IMAGES,)),
    Plain("adaptive_avg_pool2d", (_IMAGES,), {"output_size": 7}),
    Plain("adaptive_max_pool2d", (_IMAGES,), {"output_size": 7}),
    Plain("upsample", ((8, 64, 28, 28),), {"scale_factor": 2, "mode": "nearest"}),
    Plain("upsample", ((8, 64, 28, 28),), {"scale_factor": 2, "mode": "bilinear"}),
    Plain("batch_norm_train", (_IMAGES, (64,), (64,))),
    Plain("local_response_norm", (_IMAGES,), {"size": 5}),
    Plain("relu", (_IMAGES,)),
    Plain("relu6", (_IMAGES,)),
    Plain("leaky_relu", (_IMAGES,)),
    Plain("sigmoid", (_IMAGES,)),
    Plain("tanh", (_IMAGES,)),
    Plain("silu", (_IMAGES,)),
    Plain("relu_backward", (_IMAGES, _IMAGES)),
    Plain("silu_backward", (_IMAGES, _IMAGES)),
    Plain("add", (_IMAGES, _IMAGES)),
    Plain("softmax", (_ROWS,)),
    Plain("log_softmax", (_ROWS,)),
    Plain("linear", (_ROWS, (512, 1000), (512,))),
    Plain("linear_backward", ((256, 512), _ROWS, (512, 1000))),
)

# Operations whose time is that of another: inference of batch norm is that of training without the sums, packing is
# part of the call that it saves, losses and dropout are a pass over the array as the pointwise operations are.
NOT_TIMED = {
    "avg_pool1d",
    "avg_pool3d",
    "batch_norm",
    "conv_transpose1d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "max_pool1d",
    "max_pool3d",
    "mse_loss",
    "pack",
}
