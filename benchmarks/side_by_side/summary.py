"""The figures of goals.py over what was measured: geometric mean, the least and on which layer, met or not.
It must read records alone, so that files of several runs give the summary as a run does."""

import math
import statistics
from collections.abc import Iterable
from typing import NamedTuple

from .goals import BEST, ERROR_BOUNDS, ERROR_CHANNELS, GOALS, Goal, compute_bound
from .record import Record


def figure(goal: Goal, record: Record) -> float | None:
    """The goal's figure for one case; None where it does not count or was not measured."""
    case = record.case
    if not goal.includes(case):
        return None
    if goal.figure == "speed":
        return record.ratio(goal.of, goal.against)
    if goal.figure == "memory":
        theirs = [record.memory[name] for name in goal.against if name in record.memory]
        return min(theirs) / record.memory[goal.of] if theirs and goal.of in record.memory else None
    if goal.figure == "share of peak":
        return record.share_of_peak(goal.of) if compute_bound(case) else None
    if goal.figure == "share of copy":
        return record.share_of_copy(goal.of)
    if goal.figure == "accuracy":
        seen = record.deviations.get("fastconv direct")
        within = case.op in ERROR_BOUNDS and case.weight[1] <= ERROR_CHANNELS
        return ERROR_BOUNDS[case.op] / seen if seen and within else None  # no difference: the same algorithm
    raise ValueError(f"there is no figure {goal.figure!r}")


class Outcome(NamedTuple):
    """What came of a goal: over how many cases, their geometric mean, the least and its case. `met` None: not
    measured."""

    goal: Goal
    count: int
    mean: float = math.nan
    least: float = math.nan
    case: str = ""

    @property
    def met(self) -> bool | None:
        if not self.count:
            return None
        return self.mean >= (self.goal.mean or 0) and self.least >= (self.goal.least or 0)


def outcome(goal: Goal, records: Iterable[Record]) -> Outcome:
    """One goal over all records."""
    found = [(value, record.case.key) for record in records if (value := figure(goal, record)) is not None]
    if not found:
        return Outcome(goal, 0)
    least, case = min(found)
    return Outcome(goal, len(found), statistics.geometric_mean(value for value, _ in found), least, case)


def summary(records: list[Record]) -> str:
    """Every goal as a line, then the cases in which a peer is faster."""
    width = max(len(goal.row) for goal in GOALS)
    lines = [f"{'goal':<{width}}{'cases':>6}{'mean':>8}{'asked':>7}{'least':>8}{'asked':>7}  {'':<8} on"]
    for goal in GOALS:
        result = outcome(goal, records)
        if result.met is None:
            lines.append(
                f"{goal.row:<{width}}{0:>6}{'-':>8}{_text(goal, goal.mean):>7}{'-':>8}{_text(goal, goal.least):>7}"
            )
            continue
        numbers = f"{_text(goal, result.mean):>8}{_text(goal, goal.mean):>7}"
        numbers += f"{_text(goal, result.least):>8}{_text(goal, goal.least):>7}"
        verdict = "met" if result.met else "NOT MET"
        lines.append(f"{goal.row:<{width}}{result.count:>6}{numbers}  {verdict:<8} {result.case}")
    lost = [
        (ratio, record) for record in records if (ratio := record.ratio("fastconv", BEST)) is not None and ratio < 1
    ]
    lines.append(f"\nA peer is faster than the plain call in {len(lost)} of {len(records)} cases:")
    for ratio, record in sorted(lost, key=lambda pair: pair[0]):
        winner = min((name for name in BEST if name in record.seconds), key=record.seconds.__getitem__)
        lines.append(f"{ratio:8.2f}x  {record.case.key}  ({winner})")
    return "\n".join(lines)


def _text(goal: Goal, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.0f} %" if goal.figure.startswith("share") else f"{value:.2f}x"
