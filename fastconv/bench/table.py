"""Measures rows of shapes.py and prints them as one aligned table of times and ratios.
It must print what it measured and nothing else: no ratio over a time of another run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cases import build, sample
from .measure import rounds, timed
from .peak import peak_call
from .shapes import Row

PEERS = ("im2col", "reference", "naive")
_TITLES = {"im2col": "im2col NumPy", "reference": "reference", "naive": "naive loops (*)"}


@dataclass(frozen=True)
class Result:
    """Median seconds of a row by implementation; GFLOP/s of fastconv and of the multiply-add peak, 0 for
    pooling."""

    row: Row
    seconds: dict[str, float]
    gflops: float
    peak_gflops: float

    def ratio(self, peer: str) -> float:
        """How many times fastconv's time `peer` takes."""
        return self.seconds[peer] / self.seconds["fastconv"]

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON takes it."""
        seconds = {name: float(f"{value:.4g}") for name, value in self.seconds.items()}
        ratios = {name: round(self.ratio(name), 2) for name in self.seconds if name != "fastconv"}
        result = {**self.row._asdict(), "seconds": seconds, "ratios": ratios}
        if self.peak_gflops:
            result |= {"gflops": round(self.gflops, 1), "peak_gflops": round(self.peak_gflops, 1)}
        return result


def measure_row(
    row: Row, dtype: Any = np.float32, *, seconds: float = 1.0, peers: Sequence[str] = PEERS, whole_naive: bool = False
) -> Result:
    """Time a row: fastconv and its peers interleaved for about `seconds`, and the peak among them for convolutions.

    The naive loops are timed on one sample of the batch and multiplied, unless `whole_naive`.
    """
    case = build(row, dtype, among=("fastconv", *(p for p in peers if p != "naive")))
    calls = dict(case.calls)
    operations = 0.0
    if case.flops:
        calls["peak"], operations = peak_call(dtype)
    times = rounds(calls, seconds=seconds)
    # A peak is what the machine can do: its best round, where the others count with their median.
    peak = operations / min(times.pop("peak")) / 1e9 if case.flops else 0.0
    result = {name: statistics.median(values) for name, values in times.items()}
    if "naive" in peers:
        small = row if whole_naive else sample(row)
        calls = build(small, dtype, among=("naive",)).calls
        if calls:
            result["naive"] = timed(calls["naive"]) * (row.x[0] / small.x[0])
    return Result(row, result, case.flops / result["fastconv"] / 1e9, peak)


class Table:
    """The text of a table for `rows`: `header()`, then `line(result)` as each is measured, then `footnote()`."""

    def __init__(self, rows: Sequence[Row], peers: Sequence[str] = PEERS, *, whole_naive: bool = False) -> None:
        self.peers = tuple(peers)
        self.whole_naive = whole_naive
        self._peaks: list[float] = []
        self._op = max(len("operation"), *(len(row.op) for row in rows))
        self._shape = max(len("shape"), *(len(_shape(row)) for row in rows))

    def header(self) -> str:
        """The titles and a rule below them."""
        titles = "".join(f"  {_TITLES[peer]:>17}" for peer in self.peers)
        text = f"{'operation':<{self._op}}  {'shape':<{self._shape}}  {'fastconv':>8}{titles}  {'peak':>6}"
        return f"{text}\n{'-' * len(text)}"

    def line(self, result: Result) -> str:
        """Times, and how many times fastconv's each peer takes; for a convolution also the share of the peak."""
        columns = ""
        for peer in self.peers:
            if peer in result.seconds:
                columns += f"  {_time(result.seconds[peer]):>8}{_ratio(result.ratio(peer)):>9}"
            else:
                columns += f"  {'-':>17}"
        peak = "-"
        if result.peak_gflops:
            self._peaks.append(result.peak_gflops)
            peak = f"{100 * result.gflops / result.peak_gflops:.0f} %"
        names = f"{result.row.op:<{self._op}}  {_shape(result.row):<{self._shape}}"
        return f"{names}  {_time(result.seconds['fastconv']):>8}{columns}  {peak:>6}"

    def footnote(self) -> str:
        """What the reader must know about the numbers."""
        lines = ["Medians of interleaved rounds of this run; 8.0x means eight times fastconv's time."]
        if "naive" in self.peers and not self.whole_naive:
            lines.append("(*) Python loops over N, K, P, Q, timed on one sample of the batch, times the batch size.")
        if self._peaks:
            lines.append(
                f"peak: share of the FMA peak, {max(self._peaks):.0f} GFLOP/s in this run, by the operations of the"
                " direct\nmethod: Winograd may pass 100 %."
            )
        return "\n".join(lines)


def _time(seconds: float) -> str:
    unit, scale = next((u for u in (("s ", 1.0), ("ms", 1e-3)) if seconds >= u[1]), ("us", 1e-6))
    value = seconds / scale
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def _shape(row: Row) -> str:
    text = "x".join(map(str, row.x))
    stride = row.options.get("stride", 1)
    if row.weight is not None:
        K, _, R, S = row.weight
        text += f" -> {K}, {R}x{S}"
    else:
        R = row.options["kernel_size"]
        stride = row.options.get("stride", R)
        text += f", {R}x{R}"
    return text + (f"/{stride}" if stride > 1 else "") + (f" {row.algorithm}" if row.algorithm else "")
