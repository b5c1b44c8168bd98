"""The memory plan of an optimized model as a table for people.
It must never decide where anything lies."""

from math import prod

import numpy as np

from .steps import Assembly, Run

_HEAD = ("layer", "kind", "output", "where", "KiB")


def summarized(assembly: Assembly, dtype: np.dtype) -> str:
    """A line a step: what it makes, where that lies, how large it is for the planned batch; below it the totals."""
    plan, lines = assembly.plan, [_HEAD]
    nodes = []
    for part in assembly.schedule:
        nodes += assembly.nodes[part.first : part.stop] if isinstance(part, Run) else [part.node]
    for node in nodes:
        place = plan.place(node.output, 0)
        where = f"arena + {place.offset * dtype.itemsize}" if place.array == 0 else "result"
        size = prod(node.output.shape) * dtype.itemsize
        output = "x".join(map(str, node.output.shape))
        lines.append((node.name, node.described(), output, where, f"{size / 1024:.0f}"))
    total = sum(prod(node.output.shape) for node in nodes) * dtype.itemsize
    table = aligned(lines, left=4, rules=(1, len(lines)))
    arena, weights, packed = map(_size, (plan.size * dtype.itemsize, assembly.weight_bytes, assembly.packed_bytes))
    arrays = f"arena {arena} for arrays of {_size(total)} in all"
    return f"{table}\n{arrays}; weights {weights}, of which laid out for the kernels {packed}; {len(nodes)} steps"


def aligned(lines: list[tuple[str, ...]], left: int, rules: tuple[int, ...]) -> str:
    """Lines of cells as columns, the first `left` of them flush left; rules stand before the lines of these numbers."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = []
    for line in lines:
        cells = zip(line, widths, strict=True)
        texts.append("  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(cells)).rstrip())
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    for number in reversed(rules):
        texts.insert(number, rule)
    return "\n".join(texts)


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
