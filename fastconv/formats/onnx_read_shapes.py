"""ONNX's operators that move or cut arrays as layers.
A size that depends on the batch stays open: 0 keeps that of x, -1 is what remains."""

from .. import layers as L
from .onnx_read_graph import Shape, open_axis, product
from .onnx_read_node import At


def reshape(at: At) -> None:
    target: tuple[int, ...] | None = None
    as_it_is = at.whole("allowzero", 0)
    if at.is_constant(1):
        target = at.whole_numbers(1, "shape")
        if as_it_is and 0 in target:
            raise at.refuse(f"allowzero=1 and shape {target}", "sizes that are not 0")
        shape = at.shape()
        # A batch that was traced as a number: it stays that of x where the rest fits without it.
        if shape is not None and shape[0] is None and product(shape[1:]) not in (None, 0) and target:
            rest = [size for size in target[1:] if size != -1]
            if -1 not in target and target[0] > 0 and product(rest) == product(shape[1:]):
                target = (-1, *target[1:])
    else:
        target = _unknown_target(at)
    if not target:
        raise at.refuse(f"shape {target}", "at least one axis")
    at.set_shape(tuple(size if size > 0 else None for size in target))
    at.add(L.Reshape(target), at.x())


def _unknown_target(at: At) -> tuple[int, ...]:
    """A shape that depends on the size of the batch: as onnx inferred it, or of the numbers that are known."""
    name = at.node.input[1]
    if name in at.wiring.parts:
        numbers = at.wiring.parts[name].reshape(-1).tolist()
        axes = [open_axis(number) for number in numbers]
        if -1 in numbers:
            if all(axis in (None, place) for place, axis in enumerate(axes)):
                return tuple(number if axis is None else 0 for number, axis in zip(numbers, axes, strict=True))
        elif 0 not in numbers:
            sizes = tuple(number if axis is None else None for number, axis in zip(numbers, axes, strict=True))
            return _open(at, sizes, tuple(axes))
    found = at.wiring.shapes.get(at.node.output[0])
    if found is None:
        raise at.refuse("a shape that is not known", "a constant, or one that follows from the shape of x")
    return _open(at, found, tuple(range(len(found))))


def _open(at: At, sizes: Shape, sources: tuple[int | None, ...]) -> tuple[int, ...]:
    """A shape for Reshape of these sizes; of one that is unknown `sources` says which axis of x it is."""
    unknown = [place for place, size in enumerate(sizes) if size is None]
    if len(unknown) <= 1:
        return tuple(-1 if size is None else size for size in sizes)
    kept = [place for place in unknown if sources[place] == place]
    if len(unknown) - len(kept) > 1:
        raise at.refuse(f"a result of shape {sizes}", "at most one size that is not known")
    return tuple((0 if place in kept else -1) if size is None else size for place, size in enumerate(sizes))


def flatten(at: At) -> None:
    axis = at.whole("axis", 1)
    if axis == 1:
        at.add(L.Flatten(1), at.x())
        return
    shape = at.known_shape()
    axis += len(shape) if axis < 0 else 0
    if not 0 <= axis <= len(shape):
        raise at.refuse(f"axis={axis}", f"an axis of x of shape {shape}")
    first, second = product(shape[:axis]), product(shape[axis:])
    at.add(L.Reshape(_open(at, (first, second), (None, None))), at.x())


def _axes(at: At, rank: int) -> tuple[int, ...] | None:
    """An attribute before opset 13, then an operand."""
    axes = at.wholes("axes") if at.opset < 13 else at.whole_numbers(1, "axes")
    if axes is None:
        return None
    if any(not -rank <= axis < rank for axis in axes):
        raise at.refuse(f"axes {axes}", f"axes of {rank} dimensions")
    return tuple(axis % rank for axis in axes)


def squeeze(at: At) -> None:
    shape = at.known_shape()
    axes = _axes(at, len(shape))
    if axes is None:
        if None in shape:
            raise at.refuse(f"no axes and x of shape {shape}", "axes, or an x of known shape")
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    sources = tuple(axis for axis in range(len(shape)) if axis not in axes)
    if not sources:
        raise at.refuse(f"axes {axes}", "an axis that stays")
    at.add(L.Reshape(_open(at, tuple(shape[axis] for axis in sources), sources)), at.x())


def unsqueeze(at: At) -> None:
    shape = at.known_shape()
    given = at.wholes("axes") if at.opset < 13 else at.whole_numbers(1, "axes")
    if not given:
        raise at.refuse("no axes", "axes")
    rank = len(shape) + len(given)
    axes = _axes(at, rank) or ()
    rest = iter(range(len(shape)))
    sources = tuple(None if axis in axes else next(rest) for axis in range(rank))
    sizes = tuple(1 if source is None else shape[source] for source in sources)
    at.add(L.Reshape(_open(at, sizes, sources)), at.x())


def transpose(at: At) -> None:
    order = at.wholes("perm")
    at.add(L.Permute(tuple(reversed(range(len(at.known_shape())))) if order is None else order), at.x())


def slice_(at: At) -> None:
    """One Slice an axis, one after the other."""
    if at.opset < 10:
        starts, ends, axes, steps = at.wholes("starts"), at.wholes("ends"), at.wholes("axes"), None
    else:
        names = ("starts", "ends", "axes", "steps")
        starts, ends, axes, steps = (at.whole_numbers(place, name) for place, name in enumerate(names, 1))
    if not starts or not ends or len(starts) != len(ends):
        raise at.refuse(f"starts {starts} and ends {ends}", "as many of both")
    axes, steps = axes or tuple(range(len(starts))), steps or (1,) * len(starts)
    if len(axes) != len(starts) or len(steps) != len(starts) or min(steps) < 1:
        raise at.refuse(f"axes {axes}, steps {steps}", f"{len(starts)} axes and steps of at least 1")
    x = at.x()
    for place, (start, end, axis, step) in enumerate(zip(starts, ends, axes, steps, strict=True)):
        part = "" if place == len(starts) - 1 else f"axis{axis}"
        x = at.add(L.Slice(_end(start), _end(end), step, axis), x, part=part)


def _end(value: int) -> int | None:
    """The numbers that stand for the end of any axis."""
    return None if value >= 2**31 - 1 else max(value, -(2**62))


def split(at: At) -> None:
    axis, outputs = at.whole("axis", 0), len(at.node.output)
    if at.whole("num_outputs", outputs) != outputs:
        raise at.refuse(f"num_outputs={at.whole('num_outputs', outputs)}", f"{outputs}, as many as there are")
    sizes = at.wholes("split") if at.opset < 13 else at.whole_numbers(1, "split")
    if sizes is None:
        shape = at.known_shape()
        size = shape[axis]
        if size is None:
            raise at.refuse(f"x of shape {shape}", "a known size of the axis that is split")
        part = -(-size // outputs)
        sizes = tuple(min(part, size - place * part) for place in range(outputs))
    if len(sizes) != outputs or min(sizes) < 1:
        raise at.refuse(f"split {sizes} for {outputs} outputs", "a size of at least 1 for each")
    x, start = at.x(), 0
    for output, size in enumerate(sizes):
        if at.node.output[output]:
            at.add(L.Slice(start, start + size, 1, axis), x, output=output)
        start += size


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def pad(at: At) -> None:
    mode = _MODES[at.word("mode", "constant", _MODES)]
    if at.opset < 11:
        pads, value = at.wholes("pads"), at.real("value", 0.0)
    else:
        pads = at.whole_numbers(1, "pads")
        value = float(at.floats(2, "value").reshape(-1)[0]) if at.has(2) else 0.0
    axes = at.whole_numbers(3, "axes")
    if not pads or len(pads) % 2 or min(pads) < 0:
        raise at.refuse(f"pads {pads}", "two numbers of at least 0 for each axis")
    pairs = list(zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True))
    if axes is not None:
        rank = len(at.known_shape())
        given = {axis % rank: pair for axis, pair in zip(axes, pairs, strict=True)}
        pairs = [given.get(axis, (0, 0)) for axis in range(rank)]
    if not any(map(any, pairs)):
        at.pass_on()
        return
    first = next(place for place, pair in enumerate(pairs) if any(pair))
    at.add(L.Pad(tuple(pairs[first:]), at.finite(value), mode), at.x())
