"""An ONNX model of one convolution whose weight is a constant, for the libraries that run ONNX."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from ..cases import Case


def one_conv(case: Case, weight: np.ndarray) -> bytes:
    """The model, from `x` to `y`."""
    sizes = {"strides": case.options.get("stride", 1), "dilations": case.options.get("dilation", 1)}
    attributes = {name: [size, size] for name, size in sizes.items()}
    attributes |= {"pads": [case.options.get("padding", 0)] * 4, "group": case.groups}
    operator = "Conv"
    if case.op == "conv_transpose2d":
        operator = "ConvTranspose"
        attributes["output_padding"] = [case.options.get("output_padding", 0)] * 2
    node = helper.make_node(operator, ["x", "weight"], ["y"], kernel_shape=case.weight[2:], **attributes)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", case.x), ("y", case.y))
    ]
    graph = helper.make_graph([node], "one_conv", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def has_onnx(case: Case) -> bool:
    """Whether the libraries that run ONNX take part: forward convolutions in float32."""
    return case.op in ("conv2d", "conv_transpose2d") and case.dtype == "float32"
