"""Where the time of an optimized model goes: a table of its steps and a picture of it.
It must never change what is timed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .nodes import Node
from .plan_table import aligned
from .steps import Assembly, Call

_HEAD = ("layer", "kind", "output", "algorithm", "ms", "GFLOP/s", "share")


@dataclass(frozen=True)
class Row:
    """One step: the layers it stands for, what it does, its algorithm, milliseconds (median of the runs), and its
    floating-point operations, 2 for a multiply-add; 0 for all but convolutions and fully connected layers."""

    name: str
    kind: str
    output: tuple[int, ...]
    algorithm: str
    ms: float
    flops: int

    @property
    def gflops(self) -> float:
        """10^9 operations a second, counted as the direct method does."""
        return self.flops / self.ms / 1e6 if self.ms > 0 else 0.0


@dataclass(frozen=True)
class Profile:
    """The rows in the order in which they run; `str` is a table. `ms` is their sum."""

    rows: tuple[Row, ...]

    @property
    def ms(self) -> float:
        """Milliseconds of all steps."""
        return sum(row.ms for row in self.rows)

    def __str__(self) -> str:
        lines = [_HEAD]
        for row in self.rows:
            size, flops = "x".join(map(str, row.output)), f"{row.gflops:.0f}" if row.flops else ""
            lines.append((row.name, row.kind, size, row.algorithm, f"{row.ms:.3f}", flops, _share(row.ms, self.ms)))
        flops = sum(row.flops for row in self.rows)
        lines.append(("", "", "", "", f"{self.ms:.3f}", f"{flops / self.ms / 1e6:.0f}" if self.ms else "", ""))
        return aligned(lines, left=4, rules=(1, len(lines) - 1))

    def plot(self, path: str | Path) -> None:
        """A picture of the rows that take most time, and of the rest together; needs matplotlib (extra [train])."""
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError('the picture needs matplotlib: pip install "fastconv[train]"') from error
        most = sorted(self.rows, key=lambda row: row.ms, reverse=True)[:30]
        rows = [row for row in self.rows if row in most]
        labels = [f"{row.name}  {row.kind} {row.algorithm}".strip() for row in rows]
        values = [row.ms for row in rows]
        if len(rows) < len(self.rows):
            labels.append(f"{len(self.rows) - len(rows)} others")
            values.append(self.ms - sum(values))
        figure = Figure(figsize=(9, 1 + 0.24 * len(values)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        bars = axes.barh(range(len(values)), values, color="tab:blue")
        speeds = [f"{row.gflops:.0f} GFLOP/s" if row.flops else "" for row in rows]
        axes.bar_label(bars, [*speeds, ""][: len(values)], fontsize=7, padding=2)
        axes.set_yticks(range(len(values)), labels, fontsize=7)
        axes.invert_yaxis()
        axes.set_xlabel(f"milliseconds of {self.ms:.2f}")
        axes.margins(x=0.15)
        figure.savefig(path)


def _share(ms: float, whole: float) -> str:
    return f"{100 * ms / whole:.1f} %" if whole else ""


class Times:
    """Seconds of each step of a program, and of each layer called."""

    def __init__(self, steps: int) -> None:
        self.steps = np.zeros(steps)
        self.calls: dict[Call, float] = {}

    @contextmanager
    def of(self, call: Call) -> Iterator[None]:
        """Take the time of what is inside."""
        start = time.perf_counter()
        yield
        self.calls[call] = time.perf_counter() - start


def profiled(assembly: Assembly, taken: list[Times], batch: int) -> Profile:
    """The rows of a program, whose times are the medians of those taken for such a batch."""
    steps = 1e3 * np.median([times.steps for times in taken], axis=0)
    rows = []
    for part in assembly.schedule:
        if isinstance(part, Call):
            ms = 1e3 * float(np.median([times.calls[part] for times in taken]))
            rows.append(_row(part.node, "", ms, batch))
        else:
            for i in range(part.first, part.stop):
                rows.append(_row(assembly.nodes[i], assembly.algorithms[i], float(steps[i]), batch))
    return Profile(tuple(rows))


def _row(node: Node, algorithm: str, ms: float, batch: int) -> Row:
    flops = 2 * batch * node.output.image * node.terms
    return Row(node.name, node.described(), (batch, *node.output.shape[1:]), algorithm, ms, flops)
