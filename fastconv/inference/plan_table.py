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
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    texts = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths[:-1], strict=True)]
        texts.append("  ".join([*cells, line[-1].rjust(widths[-1])]))
    texts.insert(1, "-" * len(texts[0]))
    total = sum(prod(node.output.shape) for node in nodes) * dtype.itemsize
    arena, weights = plan.size * dtype.itemsize, assembly.weight_bytes
    texts.append("-" * len(texts[0]))
    texts.append(f"arena {_mib(arena)} for arrays of {_mib(total)} in all; weights {_mib(weights)}, {len(nodes)} steps")
    return "\n".join(texts)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
