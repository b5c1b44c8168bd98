"""Holds Ctrl-C back while weights change.
It must never swallow one: what was held back is raised as soon as the weights are whole again."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self


class InterruptGuard:
    """`with guard:` around training, and inside `with guard.hold():` around what must not be torn.

    A SIGINT inside `hold` takes effect at its end; elsewhere at once, as without the guard. In threads other
    than the main one Python delivers no signals, and the guard does nothing.
    """

    def __init__(self) -> None:
        self._previous = None
        self._holding = False
        self._pending = False

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._previous = handler
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._holding:
            self._pending = True
        else:
            self._previous(number, frame)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep SIGINT back until the end of the block."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            if self._pending:
                self._pending = False
                self._previous(signal.SIGINT, None)
