"""Holds Ctrl-C back while a training changes its state, and lets it through where nothing can be torn.
It must never swallow one: what was held back is raised as soon as the state is whole again."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self


class InterruptGuard:
    """`with guard:` around training, and inside of it `with guard.release():` around what may be broken off.

    A SIGINT inside `release` takes effect at once, as without the guard; elsewhere at the next `release`, or at the
    end. What a SIGINT has broken off is put right before another one takes effect. In threads other than the main one
    Python delivers no signals, and the guard does nothing.
    """

    def __init__(self) -> None:
        self._previous = None
        self._holding = True
        self._pending = False

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._previous, self._holding, self._pending = handler, True, False
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if self._previous is None:
            return
        handler, self._previous = self._previous, None
        signal.signal(signal.SIGINT, handler)
        if self._pending and not (kind and issubclass(kind, KeyboardInterrupt)):  # two at once are one
            handler(signal.SIGINT, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._holding:
            self._pending = True
            return
        self._holding = True  # until what this breaks off has been put right
        self._previous(number, frame)
        self._holding = False  # it has raised nothing

    @contextmanager
    def release(self) -> Iterator[None]:
        """Let SIGINT through until the end of the block, first of all one that was held back."""
        if self._previous is None:
            yield
            return
        self._holding = False
        try:
            if self._pending:
                self._pending = False
                self._handle(signal.SIGINT, None)
            yield
        finally:
            self._holding = True
