"""Where every value lies: parts of a concat inside it, activations over what they read, all in one arena by lifetimes.
It must never let two arrays that live at the same time share memory, nor anything be written over an input."""

from dataclasses import dataclass, field
from itertools import count

from .._program import Place
from .nodes import Network, Node, Value

ALIGNMENT = 64
"""Bytes: every array of the arena begins at a multiple, a cache line and the widest vector."""

# Those that write images any distance apart.
_ANYWHERE = {"conv", "expand", "max_pool", "avg_pool", "batch_norm", "activation", "add"}
_ANYWHERE |= {"upsample", "concat", "call", "copy"}
_IN_PLACE = {"batch_norm", "activation", "add"}


@dataclass(eq=False)
class Room:
    """Memory of one or more values: `size` elements that are needed from node `first` to node `last`."""

    image: int
    size: int
    first: int
    last: int
    array: int = -1
    offset: int = 0


@dataclass(eq=False)
class Plan:
    """`places` of all values; `size` elements of arena; copies that are still needed are nodes of the network.

    Arrays of a run are numbered from `constants` on: the arena, the inputs, the outputs."""

    network: Network
    inside: dict[Value, tuple[Value, int]] = field(default_factory=dict)
    rooms: dict[Value, Room] = field(default_factory=dict)
    results: list[Value] = field(default_factory=list)
    size: int = 0

    def place(self, value: Value, constants: int) -> Place:
        """Where a value lies when the program has so many constants."""
        owner, offset = self.owner(value)
        room = self.rooms[owner]
        return Place(constants + room.array, room.offset + offset, room.image)

    def owner(self, value: Value) -> tuple[Value, int]:
        """The value whose room this one lies in, and where."""
        offset = 0
        while value in self.inside:
            value, more = self.inside[value]
            offset += more
        return value, offset


def planned(network: Network, itemsize: int) -> Plan:
    """The plan of a network, whose concats and strided views become copies of what could not be put in place."""
    plan = Plan(network)
    _place_parts(plan)
    _place_views(plan)
    _share_rooms(plan)
    _make_results(plan)
    _find_rooms(plan, max(1, ALIGNMENT // itemsize))
    return plan


def _place_parts(plan: Plan) -> None:
    """What a concat joins is written where it belongs, from the last concat to the first: one may lie in another."""
    network = plan.network
    kept = _tied(network)
    for position in range(len(network.nodes) - 1, -1, -1):
        node = network.nodes[position]
        if node.kind != "concat":
            continue
        offset, copies = 0, []
        for part in node.inputs:
            if _may_lie_inside(plan, part, kept):
                plan.inside[part] = (node.output, offset)
            else:
                copies.append((part, offset))
            offset += part.image
        network.nodes[position : position + 1] = [_copied_part(plan, node, part, at) for part, at in copies]


def _tied(network: Network) -> set[Value]:
    """What must lie with images one behind the other: a convolution that adds knows one distance for its result and the
    other term, a fully connected layer reads rows without gaps."""
    if network.batch == 1:
        return set()
    tied: set[Value] = set()
    for node in network.nodes:
        if node.kind == "linear":
            tied.update(node.inputs)
        elif node.kind == "conv" and "add" in node.settings:
            tied.update((node.output, node.inputs[1]))
    return tied


def _may_lie_inside(plan: Plan, part: Value, kept: set[Value]) -> bool:
    """Whether the node that makes it can write it into a larger array, and no other concat has it."""
    maker = part.maker
    if maker is None or part in plan.inside or part.constant is not None:
        return False
    return maker.kind in _ANYWHERE and part not in kept


def _copied_part(plan: Plan, node: Node, part: Value, offset: int) -> Node:
    """The copy of a part that lies elsewhere."""
    there = Value(f"{node.name} part", part.shape)
    plan.inside[there] = (node.output, offset)
    return Node("copy", node.name, [part], there)


def _place_views(plan: Plan) -> None:
    """The same elements under another shape: where they lie, unless images lie apart or the array is a constant."""
    for node in plan.network.nodes:
        if node.kind != "view":
            continue
        owner, _ = plan.owner(node.inputs[0])
        if plan.network.batch > 1 and owner.image != node.output.image:
            node.kind = "copy"
        else:
            plan.inside[node.output] = (node.inputs[0], 0)


def _share_rooms(plan: Plan) -> None:
    """Element by element: the result goes over an operand that nobody reads later."""
    network = plan.network
    readers = network.readers()
    viewed = {node.inputs[0] for node in network.nodes if node.kind == "view"}
    for node in network.nodes:
        if node.kind not in _IN_PLACE:
            continue
        for x in dict.fromkeys(node.inputs):
            owner, _ = plan.owner(x)
            own = network.only_reader(x, readers) and x not in viewed and x.maker.kind not in ("view", "concat")
            if not own or node.inputs.count(x) > 1 or owner.maker is None:
                continue
            if node.output not in plan.inside and x not in plan.inside:
                plan.inside[node.output] = (x, 0)
                break


def _make_results(plan: Plan) -> None:
    """Results are new arrays of the caller's: written at once where the value has a room of its own, else copied."""
    network = plan.network
    taken: set[Value] = set()
    for position, value in enumerate(network.outputs):
        if value.constant is not None:
            continue
        owner, _ = plan.owner(value)
        if owner.maker is not None and owner.image == value.image and owner not in taken:
            taken.add(owner)
            plan.results.append(owner)
            continue
        result = Value(f"result {position}", value.shape)
        network.nodes.append(Node("copy", result.name, [value], result))
        plan.results.append(result)


def _find_rooms(plan: Plan, grain: int) -> None:
    """Lifetimes of all rooms, then places in the arena: the largest first, each where it fits most tightly."""
    network, numbers = plan.network, count(1)
    for value in network.inputs:
        plan.rooms[value] = Room(value.image, 0, 0, 0, next(numbers))
    for position, node in enumerate(network.nodes):
        for value in (node.output, *node.inputs):
            if value.constant is not None:
                continue
            owner, _ = plan.owner(value)
            room = plan.rooms.get(owner)
            if room is None:
                batch = owner.shape[0] if owner.shape else 1
                size = -(-batch * owner.image // grain) * grain
                plan.rooms[owner] = Room(owner.image, size, position, position)
            elif room.array < 0:
                room.last = position
    for value in plan.results:
        plan.rooms[value].array = next(numbers)
    inner = [room for room in plan.rooms.values() if room.array < 0]
    placed: list[Room] = []
    for room in sorted(inner, key=lambda room: (-room.size, room.first)):
        others = sorted((r for r in placed if r.first <= room.last and room.first <= r.last), key=lambda r: r.offset)
        room.array, room.offset = 0, _best_gap(others, room.size)
        plan.size = max(plan.size, room.offset + room.size)
        placed.append(room)


def _best_gap(others: list[Room], size: int) -> int:
    """The start of the smallest gap between rooms, ordered by offset, that has `size` elements, or their end."""
    best, least, end = None, None, 0
    for other in others:
        gap = other.offset - end
        if gap >= size and (least is None or gap < least):
            best, least = end, gap
        end = max(end, other.offset + other.size)
    return end if best is None else best
