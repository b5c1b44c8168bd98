"""Benchmarks: shapes as data, the operations in Python and NumPy, interleaved times, a table of ratios.
The command line and the folder benchmarks/ measure with this; nothing else in fastconv may import it."""

from .cases import IMPLEMENTATIONS, Case, build, sample
from .measure import rounds, timed
from .shapes import DEMO, TABLE, Row
from .table import Result, Table, measure_row

__all__ = [
    "DEMO",
    "IMPLEMENTATIONS",
    "TABLE",
    "Case",
    "Result",
    "Row",
    "Table",
    "build",
    "measure_row",
    "rounds",
    "sample",
    "timed",
]
