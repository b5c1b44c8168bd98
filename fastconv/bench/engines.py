"""Whole networks in the inference engines that fastconv is compared with, each from the same .onnx file.
Each is imported in a process of its own alone (contest.py), so that one runtime never meets another's threads."""

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# A call runs the network once; `results` turns what it returned into arrays.
Engine = tuple[Callable[[], Any], Callable[[Any], list[np.ndarray]]]


def _fastconv(folder: Path, x: np.ndarray, threads: int) -> Engine:
    """The optimised form of the model in fastconv's own file; the model itself is let go."""
    import fastconv

    fastconv.set_num_threads(threads)
    model = fastconv.load(folder / "model.safetensors")
    network = fastconv.optimize(model, x.shape)
    return lambda: network(x), lambda y: [*y] if isinstance(y, tuple) else [y]


def _onnxruntime(folder: Path, x: np.ndarray, threads: int) -> Engine:
    """All optimisations of the graph on the CPU provider; input and outputs are bound to memory of their own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    given = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, given)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")

    def call(given: Any = given) -> None:  # the binding does not keep what it points at
        session.run_with_iobinding(binding)

    return call, lambda _: binding.copy_outputs_to_cpu()


def _openvino(folder: Path, x: np.ndarray, threads: int) -> Engine:
    """Compiled for latency in true float32 and for this shape; input and output tensors are used again."""
    import openvino

    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    model = core.read_model(str(folder / "model.onnx"))
    model.reshape(list(x.shape))
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

    def call(x: np.ndarray = x) -> None:
        request.infer()

    return call, lambda _: [np.array(tensor.data) for tensor in request.output_tensors]


def _ncnn(folder: Path, x: np.ndarray, threads: int) -> Engine:
    """Converted by pnnx, in true float32, its weights transformed at load; one picture at a time is all it takes."""
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = threads
    pools = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
    network.opt.blob_allocator, network.opt.workspace_allocator = pools
    reduced = ("fp16_storage", "fp16_packed", "fp16_arithmetic", "bf16_storage", "bf16_packed")
    for name in (*reduced, "int8_storage", "int8_packed", "int8_arithmetic", "int8_inference"):
        setattr(network.opt, f"use_{name}", False)
    parameters, weights = folder / "model.ncnn.param", folder / "model.ncnn.bin"
    if network.load_param(str(parameters)) or network.load_model(str(weights)):
        raise RuntimeError("ncnn: the converted model could not be loaded")
    given, outputs = ncnn.Mat(x[0]), network.output_names()

    def call(x: np.ndarray = x, pools: Any = pools) -> list[Any]:  # the Mat reads x
        extractor = network.create_extractor()
        extractor.input(network.input_names()[0], given)
        answers = [extractor.extract(name) for name in outputs]
        if any(status for status, _ in answers):
            raise RuntimeError("ncnn: extract failed")
        return [y for _, y in answers]

    return call, lambda ys: [np.array(y)[None] for y in ys]


# Its name: (the modules it needs, how it is made).
ENGINES: dict[str, tuple[tuple[str, ...], Callable[[Path, np.ndarray, int], Engine]]] = {
    "fastconv": ((), _fastconv),
    "ONNX Runtime": (("onnx", "onnxruntime"), _onnxruntime),
    "OpenVINO": (("onnx", "openvino"), _openvino),
    "ncnn": (("onnx", "ncnn", "pnnx"), _ncnn),
}


def missing(engine: str) -> list[str]:
    """The packages this engine needs and that are not installed."""
    return [name for name in ENGINES[engine][0] if importlib.util.find_spec(name) is None]


def export(model: Any, x: np.ndarray, folder: Path, engines: tuple[str, ...]) -> None:
    """Write what these engines read of a model: model.safetensors, model.onnx, and for one picture ncnn's own."""
    import fastconv

    fastconv.save(model, folder / "model.safetensors")
    if any(engine != "fastconv" for engine in engines):
        fastconv.save(model, folder / "model.onnx", input_shape=x.shape)
    if "ncnn" in engines and len(x) == 1:
        program = shutil.which("pnnx") or str(Path(importlib.util.find_spec("pnnx").origin).with_name("bin") / "pnnx")
        shape = ",".join(map(str, x.shape))
        command = [program, "model.onnx", f"inputshape=[{shape}]", "fp16=0"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not (folder / "model.ncnn.bin").exists():
            raise RuntimeError(f"pnnx wrote no model: {done.stderr[-300:].strip() or done.stdout[-300:].strip()}")
