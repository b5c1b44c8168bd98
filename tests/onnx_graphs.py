"""The networks that the onnx package brings along, with seeded weights in place of the constants that stand for them.
It must never need a file but those of the package."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

_FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"
LIGHT = sorted(path.stem.removeprefix("light_") for path in _FOLDER.glob("*.onnx"))


def seeded(name: str, path: Path, seed: int = 0) -> tuple[int, ...]:
    """Write that network with weights drawn so that values keep their size; the shape of its input."""
    model = onnx.load(_FOLDER / f"light_{name}.onnx")
    graph, rng = model.graph, np.random.default_rng(seed)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made = {node.output[0]: shapes[node.input[0]] for node in graph.node if node.op_type == "ConstantOfShape"}
    kinds = {}
    for node in graph.node:
        for place, read in enumerate(node.input):
            kinds.setdefault(read, (node.op_type, place))
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    for read, shape in made.items():
        graph.initializer.append(numpy_helper.from_array(_drawn(rng, kinds[read], tuple(shape)), read))
    used = {read for node in nodes for read in node.input}
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    names = {tensor.name for tensor in kept}
    (given,) = [value for value in graph.input if value.name in used - names]
    shape = tuple(dim.dim_value for dim in given.type.tensor_type.shape.dim)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(given.name, onnx.TensorProto.FLOAT, shape))
    model.ir_version = max(model.ir_version, 4)
    onnx.save(model, path)
    return shape


def _drawn(rng: np.random.Generator, kind: tuple[str, int], shape: tuple[int, ...]) -> np.ndarray:
    operator, place = kind
    if operator in ("Conv", "Gemm") and place == 1:
        fan_in = int(np.prod(shape[1:]))
        return rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
    if operator == "BatchNormalization" and place in (1, 4):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if operator in ("Mul", "Unsqueeze"):
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    return rng.standard_normal(shape, np.float32) * np.float32(0.1)
