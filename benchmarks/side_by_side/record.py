"""What was measured of a case, and files of it: JSON Lines, one case a line, so that a killed run loses nothing.
It must hold no opinion: what a figure should be is in goals.py."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from .cases import Case
from .libraries import COPY, PEAK


@dataclass
class Record:
    """By contestant: the median and the least seconds of a call over the rounds, how far the result is from
    fastconv's (a part of the largest value), the error in place of times, the most bytes of RAM of a training process.
    """

    case: Case
    seconds: dict[str, float] = field(default_factory=dict)
    least: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    deviations: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    libraries_memory: dict[str, int] = field(default_factory=dict)  # of it before the first step: code, mostly
    peak: float = 0.0  # multiply-add operations a second, the best round
    copy: float = 0.0  # bytes a second read and written by a large copy, the best round

    def ratio(self, of: str, against: Iterable[str]) -> float | None:
        """How many times the time of `of` the fastest of `against` takes; None where one side was not measured."""
        times = [self.seconds[name] for name in against if name in self.seconds]
        return min(times) / self.seconds[of] if times and of in self.seconds else None

    def share_of_peak(self, of: str) -> float | None:
        """Operations of the direct method a second, as a part of the multiply-add peak."""
        return self.case.flops / self.seconds[of] / self.peak if self.peak and of in self.seconds else None

    def share_of_copy(self, of: str) -> float | None:
        """Bytes a second, as a part of the copy bandwidth."""
        return self.case.bytes / self.seconds[of] / self.copy if self.copy and of in self.seconds else None

    def set_times(self, times: dict[str, list[float]], median: Any, work: dict[str, float]) -> None:
        """Take the times of all rounds; `work` is what one call of the machine's own contestants does."""
        times = {name: values for name, values in times.items() if values}
        # What the machine can do is its best round, where the others count with their median.
        if PEAK in times:
            self.peak = work["flops"] / min(times.pop(PEAK))
        if COPY in times:
            self.copy = work["bytes"] / min(times.pop(COPY))
        self.rounds = max(map(len, times.values()), default=0)
        self.seconds = {name: median(values) for name, values in times.items()}
        self.least = {name: min(values) for name, values in times.items()}

    def write(self, file: TextIO) -> None:
        """Append it as a line."""
        values = {**asdict(self), "case": self.case._asdict()}
        rounded = json.loads(json.dumps(values), parse_float=lambda text: float(f"{float(text):.5g}"))
        file.write(json.dumps({name: value for name, value in rounded.items() if value}) + "\n")
        file.flush()

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        return cls(**{**values, "case": Case.from_json(values["case"])})


def read(paths: Iterable[str | Path]) -> tuple[list[dict[str, Any]], list[Record]]:
    """(the machines of the runs, the records) of several files; of a case measured twice the later one counts."""
    machines, records = [], {}
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            if "machine" in values:
                machines.append(values["machine"])
            else:
                record = Record.from_json(values)
                records[record.case.key] = record
    return machines, list(records.values())
