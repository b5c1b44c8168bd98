"""ONNX Runtime on its CPU provider: weights are laid out at load, input and output stay where they are."""

from typing import Any

import numpy as np
import onnxruntime

from ..cases import Case
from ..operands import operands
from . import Contestant
from .one_conv import has_onnx, one_conv


class Library:
    """All optimisations of the graph; threads may spin inside a turn."""

    def __init__(self, threads: int) -> None:
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads, self.options.inter_op_num_threads = threads, 1
        self.options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

    def versions(self) -> dict[str, Any]:
        return {"onnxruntime": onnxruntime.__version__}

    def contestants(self, case: Case) -> dict[str, Contestant]:
        if not has_onnx(case):
            return {}
        given = operands(case)
        model = one_conv(case, given.weight)
        session = onnxruntime.InferenceSession(model, self.options, providers=["CPUExecutionProvider"])
        y = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(case.y), np.float32)
        binding = session.io_binding()
        # The binding does not keep what it points at: the default arguments below do.
        x = onnxruntime.OrtValue.ortvalue_from_numpy(given.x)
        binding.bind_ortvalue_input("x", x)
        binding.bind_ortvalue_output("y", y)

        def call(x=x, y=y) -> None:
            session.run_with_iobinding(binding)

        return {"ONNX Runtime": Contestant(call, lambda _: y.numpy())}
