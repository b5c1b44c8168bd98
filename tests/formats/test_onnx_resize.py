"""Resize, Upsample and Pad of ONNX files: every rule of where results lie, as ONNX Runtime and the evaluator."""

from itertools import product

import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv.formats import FormatError

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_results import run  # noqa: E402

from fastconv.layers.resize import POSITIONS, ROUNDINGS  # noqa: E402

SHAPE = (2, 3, 5, 7)


def saved(path, kind, operands, opset=19, shape=SHAPE, dtype=TensorProto.FLOAT, **attributes):
    """A file of one node on x and constants; an operand None is left out."""
    names = ["" if array is None else f"w{place}" for place, array in enumerate(operands)]
    weights = [numpy_helper.from_array(a, n) for n, a in zip(names, operands, strict=True) if n]
    x, y = (helper.make_tensor_value_info(n, dtype, dims) for n, dims in (("x", shape), ("y", [None] * len(shape))))
    graph = helper.make_graph([helper.make_node(kind, ["x", *names], ["y"], "n", **attributes)], "g", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return path


def compared(path, shape=SHAPE, evaluator=False):
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    got = fastconv.load(path)(x)
    want = ReferenceEvaluator(onnx.load(path)).run(None, {"x": x})[0] if evaluator else run(path, x)[0]
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    return got


def floats(*values):
    return np.array(values, np.float32)


def whole(*values):
    return np.array(values, np.int64)


RULES = [name for name in POSITIONS if name != "tf_crop_and_resize"]
SIZES = {"larger": (8, 15), "smaller": (3, 4), "both": (7, 3), "one": (1, 1), "twice": (10, 14)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("rule", "mode"), list(product(RULES, ("nearest", "linear", "cubic"))))
def test_sizes_by_every_rule(tmp_path, rule, mode, size):
    sizes = whole(*SHAPE[:2], *SIZES[size])
    how = {"mode": mode, "coordinate_transformation_mode": rule}
    compared(saved(tmp_path / "a.onnx", "Resize", [None, None, sizes], **how))


@pytest.mark.parametrize("scale", [(1.5, 2.6), (0.6, 0.45), (2, 0.7), (3, 2)])
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("rule", ["half_pixel", "asymmetric", "tf_half_pixel_for_nn", "pytorch_half_pixel"])
def test_scales_by_every_rounding(tmp_path, rule, rounding, scale):
    how = {"coordinate_transformation_mode": rule, "nearest_mode": rounding}
    compared(saved(tmp_path / "a.onnx", "Resize", [None, floats(1, 1, *scale)], **how))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("size", SIZES)
def test_antialias(tmp_path, mode, size):
    path = tmp_path / "a.onnx"
    compared(saved(path, "Resize", [None, None, whole(*SHAPE[:2], *SIZES[size])], mode=mode, antialias=1))


@pytest.mark.parametrize("rule", ["half_pixel", "align_corners", "asymmetric"])
def test_cubic_of_what_is_inside_alone(tmp_path, rule):
    how = {"mode": "cubic", "coordinate_transformation_mode": rule, "exclude_outside": 1, "cubic_coeff_a": -0.5}
    compared(saved(tmp_path / "a.onnx", "Resize", [None, floats(1, 1, 1.6, 0.8)], **how))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("region", [(0.1, 0.2, 0.8, 0.7), (-0.3, 0.4, 1.2, 0.4), (0.9, 0, 0.2, 1)])
@pytest.mark.parametrize("size", ["larger", "smaller", "one"])
def test_crops(tmp_path, mode, region, size):
    """Beyond x too, where the result is extrapolation_value, and from the end to the start."""
    roi = floats(0, 0, *region[:2], 1, 1, *region[2:])
    how = {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": -7.5}
    got = compared(
        saved(tmp_path / "a.onnx", "Resize", [roi, None, whole(*SHAPE[:2], *SIZES[size])], **how), evaluator=True
    )
    assert (region[0] >= 0) or size == "one" or (got == -7.5).any()


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
@pytest.mark.parametrize("size", SIZES)
def test_a_kept_aspect_on_axes_of_ones_own(tmp_path, policy, size):
    how = {"keep_aspect_ratio_policy": policy, "axes": [3, 2], "mode": "linear"}
    compared(saved(tmp_path / "a.onnx", "Resize", [None, None, whole(*SIZES[size][::-1])], **how))


@pytest.mark.parametrize("shape", [(2, 3, 9), (1, 2, 3, 4, 5)])
def test_other_numbers_of_axes(tmp_path, shape):
    scales = floats(1, 1, *(1.5, 0.7, 2)[: len(shape) - 2])
    for mode in ("nearest", "linear"):
        compared(saved(tmp_path / "a.onnx", "Resize", [None, scales], shape=shape, mode=mode), shape)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scale", [(1.5, 2.5), (0.6, 0.5), (2, 2)])
def test_before_opset_11(tmp_path, mode, scale):
    for opset in (9, 10):
        kind = "Upsample" if opset == 9 else "Resize"
        if opset == 10 or min(scale) >= 1:
            compared(saved(tmp_path / "a.onnx", kind, [floats(1, 1, *scale)], opset, mode=mode))


def test_sizes_that_depend_on_the_batch(tmp_path):
    """As PyTorch's exporter spells interpolate(x, size): Concat of a part of Shape and numbers."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Slice", ["s", "from", "to"], ["kept"]),
        helper.make_node("Concat", ["kept", "large"], ["sizes"], axis=0),
        helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="cubic"),
    ]
    constants = {"from": whole(0), "to": whole(2), "large": whole(7, 4)}
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE[1:]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 7, 4])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "a.onnx")
    for batch in (1, 4):
        compared(tmp_path / "a.onnx", (batch, *SHAPE[1:]))


def test_whole_factors_are_the_fast_layer(tmp_path):
    def kind(**how):
        graph = fastconv.load(saved(tmp_path / "a.onnx", "Resize", [None, floats(1, 1, 2, 3)], **how))
        (node,) = graph.order
        return type(node.layer)

    assert kind() is L.Upsample and kind(mode="linear") is L.Upsample
    assert kind(coordinate_transformation_mode="asymmetric", nearest_mode="floor") is L.Upsample
    assert kind(coordinate_transformation_mode="asymmetric", nearest_mode="ceil") is L.Resize
    assert kind(mode="linear", coordinate_transformation_mode="align_corners") is L.Resize
    assert kind(mode="cubic") is L.Resize


PADS = [(0, 1, 2, 3, 0, 1, 1, 2), (0, 0, 0, 6, 0, 0, 4, 0)]


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", PADS)
def test_pad(tmp_path, mode, pads):
    compared(saved(tmp_path / "a.onnx", "Pad", [whole(*pads)], mode=mode))


REFUSED = [
    ("Resize", [None, floats(1, 1, 2)], {}, "rank"),
    ("Resize", [None, floats(1, 1, 0, 2)], {}, "scale"),
    ("Resize", [None, floats(1, 1, np.nan, 2)], {}, None),
    ("Resize", [None, floats(1, 1, np.inf, 2)], {}, None),
    ("Resize", [None, floats(1, 1, -2, 2)], {}, None),
    ("Resize", [None, None, whole(2, 3, 0, 4)], {}, None),
    ("Resize", [None, None, whole(2, 3, -4, 4)], {}, None),
    ("Resize", [None, None, floats(2, 3, 4, 4)], {}, None),
    ("Resize", [], {}, None),
    ("Resize", [None, floats(1, 1, 2, 2)], {"mode": "lanczos"}, "mode"),
    ("Resize", [None, floats(1, 1, 2, 2)], {"nearest_mode": "up"}, "nearest_mode"),
    ("Resize", [None, floats(1, 1, 2, 2)], {"coordinate_transformation_mode": "centre"}, "coordinate"),
    ("Resize", [None, floats(2, 2)], {"axes": [2, 2]}, "Axis"),
    ("Resize", [None, floats(2, 2)], {"axes": [2, 4]}, "axis"),
    ("Resize", [None, floats(1, 1, 2, 2)], {"coordinate_transformation_mode": "tf_crop_and_resize"}, "roi"),
    ("Resize", [floats(0, 0, 1), floats(1, 1, 2, 2)], {"coordinate_transformation_mode": "tf_crop_and_resize"}, None),
    ("Pad", [whole(0, 0, 1)], {"mode": "reflect"}, None),
    ("Pad", [whole(0, 0, 0, 0, 0, 0, -1, 0)], {"mode": "reflect"}, "pads"),
    ("Pad", [whole(0, 0, 0, 0, 0, 0, 1, 0)], {"mode": "mirror"}, "mode"),
    ("LpPool", [], {"kernel_shape": [2, 2], "p": 0}, "norm_type"),
    ("LpPool", [], {"kernel_shape": [2, 2, 2, 2]}, None),
    ("LpPool", [], {}, "kernel_shape"),
    ("ReduceSum", [whole(4)], {}, "axis"),
    ("ReduceSum", [whole(1, -3)], {}, "axes"),
    ("Gelu", [], {"approximate": "erf"}, "approximate"),
    ("Celu", [], {"alpha": 0.0}, "alpha"),
    ("Selu", [], {"gamma": float("nan")}, "scale"),
    ("Upsample", [floats(1, 1, 0.5, 2)], {}, "scales"),
]


@pytest.mark.parametrize(("kind", "operands", "attributes", "text"), REFUSED)
def test_what_is_wrong_is_refused(tmp_path, kind, operands, attributes, text):
    opset = {"Upsample": 9, "Gelu": 20}.get(kind, 19)
    path = saved(tmp_path / "a.onnx", kind, operands, opset, **attributes)
    with pytest.raises(FormatError, match=text):
        fastconv.load(path)


@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceMax", "ReduceMean"])
def test_a_scalar_has_no_axes_to_reduce(tmp_path, kind):
    """It was a ZeroDivisionError where axes were given."""
    with pytest.raises(FormatError):
        fastconv.load(saved(tmp_path / "a.onnx", kind, [whole(0)], shape=()))
    with pytest.raises(FormatError):
        fastconv.load(saved(tmp_path / "a.onnx", kind, [], shape=()))


def test_a_huge_factor_takes_no_memory_to_load(tmp_path):
    """Whether each pixel is repeated was tried out on as many elements as the factor is large."""
    model = fastconv.load(saved(tmp_path / "a.onnx", "Resize", [None, floats(1, 1, 2**22, 2**22)]))
    assert isinstance(model.order[0].layer, L.Resize)
