"""`fastconv.save(model, "model.onnx", input_shape=...)`: a model in inference as an ONNX file, opset 17.
It must never write a file that onnx's checker refuses, nor leave out a layer without saying so."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import layers as L
from ..layers.base import Layer
from ..version import __version__
from . import onnx_write_curves as curves
from . import onnx_write_layers as leaf
from . import onnx_write_pool as pool
from .atomic import write_atomically
from .files import PathType
from .model_file import picture_metadata
from .onnx_write_walk import Walked, Writer, walk

OPSET, IR_VERSION = 17, 8
# The limit of protobuf, with room for the nodes.
_MAX_BYTES = 2**31 - 2**24
# Constants that say shapes are smaller, and the check reads them.
_SMALL_BYTES = 2**12

# Every layer that is not made of others, and the function that adds its nodes.
WRITERS: Mapping[type[Layer], Writer] = {
    **dict.fromkeys((L.Conv1d, L.Conv2d, L.Conv3d), leaf.conv),
    **dict.fromkeys((L.ConvTranspose1d, L.ConvTranspose2d, L.ConvTranspose3d), leaf.conv_transpose),
    **dict.fromkeys((L.MaxPool1d, L.MaxPool2d, L.MaxPool3d), pool.max_pool),
    **dict.fromkeys((L.AvgPool1d, L.AvgPool2d, L.AvgPool3d), pool.avg_pool),
    L.AdaptiveAvgPool2d: pool.adaptive_avg_pool,
    L.AdaptiveMaxPool2d: pool.adaptive_max_pool,
    L.LpPool: pool.lp_pool,
    L.GlobalAvgPool2d: pool.global_avg_pool,
    **dict.fromkeys((L.BatchNorm1d, L.BatchNorm2d, L.BatchNorm3d), leaf.batch_norm),
    L.LocalResponseNorm: leaf.local_response_norm,
    L.Linear: leaf.linear,
    L.ReLU: curves.relu,
    L.ReLU6: curves.relu6,
    L.LeakyReLU: curves.leaky_relu,
    L.Sigmoid: curves.sigmoid,
    L.Tanh: curves.tanh,
    L.SiLU: curves.silu,
    L.Hardtanh: curves.hardtanh,
    L.Hardsigmoid: curves.hardsigmoid,
    L.Hardswish: curves.hardswish,
    L.ELU: curves.elu,
    L.Softplus: curves.softplus,
    L.PReLU: curves.prelu,
    L.Threshold: curves.threshold,
    L.SELU: curves.selu,
    L.CELU: curves.celu,
    L.Mish: curves.mish,
    L.GELU: curves.gelu,
    L.Softsign: curves.softsign,
    L.Erf: curves.erf,
    L.Mean: leaf.mean,
    L.Sum: leaf.sum_,
    L.Amax: leaf.amax,
    L.Softmax: curves.softmax,
    L.LogSoftmax: curves.log_softmax,
    **dict.fromkeys((L.Identity, L.Dropout, L.YoloHead), leaf.passed_on),
    L.Flatten: leaf.flatten,
    L.Reshape: leaf.reshape,
    L.Permute: leaf.permute,
    L.Slice: leaf.slice_,
    L.Pad: leaf.pad,
    L.Upsample: leaf.upsample,
    L.Resize: leaf.resize,
    L.Add: leaf.add,
    L.Sub: leaf.sub,
    L.Mul: leaf.mul,
    L.Div: leaf.div,
    L.MatMul: leaf.matmul,
    L.Cat: leaf.cat,
    L.Constant: leaf.constant,
}


def save_onnx(model: Layer, path: PathType, input_shape: Any) -> None:
    """Write `model(x)` atomically as an ONNX file, checked by onnx; `input_shape` is that of x, batch included, and of
    several inputs a list of shapes.

    The file takes batches of any size, unless a layer of the model fixes it or moves it to another axis; the other
    sizes are those given. Weights keep the names of the state dict; the input is "x" and the result "y", those of a
    Graph have its names. TypeError for a layer that is not fastconv's, ValueError for shapes that do not fit and for
    weights beyond the 2 GB that an ONNX file can hold.
    """
    onnx = onnx_package()
    shapes = _shapes(model, input_shape)
    size = sum(array.nbytes for array in model.state_dict(copy=False).values())
    if size > _MAX_BYTES:
        raise ValueError(f"save: an ONNX file holds at most 2 GB, the model has {size:,} bytes of weights")
    write_atomically(path, [_encoded(onnx, walk(model, shapes, WRITERS), picture_metadata(model))])


def _shapes(model: Layer, input_shape: Any) -> list[tuple[int, ...]]:
    if input_shape is None:
        raise TypeError("save: an ONNX file needs input_shape, the shape of x: input_shape=(1, 3, 224, 224)")
    several = isinstance(input_shape, (tuple, list)) and any(isinstance(s, (tuple, list)) for s in input_shape)
    shapes = list(input_shape) if several else [input_shape]
    for shape in shapes:
        if not isinstance(shape, (tuple, list)) or not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"save: input_shape must be sizes, as (1, 3, 224, 224), or a list of such, got {shape!r}")
    if model.input_count is not None and len(shapes) != model.input_count:
        raise ValueError(f"save: the model has {model.input_count} inputs, input_shape is of {len(shapes)}")
    return [tuple(shape) for shape in shapes]


def _encoded(onnx: Any, walked: Walked, metadata: Mapping[str, str]) -> bytes:
    """The file's content. Weights are copied as seldom as protobuf allows: into the message, and into the bytes."""
    make = onnx.helper
    kind = make.np_dtype_to_tensor_dtype(walked.dtype)
    nodes = [make.make_node(op.kind, op.inputs, [op.output], op.output, **op.attributes) for op in walked.nodes]
    inputs, outputs = (
        [make.make_tensor_value_info(name, kind, sizes) for name, sizes in values]
        for values in (walked.inputs, walked.outputs)
    )
    model = make.make_model(
        make.make_graph(nodes, "fastconv", inputs, outputs),
        ir_version=IR_VERSION,
        opset_imports=[make.make_opsetid("", OPSET)],
        producer_name="fastconv",
        producer_version=__version__,
    )
    make.set_model_props(model, dict(metadata))
    _check(onnx, model, walked.weights)
    for name, array in walked.weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return model.SerializeToString()


def _check(onnx: Any, model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Let onnx check the nodes and infer all shapes, with the large weights as inputs: it would copy them again."""
    make = onnx.helper
    light = type(model)()
    light.CopyFrom(model)
    for name, array in weights.items():
        if array.nbytes <= _SMALL_BYTES:
            light.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        else:
            kind = make.np_dtype_to_tensor_dtype(array.dtype)
            light.graph.input.append(make.make_tensor_value_info(name, kind, array.shape))
    onnx.checker.check_model(light, full_check=True)


def onnx_package() -> Any:
    """The onnx package; an ImportError that names the extra where it is missing."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.shape_inference
    except ImportError as error:
        raise ImportError('ONNX files need the onnx package: pip install "fastconv[onnx]"') from error
    return onnx
