"""OpenVINO on its CPU device, for latency, in true float32."""

from importlib.metadata import version
from typing import Any

import openvino

from ..cases import Case
from ..operands import operands
from . import Contestant
from .one_conv import has_onnx, one_conv


class Library:
    """Weights are laid out when the model is compiled; input and output tensors are used again."""

    def __init__(self, threads: int) -> None:
        self.core = openvino.Core()
        self.settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }

    def versions(self) -> dict[str, Any]:
        return {"openvino": version("openvino")}

    def contestants(self, case: Case) -> dict[str, Contestant]:
        if not has_onnx(case):
            return {}
        given = operands(case)
        model = self.core.compile_model(self.core.read_model(one_conv(case, given.weight)), "CPU", self.settings)
        request = model.create_infer_request()
        request.set_input_tensor(openvino.Tensor(given.x, shared_memory=True))

        def call(x=given.x) -> None:  # x is kept alive by the default argument
            request.infer()

        return {"OpenVINO": Contestant(call, lambda _: request.get_output_tensor().data)}
