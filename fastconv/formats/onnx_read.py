"""Opens an ONNX file as a Graph: the operators that convolutional networks are made of, opset 7 to the newest that the
onnx package knows. It must never take memory that the file's own size does not account for."""

from typing import Any

import numpy as np

from ..layers import Graph, Identity
from . import onnx_read_joins as joins
from . import onnx_read_layers as layers
from . import onnx_read_pool as pool
from . import onnx_read_resize as resize
from . import onnx_read_shapes as shapes
from .errors import FormatError
from .files import PathType, open_regular
from .model_file import take_picture_metadata
from .onnx_read_constants import foldable, folded
from .onnx_read_graph import Wiring
from .onnx_read_node import At, Builder
from .onnx_read_tensors import Tensors
from .onnx_write import onnx_package

OLDEST_OPSET = 7

# Every operator, and the function that adds its layers. What computes with constants alone is folded before.
BUILDERS: dict[str, Builder] = {
    "Conv": layers.conv,
    "ConvTranspose": layers.conv_transpose,
    "Gemm": layers.gemm,
    "MatMul": layers.matmul,
    "BatchNormalization": layers.batch_normalization,
    "LRN": layers.lrn,
    "PRelu": layers.prelu,
    "Clip": layers.clip,
    "Selu": layers.selu,
    "Gelu": layers.gelu,
    "HardSigmoid": layers.hard_sigmoid,
    "Softmax": layers.softmax,
    "LogSoftmax": layers.log_softmax,
    "Dropout": layers.dropout,
    "Identity": layers.identity,
    "Cast": layers.cast,
    **dict.fromkeys(layers.SIMPLE, layers.simple),
    **dict.fromkeys(joins.JOINS, joins.join),
    **dict.fromkeys(("Max", "Min"), joins.bound),
    "Concat": joins.concat,
    "MaxPool": pool.max_pool,
    "AveragePool": pool.average_pool,
    "GlobalAveragePool": pool.global_average_pool,
    "GlobalMaxPool": pool.global_max_pool,
    "LpPool": pool.lp_pool,
    **dict.fromkeys(pool.REDUCTIONS, pool.reduce),
    "Reshape": shapes.reshape,
    "Flatten": shapes.flatten,
    "Squeeze": shapes.squeeze,
    "Unsqueeze": shapes.unsqueeze,
    "Transpose": shapes.transpose,
    "Slice": shapes.slice_,
    "Split": shapes.split,
    "Pad": shapes.pad,
    "Resize": resize.resize,
    "Upsample": resize.upsample,
}


def load_onnx(path: PathType, *, external_data: bool = False) -> Graph:
    """The network of an ONNX file, of float32 or float64, for batches of any size where the file says so.

    Inputs and outputs keep their order. A layer whose weight is called "layer1.0.weight" or the like is node
    "layer1.0", so that `state_dict()` has PyTorch's names; any other has the name of its result. With `external_data`
    weights may lie in other files of the folder that holds this one. What fastconv.save wrote brings `preprocess` and
    `labels` back. FormatError: what is malformed, an operator or an attribute that is not supported.
    """
    try:
        return graph_of(_parsed(onnx_package(), path), path, external_data=external_data)
    except UnicodeDecodeError as error:  # protobuf hands out texts that are none
        raise FormatError(path, None, f"text that is not UTF-8 ({error.reason})", "UTF-8") from None


def graph_of(model: Any, path: PathType = "the model", *, external_data: bool = False) -> Graph:
    """The network of an onnx.ModelProto; `path` is what errors name and where external data is looked for."""
    onnx = onnx_package()
    opset = _opset(onnx, path, model)
    tensors = Tensors(onnx, path, model.graph.initializer, external_data)
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    wiring = Wiring(path, tensors, opset, _light(onnx, path, model, tensors), read - {""})
    _inputs(path, model, wiring)
    for number, node in enumerate(model.graph.node):
        _node(onnx, At(wiring, node, number), model)
    return _finished(path, model, wiring)


def is_read(node: Any) -> bool:
    """Whether the operator of an onnx.NodeProto is one that is read here."""
    return node.domain in ("", "ai.onnx") and (node.op_type in BUILDERS or foldable(node.op_type))


def _parsed(onnx: Any, path: PathType) -> Any:
    from google.protobuf.message import DecodeError

    with open_regular(path) as (file, size):
        data = file.read(size)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise FormatError(path, None, f"no protobuf message ({error})", "an ONNX model") from None
    if not model.HasField("graph") or not model.graph.node:
        raise FormatError(path, None, "no graph" if data else "an empty file", "an ONNX model with at least one node")
    return model


def _opset(onnx: Any, path: PathType, model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not OLDEST_OPSET <= versions[0] <= newest:
        found = ", ".join(map(str, versions)) or "none"
        raise FormatError(path, "opset_import", f"opset {found}", f"one from {OLDEST_OPSET} to {newest}")
    if model.functions:
        raise FormatError(path, "functions", f"{len(model.functions)} functions", "none")
    return versions[0]


def _light(onnx: Any, path: PathType, model: Any, tensors: Tensors) -> dict[str, tuple[int | None, ...]]:
    """The shapes of all values, as onnx infers them from a copy without large weights, which it also checks."""
    graph, light = model.graph, onnx.ModelProto()
    light.ir_version, light.graph.name = max(model.ir_version, 4), graph.name or "graph"
    light.opset_import.extend(model.opset_import)
    light.graph.node.extend(graph.node)
    light.graph.output.extend(graph.output)
    known = {tensor.name for tensor in graph.initializer}
    light.graph.input.extend(value for value in graph.input if value.name not in known)
    for name, tensor in tensors.protos.items():
        if tensors.is_small(name):
            light.graph.initializer.append(tensor)
        else:
            light.graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
    try:
        onnx.checker.check_model(light)
        inferred = onnx.shape_inference.infer_shapes(light, strict_mode=True, data_prop=True).graph
    except Exception as error:  # the checks of onnx raise errors of several kinds of their own
        raise FormatError(path, None, str(error).strip().splitlines()[0][:300], "a graph that onnx accepts") from None
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    return {value.name: shape for value in values if (shape := _shape(value)) is not None}


def _shape(value: Any) -> tuple[int | None, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in kind.shape.dim)


def _inputs(path: PathType, model: Any, wiring: Wiring) -> None:
    known = wiring.tensors.protos
    for value in model.graph.input:
        if value.name in known:
            continue
        dtype = wiring.tensors.float_dtype(value.type.tensor_type.elem_type)
        if dtype is None or (wiring.dtype or dtype) != dtype:
            raise FormatError(path, f"input {value.name!r}", "another dtype", "float32 or float64, all of one")
        wiring.dtype = dtype
        wiring.add_input(value.name)
    if not wiring.inputs:
        raise FormatError(path, "graph.input", "no input", "at least one")


def _node(onnx: Any, at: At, model: Any) -> None:
    """Add one node: fold it, put it off, or build its layers."""
    node, wiring = at.node, at.wiring
    if not is_read(node):
        raise at.refuse(f"operator {node.domain or 'ai.onnx'}.{node.op_type}", "one of " + ", ".join(sorted(BUILDERS)))
    given = [name for name in node.input if name]
    if node.op_type in ("Shape", "Size") or (foldable(node.op_type) and wiring.are_known(node.op_type, given)):
        for name, array in folded(onnx, at, model.opset_import):
            wiring.set_constant(name, array)
        return
    if any(map(wiring.is_unknown, given)) and node.op_type not in ("Reshape", "Resize"):
        # Numbers that depend on the size of the batch: onnx's shape inference has followed them to where they are used.
        if not foldable(node.op_type):
            raise at.refuse("an operand that depends on the size of x", "a constant")
        wiring.unknown.update(node.output)
        return
    if node.op_type not in BUILDERS:
        raise at.refuse("operands that depend on x", "constants")
    try:
        BUILDERS[node.op_type](at)
        at.require_all_read()
    except FormatError:
        raise
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise at.refuse(str(error) or type(error).__name__, f"a {node.op_type} that is possible") from None


def _finished(path: PathType, model: Any, wiring: Wiring) -> Graph:
    outputs = []
    for value in model.graph.output:
        name = wiring.names.get(value.name)
        if name is None:
            raise FormatError(path, f"output {value.name!r}", "no array that depends on x", "the result of a node")
        if name in wiring.inputs or name in outputs:
            name = wiring.add(wiring.unique(value.name), Identity(), (name,))
        outputs.append(name)
    if not outputs:
        raise FormatError(path, "graph.output", "no output", "at least one")
    try:
        graph = Graph(wiring.nodes, tuple(wiring.inputs), tuple(outputs))
    except ValueError as error:
        raise FormatError(path, "graph", str(error), "layers that fit each other") from None
    take_picture_metadata(graph, path, {entry.key: entry.value for entry in model.metadata_props})
    return graph.astype(np.float64) if wiring.dtype == np.float64 else graph
