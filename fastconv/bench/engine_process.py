"""What the process of one engine does when it is asked to. Run by contest.py through process.py.
It must hold no engine: those are in engines.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .engines import ENGINES


class Server:
    """One engine, and in `folder` the network and x.npy, its input."""

    def __init__(self, engine: str, folder: str, threads: int) -> None:
        self.engine, self.folder, self.threads = engine, Path(folder), threads

    def prepare(self) -> dict[str, Any]:
        """Load the network, run it once and write its results."""
        self._call, results = ENGINES[self.engine][1](self.folder, np.load(self.folder / "x.npy"), self.threads)
        np.savez(self.folder / f"{self.engine}.npz", *results(self._call()))
        for _ in range(3):
            self._call()
        return {}

    def call(self) -> Callable[[], Any]:
        """What a turn times."""
        return self._call
