"""Where the time of an optimized model goes: a table of its steps and a picture of it.
It must never change what is timed."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..plots import new_figure
from .nodes import Node
from .plan_table import aligned
from .steps import Assembly, Call

_HEAD = ("layer", "kind", "output", "algorithm", "ms", "GFLOP/s", "share")
# Of a picture; more could not be read.
_BARS = 30
_COLOURS = {"direct": "tab:blue", "winograd": "tab:orange", "": "tab:green"}


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
    """The rows in the order in which they run; `str` is a table."""

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
        lines.append(("", "", "", "", f"{self.ms:.3f}", f"{self.gflops:.0f}", ""))
        return aligned(lines, left=4, rules=(1, len(lines) - 1))

    @property
    def gflops(self) -> float:
        """10^9 operations a second, over all steps."""
        return sum(row.flops for row in self.rows) / self.ms / 1e6 if self.ms > 0 else 0.0

    def plot(self, path: str | os.PathLike, title: str = "") -> None:
        """A PNG of the rows that take most time, in the order in which they run, and of the rest together: bars of
        milliseconds, coloured by algorithm. ImportError without matplotlib (the extra [train])."""
        slowest = sorted(self.rows, key=lambda row: row.ms, reverse=True)[:_BARS]
        rows = [row for row in self.rows if row in slowest]
        others = self.ms - sum(row.ms for row in rows)
        bars = len(rows) + (len(rows) < len(self.rows))
        figure = new_figure((11, 1.4 + 0.24 * bars))  # inches
        axes = figure.subplots()
        for place, row in enumerate(rows):
            algorithm = row.algorithm.split(" ")[0]
            bar = axes.barh(place, row.ms, color=_COLOURS[algorithm], label=algorithm or "no convolution")
            speed = f", {row.gflops:.0f} GFLOP/s" if row.flops else ""
            axes.bar_label(bar, [f"{row.ms:.3g} ms{speed}"], fontsize=7, padding=3)
        if bars > len(rows):
            axes.bar_label(axes.barh(len(rows), others, color="lightgrey"), [f"{others:.3g} ms"], fontsize=7, padding=3)
        names = [*map(_label, rows), f"the other {len(self.rows) - len(rows)} steps"][:bars]
        axes.set_yticks(range(bars), names, fontsize=7)
        axes.set_ylim(bars - 0.4, -0.6)
        axes.set_xlabel("milliseconds of a call (median)")
        axes.margins(x=0.2)
        axes.set_axisbelow(True)
        axes.grid(axis="x", alpha=0.3)
        whole = f"{self.ms:.2f} ms, {self.gflops:.0f} GFLOP/s by the operations of the direct method"
        axes.set_title("\n".join(filter(None, (title, whole))), fontsize=10)
        legend = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
        axes.legend(legend.values(), legend.keys(), loc="best", fontsize=8)
        figure.savefig(path, format="png", dpi=110)


def _label(row: Row) -> str:
    """The end of a long name says more than its beginning."""
    name = row.name if len(row.name) <= 40 else "…" + row.name[-39:]
    return f"{name}   {row.kind}"


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
    flops = 2 * batch * node.multiply_adds
    return Row(node.name, node.described(), (batch, *node.output.shape[1:]), algorithm, ms, flops)
