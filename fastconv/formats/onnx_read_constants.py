"""Nodes that compute with constants alone, mostly arithmetic on shapes: onnx's own evaluator computes them.
It must never let a small file ask for a large result."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .onnx_read_graph import with_open
from .onnx_read_node import At

# Numbers that all results of a file together may have beyond what their operands have: 1 GB of float32.
_MOST = 1 << 28

_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Neg", "Floor", "Ceil", "Sqrt", "Abs", "Pow", "Max", "Min")
_ELEMENTWISE = (*_ARITHMETIC, "Equal", "Where")
_MOVES = ("Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Concat", "Slice", "Gather")
_OTHERS = ("Shape", "Size", "Constant", "ConstantOfShape", "Range", "ReduceProd")
_FOLDABLE = frozenset((*_ELEMENTWISE, *_MOVES, *_OTHERS))


def foldable(kind: str) -> bool:
    """Whether nodes of that operator are computed here if their operands are constants."""
    return kind in _FOLDABLE


def folded(onnx: Any, at: At, opsets: Iterable[Any]) -> Iterator[tuple[str, np.ndarray | None]]:
    """(name, array) of each result; None for a shape that depends on x."""
    node = at.node
    if node.op_type in ("Shape", "Size") and not at.is_constant(0):
        yield node.output[0], _shape(at)
        return
    if node.op_type == "Constant":
        yield node.output[0], _constant(onnx, at)
        return
    if node.op_type == "Cast" and node.input[0] in at.wiring.parts:
        # To int32 and back, around arithmetic that is not there: sizes that are open have no other form.
        yield node.output[0], at.wiring.constant(node.input[0])
        return
    names = list(dict.fromkeys(name for name in node.input if name))
    arrays = [at.wiring.constant(name) for name in names]
    _require_bounded(at, dict(zip(names, arrays, strict=True)))
    from onnx.reference import ReferenceEvaluator

    kinds = [onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for array in arrays]
    make, infos = onnx.helper.make_tensor_value_info, zip(names, kinds, arrays, strict=True)
    inputs = [make(name, kind, array.shape) for name, kind, array in infos]
    outputs = [make(name, onnx.TensorProto.UNDEFINED, None) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "one", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=list(opsets))
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))
    except Exception as error:  # whatever an operator's own code raises
        raise at.refuse(f"{type(error).__name__}: {error}"[:300], "constants that it can compute with") from None
    for name, result in zip((name for name in node.output if name), results, strict=True):
        yield name, np.array(result, order="C")


def _shape(at: At) -> np.ndarray | None:
    shape = at.shape(0)
    start, end = at.whole("start", 0), at.whole("end", 2**31)
    if shape is None or (at.kind == "Size" and None in shape):
        return None
    return np.array(math.prod(shape), np.int64) if at.kind == "Size" else with_open(shape)[start:end]


def _constant(onnx: Any, at: At) -> np.ndarray:
    for attribute in at.node.attribute:
        if attribute.name == "value" and attribute.HasField("t"):
            at.wiring.tensors.require_sound(attribute.t, at.where)
            return at.wiring.tensors.array(attribute.t, at.where)
        if attribute.name in ("value_int", "value_ints"):
            return np.array(attribute.i if attribute.name == "value_int" else list(attribute.ints), np.int64)
        if attribute.name in ("value_float", "value_floats"):
            return np.array(attribute.f if attribute.name == "value_float" else list(attribute.floats), np.float32)
    raise at.refuse("no value that is read here", "value, value_int(s) or value_float(s)")


def _require_bounded(at: At, arrays: dict[str, np.ndarray]) -> None:
    """FormatError where results become much larger than what they are made of."""
    given = [arrays[name] for name in at.node.input if name]
    size = None
    try:
        if at.kind in _ELEMENTWISE:
            size = math.prod(np.broadcast_shapes(*(array.shape for array in given)))
        elif at.kind == "ConstantOfShape":
            size = math.prod(int(length) for length in given[0].reshape(-1))
        elif at.kind == "Gather":
            axis = at.whole("axis", 0)
            size = given[1].size * given[0].size // max(1, given[0].shape[axis])
        elif at.kind == "Range":
            start, limit, delta = (float(array) for array in given)
            size = math.ceil((limit - start) / delta)
    except (ValueError, IndexError, ZeroDivisionError, TypeError, OverflowError) as error:
        raise at.refuse(f"{type(error).__name__}: {error}", "constants that fit each other") from None
    if size is None:
        return
    at.wiring.made += max(0, size - sum(array.size for array in given))
    if at.wiring.made > _MOST:
        raise at.refuse(f"{at.wiring.made:,} numbers made of nothing", f"at most {_MOST:,} in a file")
