"""Measures rows of shapes.py and prints them as one aligned table of times and ratios.
It must print what it measured and nothing else: no ratio over a time of another run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cases import build, sample
from .measure import medians, timed
from .peak import peak_call
from .shapes import Row

PEERS = ("im2col", "reference", "naive")
_TITLES = {"im2col": "im2col NumPy", "reference": "fastconv.reference", "naive": "naive loops (*)"}


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
    row: Row,
    dtype: Any = np.float32,
    *,
    seconds: float = 1.0,
    peers: Sequence[str] = PEERS,
    whole_naive: bool = False,
) -> Result:
    """Time a row: fastconv and its peers interleaved for about `seconds`, and the peak among them for
    convolutions.

    The naive loops are timed on one sample of the batch and multiplied, unless `whole_naive`.
    """
    case = build(row, dtype, among=("fastconv", *(p for p in peers if p != "naive")))
    calls = dict(case.calls)
    operations = 0.0
    if case.flops:
        calls["peak"], operations = peak_call(dtype)
    times = medians(calls, seconds=seconds)
    peak = operations / times.pop("peak") / 1e9 if case.flops else 0.0
    if "naive" in peers:
        small = row if whole_naive else sample(row)
        calls = build(small, dtype, among=("naive",)).calls
        if calls:
            times["naive"] = timed(calls["naive"]) * (row.x[0] / small.x[0])
    return Result(row, times, case.flops / times["fastconv"] / 1e9, peak)


def header(peers: Sequence[str] = PEERS) -> str:
    """The two lines above the table's rows."""
    titles = "".join(f"  {_TITLES[peer]:>18}" for peer in peers)
    line = f"{'operation':<20} {'shape':<27} {'fastconv':>9}{titles}  {'of FMA peak':>11}"
    return f"{line}\n{'-' * len(line)}"


def line(result: Result, peers: Sequence[str] = PEERS) -> str:
    """A row of the table: times, and in how many times fastconv's time each peer takes."""
    columns = ""
    for peer in peers:
        have = peer in result.seconds
        columns += f"  {_time(result.seconds[peer]):>9}{_ratio(result.ratio(peer)):>9}" if have else f"  {'-':>18}"
    peak = f"{100 * result.gflops / result.peak_gflops:.0f} %" if result.peak_gflops else "-"
    name = f"{result.row.op:<20} {_shape(result.row):<27}"
    return f"{name} {_time(result.seconds['fastconv']):>9}{columns}  {peak:>11}"


def footnote(results: Sequence[Result], peers: Sequence[str] = PEERS, *, whole_naive: bool = False) -> str:
    """What the reader must know about the numbers."""
    lines = ["Medians of interleaved rounds in this run; '8.0x' means eight times fastconv's time."]
    if "naive" in peers and not whole_naive:
        lines.append("(*) Python loops over N, K, P, Q, timed on one sample of the batch, times the batch size.")
    peaks = [r.peak_gflops for r in results if r.peak_gflops]
    if peaks:
        lines.append(
            f"FMA peak of this run: {np.median(peaks):.0f} GFLOP/s. Operations are counted as the direct"
            " method's, so Winograd may pass 100 %."
        )
    return "\n".join(lines)


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale or unit == "us":
            value = seconds / scale
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit:<2}"
    raise AssertionError


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
