"""ncnn: one picture, forward, in true float32, weights transformed at load (Winograd among its algorithms)."""

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

from ..cases import Case
from ..operands import operands
from . import Contestant

_REDUCED = ("fp16_storage", "fp16_packed", "fp16_arithmetic", "bf16_storage", "bf16_packed")
_INTEGER = ("int8_storage", "int8_packed", "int8_arithmetic", "int8_inference")


class Library:
    """Blobs and workspaces come from pools, as in ncnn's own benchmark."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pools = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()

    def versions(self) -> dict[str, Any]:
        return {"ncnn": version("ncnn")}

    def contestants(self, case: Case) -> dict[str, Contestant]:
        if case.op != "conv2d" or case.x[0] != 1 or case.dtype != "float32":
            return {}
        given = operands(case)
        network = self._network(case, given.weight)
        x = ncnn.Mat(given.x[0])

        def call(given=given) -> Any:  # the Mat reads given.x
            extractor = network.create_extractor()
            extractor.input("x", x)
            status, y = extractor.extract("y")
            if status:
                raise RuntimeError(f"ncnn: extract returned {status}")
            return y

        return {"ncnn": Contestant(call, lambda y: np.array(y)[None])}

    def _network(self, case: Case, weight: np.ndarray) -> Any:
        network = ncnn.Net()
        network.opt.num_threads = self.threads
        network.opt.blob_allocator, network.opt.workspace_allocator = self.pools
        for name in _REDUCED + _INTEGER:
            setattr(network.opt, f"use_{name}", False)
        K, _, R, S = case.weight
        stride, dilation, padding = (
            case.options.get(name, usual) for name, usual in (("stride", 1), ("dilation", 1), ("padding", 0))
        )
        # The keys: outputs, kernel width, dilation, stride, padding, bias, size of weights, kernel height, 7: groups.
        values = {0: K, 1: S, 2: dilation, 3: stride, 4: padding, 5: 0, 6: weight.size, 11: R}
        kind = "Convolution"
        if case.groups > 1:
            kind, values[7] = "ConvolutionDepthWise", case.groups
        text = " ".join(f"{key}={value}" for key, value in values.items())
        parameters = f"7767517\n2 2\nInput in 0 1 x\n{kind} conv 1 1 x y {text}\n"
        if network.load_param_mem(parameters):
            raise RuntimeError("ncnn: load_param_mem failed")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "weights.bin")
            path.write_bytes(bytes(4) + weight.tobytes())  # 4 zero bytes: float32 follows
            if network.load_model(str(path)):
                raise RuntimeError("ncnn: load_model failed")
        return network
