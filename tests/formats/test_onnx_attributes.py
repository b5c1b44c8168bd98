"""Every attribute that an operator of ONNX has: read, so that the result is ONNX Runtime's, or refused by its name."""

import re

import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv.formats import FormatError

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_results import run  # noqa: E402

from fastconv.formats.onnx_read import BUILDERS  # noqa: E402

KERNEL = {"kernel_shape": [2, 3]}
PICTURE, ROWS = (2, 4, 6, 6), (4, 4)


def floats(*shape):
    return np.random.default_rng(len(shape)).uniform(0.5, 1.5, shape).astype(np.float32)


def whole(*values):
    return np.array(values, np.int64)


# Operator: shape of x, its other operands, the attributes that it must have.
NODES = {
    "Conv": (PICTURE, [floats(4, 4, 2, 3)], {}),
    "ConvTranspose": (PICTURE, [floats(4, 4, 2, 3)], {"strides": [2, 2]}),
    "Gemm": (ROWS, [floats(4, 4), floats(4)], {}),
    "BatchNormalization": (PICTURE, [floats(4)] * 4, {}),
    "LRN": (PICTURE, [], {"size": 3}),
    "Clip": (PICTURE, [], {}),
    "HardSigmoid": (PICTURE, [], {}),
    "Softmax": (PICTURE, [], {}),
    "LogSoftmax": (PICTURE, [], {}),
    "Dropout": (PICTURE, [], {}),
    "Cast": (PICTURE, [], {"to": TensorProto.FLOAT}),
    "LeakyRelu": (PICTURE, [], {}),
    "Elu": (PICTURE, [], {}),
    "Selu": (PICTURE, [], {}),
    "Celu": (PICTURE, [], {}),
    "ThresholdedRelu": (PICTURE, [], {}),
    "Gelu": (PICTURE, [], {}),
    "Concat": (PICTURE, [], {"axis": 1}),
    "MaxPool": (PICTURE, [], KERNEL),
    "AveragePool": (PICTURE, [], KERNEL),
    "LpPool": (PICTURE, [], KERNEL),
    "ReduceMean": (PICTURE, [], {}),
    "ReduceSum": (PICTURE, [], {}),
    "ReduceMax": (PICTURE, [], {}),
    "Reshape": (PICTURE, [whole(2, 6, 24)], {}),
    "Flatten": (PICTURE, [], {}),
    "Squeeze": ((2, 1, 4, 1), [], {}),
    "Unsqueeze": (ROWS, [], {"axes": [1]}),
    "Transpose": (PICTURE, [], {}),
    "Slice": (PICTURE, [], {"starts": [1], "ends": [3]}),
    "Split": (PICTURE, [], {}),
    "Pad": (PICTURE, [whole(0, 0, 1, 2, 0, 0, 2, 1)], {}),
    "Resize": (PICTURE, [None, np.float32([1, 1, 2, 2])], {}),
    "Upsample": (PICTURE, [np.float32([1, 1, 2, 2])], {}),
}
# What operands were as attributes, before the opset of the first number.
EARLIER = {
    "Pad": (11, [], {"pads": [0, 0, 1, 2, 0, 0, 2, 1]}),
    "Upsample": (9, [], {"scales": [1.0, 1.0, 2.0, 2.0]}),
    "Resize": (11, [np.float32([1, 1, 2, 2])], {}),
}
# What each attribute is given, besides what it is where it is left out.
VALUES = {
    "auto_pad": ["SAME_UPPER", "SAME_LOWER", "VALID"],
    "kernel_shape": [[2, 3]],
    "pads": [[1, 0, 0, 1]],
    "strides": [[2, 1]],
    "dilations": [[2, 1]],
    "group": [1],
    "output_padding": [[1, 0]],
    "output_shape": [[11, 12]],
    "axes": [[1], [1, 3]],
    "scales": [[1.0, 1.0, 3.0, 1.0]],
    "perm": [[0, 2, 3, 1]],
    "split": [[1, 1]],
    "num_outputs": [2],
    "starts": [[2]],
    "ends": [[4]],
    "axis": [0, 2],
    "keepdims": [0, 1],
    "size": [5],
    "to": [TensorProto.FLOAT],
    "seed": [3],
    "round_mode": ["up", "down"],
    "coordinate_transformation_mode": [
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
        "half_pixel",
        "half_pixel_symmetric",
    ],
    "nearest_mode": ["floor", "ceil", "round_prefer_ceil", "round_prefer_floor"],
    "keep_aspect_ratio_policy": ["stretch"],
    "min": [0.3],
    "max": [0.4],
}
# Of one operator, where others take other ones.
OWN_VALUES = {
    ("Gelu", "approximate"): ["none", "tanh"],
    ("LpPool", "p"): [1, 2, 3],
    ("Resize", "cubic_coeff_a"): [-0.5],
    ("Pad", "mode"): ["constant", "reflect", "edge"],
    ("Pad", "pads"): [[0, 1, 0, 2, 0, 0, 3, 1]],
    ("Slice", "axes"): [[2]],
    ("Slice", "starts"): [[0]],
    ("Resize", "axes"): [[0, 1, 2, 3]],
    ("Resize", "exclude_outside"): [0],
    ("Cast", "saturate"): [1],
}
REFUSED = {
    ("BatchNormalization", "training_mode"): "Training_mode = True",
    ("AveragePool", "dilations"): r"dilations \(2, 1\)",
    ("Resize", "antialias"): "antialias=1 and mode 'nearest'",
    ("LpPool", "dilations"): r"dilations \(2, 1\)",
}


def values(kind, name, schema):
    if (kind, name) in OWN_VALUES:
        return OWN_VALUES[kind, name]
    if name == "mode":
        return (
            ["nearest", "linear", "cubic"] if kind == "Resize" and schema.since_version > 10 else ["nearest", "linear"]
        )
    if name in VALUES:
        return VALUES[name]
    return [0.7] if schema.attributes[name].type == onnx.defs.OpSchema.AttrType.FLOAT else [0, 1]


OPSETS = (9, 10, 13, 17, 19, 20)


def schema_of(kind, opset):
    """None where that opset has no such operator."""
    try:
        schema = onnx.defs.get_schema(kind, opset)
    except onnx.defs.SchemaError:
        return None
    return None if schema.deprecated else schema


CASES = [
    pytest.param(opset, kind, name, value, id=f"{opset}-{kind}-{name}-{value}")
    for opset in OPSETS
    for kind in NODES
    if (schema := schema_of(kind, opset))
    for name in sorted(schema.attributes)
    for value in values(kind, name, schema)
]


def model_of(opset, kind, **more):
    shape, operands, given = NODES[kind]
    if kind in EARLIER and opset < EARLIER[kind][0]:
        _, operands, given = EARLIER[kind]
    if kind == "Unsqueeze" and opset >= 13:
        operands, given = [whole(1)], {}
    if kind == "Slice" and opset >= 10:
        operands, given = [whole(1), whole(3)], {}
    tensors = {f"w{place}": array for place, array in enumerate(operands) if array is not None}
    names = ["x", *("" if array is None else f"w{place}" for place, array in enumerate(operands))]
    outputs = ["y", "z"] if kind == "Split" else ["y"]
    attributes = {**given, **more}
    if kind == "Split" and opset >= 18:
        attributes.setdefault("num_outputs", 2)
    node = helper.make_node(kind, names, outputs, "one", **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    for output in model.graph.output:
        if not output.type.tensor_type.HasField("shape"):
            output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape))
    return model, np.random.default_rng(0).standard_normal(shape, np.float32)


@pytest.mark.parametrize(("opset", "kind", "name", "value"), CASES)
def test_an_attribute_is_read_or_refused(tmp_path, opset, kind, name, value):
    model, x = model_of(opset, kind, **{name: value})
    onnx.save(model, tmp_path / "a.onnx")
    try:
        loaded = fastconv.load(tmp_path / "a.onnx")
    except FormatError as error:
        assert re.search(REFUSED.get((kind, name), "nothing: it is read"), str(error))
        return
    got = loaded(x)
    for one, want in zip(got if isinstance(got, tuple) else (got,), run(tmp_path / "a.onnx", x), strict=True):
        assert one.shape == want.shape
        np.testing.assert_allclose(one, want, rtol=1e-5, atol=1e-5)


def test_padding_of_max_pooling_is_below_every_float64(tmp_path):
    """It was float32's lowest number, which a window of lower ones of float64 is not above."""
    window = {"kernel_shape": [2, 2], "pads": [0, 0, 2, 2]}
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MaxPool", ["x"], ["y"], **window)],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.DOUBLE, (1, 1, 2, 2))],
            [helper.make_tensor_value_info("y", TensorProto.DOUBLE, (1, 1, 3, 3))],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "a.onnx")
    y = fastconv.load(tmp_path / "a.onnx")(np.full((1, 1, 2, 2), -1e300))
    np.testing.assert_array_equal(y[..., :2, :2], np.full((1, 1, 2, 2), -1e300))


def test_dropout_of_a_constant(tmp_path):
    tensors = [numpy_helper.from_array(np.float32([[1, 2]]), "c")]
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Dropout", ["c"], ["d"], seed=1), helper.make_node("Add", ["x", "d"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 2))],
            tensors,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "a.onnx")
    np.testing.assert_array_equal(fastconv.load(tmp_path / "a.onnx")(np.float32([[1, 1]])), np.float32([[2, 3]]))


def test_every_operator_with_attributes_is_here():
    schemas = {kind: [schema_of(kind, opset) for opset in OPSETS] for kind in BUILDERS}
    having = {kind for kind, found in schemas.items() if any(schema and schema.attributes for schema in found)}
    assert having == set(NODES)


def test_what_nobody_reads_is_refused(tmp_path, monkeypatch):
    """Attributes were recorded as read and nobody asked: a builder that forgot one gave the wrong network."""
    graph = helper.make_graph(
        [helper.make_node("LeakyRelu", ["x"], ["y"], "leak", alpha=0.25)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 2))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    monkeypatch.setitem(BUILDERS, "LeakyRelu", lambda at: at.add(L.ReLU(), at.x()))
    with pytest.raises(FormatError, match=r"node 0, LeakyRelu 'leak'.*alpha=0\.25"):
        fastconv.load(tmp_path / "a.onnx")
