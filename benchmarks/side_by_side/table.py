"""The table of a comparison, line by line as it is measured.
It must print what was measured and nothing else: a ratio is always of two times of one case in one run."""

from .cases import Case
from .goals import BEST
from .record import Record

# Columns of ratios, with titles that fit.
_PEERS = {
    "fastconv prepacked": "prepack",
    "fastconv direct": "direct",
    "PyTorch": "torch",
    "PyTorch channels_last": "ch.last",
    "ONNX Runtime": "ORT",
    "OpenVINO": "OpenV",
    "ncnn": "ncnn",
    "JAX": "JAX",
    "im2col NumPy": "im2col",
}


class Table:
    """`header()`, then `line(record)` for each case; a column is as wide as the cases need."""

    def __init__(self, cases: list[Case]) -> None:
        self._op = max(len(case.op) for case in cases)
        self._layer = max(len(case.layer) for case in cases)

    def header(self) -> str:
        """The titles and a rule below them."""
        titles = "".join(f"{title:>8}" for title in _PEERS.values())
        text = (
            f"{'operation':<{self._op}}  {'x -> K, kernel':<{self._layer}}  {'fastconv':>9}{'GFLOP/s':>8}{'limit':>7}"
        )
        text += f"{titles}    best"
        return f"{text}\n{'-' * len(text)}"

    def line(self, record: Record) -> str:
        """fastconv's time and speed, then the time of each other contestant as a multiple of fastconv's, then that of
        the best peer. An error takes lines of its own."""
        case = record.case
        text = f"{case.op:<{self._op}}  {case.layer:<{self._layer}}  "
        if "fastconv" in record.seconds:
            text += f"{_time(record.seconds['fastconv']):>9}{self._speed(record)}"
            for name in _PEERS:
                ratio = record.ratio("fastconv", [name])
                text += f"{'-' if ratio is None else f'{ratio:.2f}x':>8}"
            ratio = record.ratio("fastconv", BEST)
            text += "" if ratio is None else f"{ratio:7.2f}x"
        for name, error in record.errors.items():
            text += f"\n    {name}: {error}"
        if record.memory:
            sizes = (f"{name} {size / 2**20:.0f} MB" for name, size in record.memory.items())
            before = (f"{size / 2**20:.0f}" for size in record.libraries_memory.values())
            text += f"\n    peak memory: {', '.join(sizes)} (before the first step: {', '.join(before)})"
        return text

    @staticmethod
    def _speed(record: Record) -> str:
        seconds = record.seconds["fastconv"]
        if record.case.op == "train":
            return f"{record.case.x[0] / seconds:>8.0f}{'im/s':>7}"
        share = record.share_of_peak("fastconv") or record.share_of_copy("fastconv") or 0.0
        flops = f"{record.case.flops / seconds / 1e9:.0f}" if record.case.flops else "-"
        return f"{flops:>8}{100 * share:>5.0f} %"

    @staticmethod
    def footnote(records: list[Record]) -> str:
        """What the reader must know about the numbers."""
        peaks = {
            dtype: [record.peak / 1e9 for record in records if record.peak and record.case.dtype == dtype]
            for dtype in ("float32", "float64")
        }
        copies = [record.copy / 1e9 for record in records if record.copy]
        text = (
            "2.00x: takes twice fastconv's plain call; medians of interleaved rounds. GFLOP/s by the operations of\n"
            "the direct method: Winograd passes 100 % of the limit. limit: the share of the multiply-add peak"
        )
        text += "".join(f", {dtype} {_range(values)} GFLOP/s" for dtype, values in peaks.items() if values)
        text += "; without multiplications that of\nthe copy bandwidth, read and written" if copies else ""
        return (
            text + (f", {_range(copies)} GB/s." if copies else ".") + " best: the fastest of " + ", ".join(BEST) + "."
        )


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"


def _time(seconds: float) -> str:
    unit, scale = next((u for u in (("s ", 1.0), ("ms", 1e-3)) if seconds >= u[1]), ("us", 1e-6))
    value = seconds / scale
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
