"""Reads the text of a Darknet .cfg: sections in order, each with options of known names and checked values.
It must never pass over what it does not know: an option that is ignored is another network than the file's."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .errors import FormatError
from .files import PathType, read_text

_MAX_BYTES = 1_000_000
# The largest published file has about 300 sections.
_MAX_SECTIONS = 2_000

_ALIASES = {
    "network": "net",
    "conv": "convolutional",
    "max": "maxpool",
    "avg": "avgpool",
    "conn": "connected",
    "soft": "softmax",
}
# What decides the network that results, for each kind of section.
OPTIONS: dict[str, frozenset[str]] = {
    "net": frozenset({"width", "height", "channels"}),
    "convolutional": frozenset(
        {"batch_normalize", "filters", "size", "stride", "pad", "padding", "groups", "activation"}
    ),
    "maxpool": frozenset({"size", "stride", "padding"}),
    "route": frozenset({"layers", "groups", "group_id"}),
    "shortcut": frozenset({"from", "activation"}),
    "upsample": frozenset({"stride"}),
    "avgpool": frozenset(),
    "dropout": frozenset({"probability"}),
    "connected": frozenset({"output", "activation", "batch_normalize"}),
    "softmax": frozenset({"groups"}),
    "yolo": frozenset({"mask", "anchors", "classes", "num", "ignore_thresh", "truth_thresh"}),
    "cost": frozenset(),
    "crop": frozenset({"crop_height", "crop_width", "noadjust"}),
}
# What only Darknet's own training reads: how it augments, how its rate changes.
_NET_TRAINING = (
    "batch", "subdivisions", "time_steps", "momentum", "decay", "learning_rate", "burn_in", "max_batches",
    "policy", "power", "gamma", "step", "steps", "scale", "scales", "angle", "saturation", "exposure", "hue",
    "aspect", "max_crop", "min_crop", "adam", "B1", "B2", "eps", "random", "seed", "center", "max_ratio",
    "min_ratio", "notruth",
)  # fmt: skip
_TRAINING: dict[str, frozenset[str]] = {
    "net": frozenset(_NET_TRAINING),
    "cost": frozenset({"type", "scale", "ratio"}),
    "crop": frozenset({"flip", "angle", "saturation", "exposure", "shift"}),
    "softmax": frozenset({"noloss"}),
    "yolo": frozenset({"jitter", "random", "max"}),
}
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True)
class Section:
    """One [kind] of the file and its options, {name: (text, line)}. Reading a bad value is a FormatError."""

    path: PathType
    kind: str
    line: int
    options: dict[str, tuple[str, int]] = field(default_factory=dict)

    def refuse(self, found: str, expected: str, option: str | None = None) -> FormatError:
        """The error for this section, or for one of its options."""
        line = self.options[option][1] if option in self.options else self.line
        return FormatError(self.path, f"line {line}, [{self.kind}]", found, expected)

    def word(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of `allowed`."""
        text = self.options.get(name, (default,))[0]
        if text not in allowed:
            raise self.refuse(f"{name}={_short(text)}", f"one of {', '.join(allowed)}", name)
        return text

    def whole(self, name: str, default: int | None, low: int, high: int) -> int:
        """An integer from `low` to `high`; one without a default must be there."""
        numbers = self.wholes(name, low, high) if name in self.options or default is None else (default,)
        if len(numbers) != 1:
            raise self.refuse(f"{name} with {len(numbers)} values", "one", name)
        return numbers[0]

    def wholes(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """Integers from `low` to `high`, at least one."""
        return tuple(int(text) for text in self._numbers(name, _WHOLE, "a whole number", low, high))

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        numbers = self.numbers(name, low, high) if name in self.options else (default,)
        if len(numbers) != 1:
            raise self.refuse(f"{name} with {len(numbers)} values", "one", name)
        return numbers[0]

    def numbers(self, name: str, low: float, high: float) -> tuple[float, ...]:
        """Numbers from `low` to `high`, at least one."""
        return tuple(float(text) for text in self._numbers(name, _NUMBER, "a number", low, high))

    def _numbers(self, name: str, pattern: re.Pattern, what: str, low: float, high: float) -> Iterator[str]:
        if name not in self.options:
            raise self.refuse(f"no {name}", f"{name}=...")
        for text in self.options[name][0].rstrip(",").split(","):
            value = float(text) if pattern.fullmatch(text) else math.nan
            if not low <= value <= high:
                raise self.refuse(f"{name}={_short(text)}", f"{what} from {low:,} to {high:,}", name)
            yield text


def read_sections(path: PathType) -> list[Section]:
    """The sections of a .cfg, [net] first; FormatError with the line of what is wrong.

    As in Darknet blanks have no meaning, and a line that begins with # or ; is a comment. Lines may end as on Windows.
    """
    sections: list[Section] = []
    for number, raw in enumerate(read_text(path, _MAX_BYTES).split("\n"), 1):
        line = raw.translate({ord(blank): None for blank in " \t\r"})
        if not line or line[0] in "#;":
            continue
        if not line.isprintable():
            raise FormatError(path, f"line {number}", "a character that cannot be printed", "text")
        if line[0] == "[":
            sections.append(_opened(path, number, line, len(sections)))
        elif not sections:
            raise FormatError(path, f"line {number}", _short(line), "[net] before all options")
        else:
            _add_option(sections[-1], number, line)
    if not sections:
        raise FormatError(path, None, "no section", "[net]")
    return sections


def _opened(path: PathType, number: int, line: str, count: int) -> Section:
    kind = _ALIASES.get(line[1:-1], line[1:-1])
    where = f"line {number}"
    if line[-1] != "]" or kind not in OPTIONS:
        raise FormatError(path, where, _short(line), f"one of the sections {', '.join(f'[{k}]' for k in OPTIONS)}")
    if (kind == "net") != (count == 0):
        raise FormatError(path, where, _short(line), "[net] as the first section and nowhere else")
    if count >= _MAX_SECTIONS:
        raise FormatError(path, where, f"more than {count} sections", f"at most {_MAX_SECTIONS}")
    return Section(path, kind, number)


def _add_option(section: Section, number: int, line: str) -> None:
    name, equals, text = line.partition("=")
    where, kind = f"line {number}, [{section.kind}]", section.kind
    if not equals or not name or not text:
        raise FormatError(section.path, where, _short(line), "name=value")
    if name in _TRAINING.get(kind, ()):
        return
    if name in section.options:
        first = section.options[name][1]
        raise FormatError(section.path, where, f"{_short(name)} again", f"one, which line {first} has")
    if name not in OPTIONS[kind]:
        known = ", ".join(sorted(OPTIONS[kind])) or "none"
        raise FormatError(section.path, where, f"the option {_short(name)}", f"one that is known ({known})")
    section.options[name] = (text, number)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
