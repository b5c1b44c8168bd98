"""Bad inputs that every op must refuse, found from its argument names: sizes, dtypes, objects, out=,
keywords."""

import inspect
from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from .row import Bad, Case, Op

# argument -> smallest legal value
SIZES = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "kernel_size": 1, "output_padding": 0, "output_size": 1,
    "scale_factor": 1,
}  # fmt: skip
NUMBER = {"stride": 25, "dilation": 29, "padding": 31, "groups": 18, "kernel_size": 40, "output_padding": 47}


def base(op: Op, dtype=np.float32) -> tuple[Case, dict]:
    """A small valid call of the op."""
    case = next(c for c in op.cases if not c.empty and min(map(len, c.shapes.values())) and len(c.shapes) > 0)
    several = [c for c in op.cases if not c.large and all(min(s) > 1 for s in c.shapes.values())]
    case = several[0] if several else case
    return case, {**op.arrays(case, "integers", 0, dtype), **case.settings}


def everywhere(op: Op) -> Iterator[Bad]:
    """Cases 1 to 60 as far as they follow from the arguments alone, and 69, 70, 64, 68 for out=."""
    parameters = inspect.signature(op.function).parameters
    case, good = base(op)
    yield from _objects(case, good)
    for name, least in SIZES.items():
        if name in parameters:
            yield from _sizes(name, least, good)
    if "layout" in parameters:
        for wrong in ("NCWH", "nhwc", ""):
            yield Bad(0, {**good, "layout": wrong}, ValueError, "layout")
        yield Bad(0, {**good, "layout": None}, (TypeError, ValueError), "layout")
    if "algorithm" in parameters:
        yield Bad(0, {**good, "algorithm": "fft"}, ValueError, "algorithm.*fft")
        yield Bad(0, {**good, "algorithm": 3}, (TypeError, ValueError), "algorithm")
    for name in ("ceil_mode", "count_include_pad", "return_indices"):
        if name in parameters:
            yield Bad(36, {**good, name: "yes"}, TypeError, name)
    if "out" in parameters:
        yield from _outs(op, case, good)
    yield Bad(50, {**good, "paddings": 1}, TypeError, "paddings")


def _objects(case: Case, good: dict) -> Iterator[Bad]:
    names = [name for name in case.shapes if good[name].dtype.kind == "f"]
    for name in names:
        a = good[name]
        for dtype in (np.int8, np.int32, np.int64, np.uint8, bool):
            yield Bad(51, {**good, name: a.astype(dtype)}, TypeError, name)
        for dtype in (np.float16, np.longdouble, np.complex64, np.complex128):
            yield Bad(52, {**good, name: a.astype(dtype)}, TypeError, name)
        if len(names) > 1:
            yield Bad(53, {**good, name: a.astype(np.float64)}, TypeError, "float32.*float64|float64.*float32")
        yield Bad(54, {**good, name: a.astype(object)}, TypeError, name)
        yield Bad(54, {**good, name: a.astype("U8")}, TypeError, name)
        yield Bad(54, {**good, name: np.zeros(a.shape, "M8[s]")}, TypeError, name)
        yield Bad(54, {**good, name: np.zeros(a.shape, [("f", "f4")])}, TypeError, name)
        yield Bad(54, {**good, name: np.zeros(a.shape, "V4")}, TypeError, name)
        yield Bad(55, {**good, name: np.ma.masked_array(a, a > 0)}, TypeError, name)
        yield Bad(56, {**good, name: [[1.0], [1.0, 2.0]]}, (TypeError, ValueError), name)
        for wrong in (object(), {}, "1", b"1", lambda: 0):
            yield Bad(57, {**good, name: wrong}, TypeError, name)
        if name not in ("bias", "weight") or "x" not in case.shapes:
            yield Bad(58, {**good, name: None}, TypeError, name)


def _sizes(name: str, least: int, good: dict) -> Iterator[Bad]:
    number = NUMBER.get(name, 25)
    for value in (least - 1, -(1 << 31), -(1 << 70)):
        yield Bad(number, {**good, name: value}, ValueError, f"{name}.*{value}")
    yield Bad(28, {**good, name: 1 << 70}, ValueError, name)
    for value in (2.0, None, np.float32(1), 1j, Decimal(1), {}, np.array(1.5), float("nan")):
        if not (value is None and name == "stride"):
            yield Bad(39 if value != value else 36, {**good, name: value}, TypeError, name)
    if name != "padding":
        yield Bad(36, {**good, name: "2"}, (TypeError, ValueError), name)
    for value in (True, np.True_, np.array(True)):
        yield Bad(38, {**good, name: value}, TypeError, name)
    if name != "groups":
        for value in ([], (), (1, 1, 1, 1, 1, 1), np.ones((2, 2, 2), int)):
            yield Bad(36, {**good, name: value}, (TypeError, ValueError), name)


def _outs(op: Op, case: Case, good: dict) -> Iterator[Bad]:
    y = op.function(**good)
    y = y[0] if isinstance(y, tuple) else y
    for wrong in (y[..., :-1].copy(), y[None].copy(), y.ravel().copy()):
        if wrong.shape != y.shape:
            yield Bad(69, {**good, "out": wrong}, ValueError, "out")
    for dtype in (np.float64, np.float16, np.int32, y.dtype.newbyteorder()):
        yield Bad(69, {**good, "out": np.zeros(y.shape, dtype)}, (TypeError, ValueError), "out")
    for wrong in (y.tolist(), "y", 3, memoryview(y)):
        yield Bad(69, {**good, "out": wrong}, TypeError, "out")
    spread = np.zeros((*y.shape, 2), y.dtype)[..., 0]
    memory = np.zeros(y.nbytes + 1, np.uint8)[1:].view(y.dtype).reshape(y.shape)
    for wrong in (spread, memory, np.asfortranarray(y) if y.ndim > 1 else spread):
        yield Bad(69, {**good, "out": wrong}, ValueError, "out")
    locked = y.copy()
    locked.flags.writeable = False
    yield Bad(68, {**good, "out": locked}, ValueError, "out")
    yield Bad(64, {**good, "out": np.broadcast_to(np.zeros((), y.dtype), y.shape)}, ValueError, "out")
    for name in case.shapes:
        array = good[name]
        if array.dtype != y.dtype:
            continue
        room = np.zeros(array.size + y.size, y.dtype)
        inside = room[: array.size].reshape(array.shape)
        inside[...] = array
        overlapping = room[array.size - 1 :][: y.size].reshape(y.shape)
        yield Bad(70, {**good, name: inside, "out": overlapping}, ValueError, "out")
