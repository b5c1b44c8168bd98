"""fastconv.compat.onnx by ONNX's own conformance suite: Backend and the evaluator with new_ops on its node tests."""

import re
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of overflow and division in the suite's own data
    from onnx.backend.test import BackendTest
    from onnx.backend.test.loader import load_model_tests

    NODES = {case.name: case for case in load_model_tests(kind="node")}

from onnx.reference import ReferenceEvaluator  # noqa: E402

from fastconv.compat import onnx as ours  # noqa: E402

# What networks of float32 and float64 are made of.
_OPERATORS = (
    "basic_conv conv_ convtranspose maxpool averagepool lppool globalaveragepool globalmaxpool batchnorm lrn gemm "
    "matmul softmax logsoftmax relu leakyrelu prelu elu sigmoid hardsigmoid hardswish tanh softplus clip resize "
    "upsample concat "
    "constant_pad edge_pad reflect_pad wrap_pad flatten reshape squeeze unsqueeze transpose slice split identity "
    "dropout_default add sub mul div sum reduce_mean reduce_sum_(?!square) reduce_max "
    "selu celu mish gelu thresholdedrelu softsign erf"
)
INCLUDED = "|".join(f"^test_{name}" for name in _OPERATORS.split())

# Not what it is for, by the reason; a regular expression of names.
EXCLUDED = {
    "integers and short floats: fastconv computes float32 and float64": "(u?int(2|4|8|16|32|64)|float16|matmulinteger)",
    "integers, which the suite pads in these modes alone": "(edge|reflect|wrap)_pad",
    "logical or of boolean values": "reduce_max_.*bool",
    "operators spelled out by functions of ONNX in other operators": "_expanded",
    "sequences and optional values": "(sequence|identity_opt)",
    "training mode, whose statistics are outputs": "batchnorm.*training_mode",
    "indices as a second output: fastconv.max_pool2d gives them": "maxpool_with_argmax",
    "the mask of dropout, which does nothing in inference": "dropout_default_mask",
    "means and p-norms with dilation": "(averagepool|lppool).*dilations",
    "matrix products of vectors": "matmul_(1d|4d_1d)",
    "a slope for each element": "prelu_(example|broadcast)_",
    "corners aligned with a fraction of a pixel that no result has; ONNX Runtime and PyTorch drop it too": (
        "resize_downsample_scales_(linear|cubic)_align_corners"
    ),
    "sizes of 0": "(empty_set|zero_size|zero_dim|allowzero|start_out_of_bounds)",
    "steps backwards": "slice_neg_steps",
}
_KINDS = {np.dtype(np.float32), np.dtype(np.float64)}


def is_run(name: str) -> bool:
    return bool(re.search(INCLUDED, name)) and not any(re.search(part, name) for part in EXCLUDED.values())


OnnxBackendNodeModelTest = BackendTest(ours.Backend, __name__).test_cases["OnnxBackendNodeModelTest"]
for _name in [name for name in vars(OnnxBackendNodeModelTest) if name.startswith("test_")]:
    if not _name.endswith("_cpu") or not is_run(_name):
        delattr(OnnxBackendNodeModelTest, _name)


def chosen(kinds: str) -> list[str]:
    """Names of the suite's node tests of these operators, in float32 or float64."""
    return [
        name
        for name, case in NODES.items()
        if re.search(kinds, name)
        and "_expanded" not in name
        and {np.asarray(x).dtype for xs, _ in case.data_sets for x in xs[:1]} <= _KINDS
    ]


NEW = "^test_(basic_conv|conv_|convtranspose|maxpool|averagepool|batchnorm|global(average|max)pool|lrn|softmax)"


@pytest.mark.parametrize("name", chosen(NEW))
def test_new_ops_in_the_reference_evaluator(name):
    """Including indices, ceil_mode, dilation: fastconv where it computes them, the evaluator's own where not."""
    case = NODES[name]
    session = ReferenceEvaluator(case.model, new_ops=ours.new_ops)
    for xs, wanted in case.data_sets:
        results = session.run(None, dict(zip(session.input_names, xs, strict=True)))
        for got, want in zip(results, wanted, strict=True):
            assert got.dtype == want.dtype and got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=case.rtol, atol=1e-6)


def test_the_suite_was_run():
    """So many of the suite's node tests are not excluded, and each reason excludes some."""
    assert len([name for name in vars(OnnxBackendNodeModelTest) if name.startswith("test_")]) >= 200
    assert len(chosen(NEW)) >= 70
    for reason, part in EXCLUDED.items():
        assert any(re.search(INCLUDED, name) and re.search(part, f"{name}_cpu") for name in NODES), reason


def test_new_ops_are_used(monkeypatch):
    model = NODES["test_basic_conv_with_padding"].model
    (xs, _), *_ = NODES["test_basic_conv_with_padding"].data_sets
    calls = []
    monkeypatch.setitem(ours._CONV, 2, lambda *a, **k: calls.append(a) or np.zeros((1, 1, 5, 5), np.float32))
    session = ReferenceEvaluator(model, new_ops=ours.new_ops)
    session.run(None, dict(zip(session.input_names, xs, strict=True)))
    assert len(calls) == 1


def conv_model(kind=TensorProto.FLOAT, operator="Conv"):
    weight = numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "w")
    x, y = (helper.make_tensor_value_info(n, kind, ["n", c, None, None]) for n, c in (("x", 3), ("y", 2)))
    graph = helper.make_graph([helper.make_node(operator, ["x", "w"], ["y"])], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_interface():
    x = np.ones((2, 3, 4, 5), np.float32)
    (y,) = ours.Backend.run_model(conv_model(), [x])
    np.testing.assert_array_equal(y, np.full((2, 2, 2, 3), 27, np.float32))
    prepared = ours.Backend.prepare(conv_model())
    np.testing.assert_array_equal(prepared.run({"x": x})[0], y)
    with pytest.raises(ValueError, match=r"has the inputs \['x'\]"):
        prepared.run([])
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 1])
    (y,) = ours.Backend.run_node(node, [x, np.ones((2, 3, 3, 3), np.float32)])
    assert y.shape == (2, 2, 1, 3)
    assert ours.Backend.supports_device("CPU") and not ours.Backend.supports_device("CUDA")
    assert ours.Backend.is_compatible(conv_model()) and not ours.Backend.is_compatible(conv_model(TensorProto.INT32))
    with pytest.raises(ValueError, match="CUDA"):
        ours.Backend.prepare(conv_model(), "CUDA")
