"""The progress of one pass over images on the terminal: a tqdm bar with loss and images/s, or a plain line.
It must never influence training, nor need tqdm."""

import sys
import time
from typing import Protocol


class Progress(Protocol):
    """Shows `update`s and at `close` the metrics of the whole epoch; there is no loss where nothing is trained."""

    def update(self, images: int, loss: float | None = None) -> None: ...

    def close(self, logs: dict[str, float] | None = None) -> None: ...


def epoch_progress(title: str, images: int, done: int, show: bool) -> Progress:
    """Progress over `images`, of which `done` were seen before; without tqdm one line an epoch."""
    if not show:
        return _Silent()
    try:
        from tqdm import tqdm
    except ImportError:
        return _Line(title)
    return _Bar(tqdm(total=images, initial=done, desc=title, unit=" images", dynamic_ncols=True))


class _Silent:
    def update(self, images: int, loss: float | None = None) -> None:
        pass

    def close(self, logs: dict[str, float] | None = None) -> None:
        pass


class _Bar:
    def __init__(self, bar) -> None:
        self._bar = bar

    def update(self, images: int, loss: float | None = None) -> None:
        if loss is not None:
            self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self._bar.update(images)

    def close(self, logs: dict[str, float] | None = None) -> None:
        if logs:
            self._bar.set_postfix_str(_text(logs), refresh=True)
        self._bar.close()


class _Line:
    def __init__(self, title: str) -> None:
        self._title, self._images, self._start = title, 0, time.perf_counter()

    def update(self, images: int, loss: float | None = None) -> None:
        self._images += images

    def close(self, logs: dict[str, float] | None = None) -> None:
        if logs:
            rate = self._images / max(time.perf_counter() - self._start, 1e-9)
            print(f"{self._title}: {_text(logs)}, {rate:.0f} images/s", file=sys.stderr, flush=True)


def _text(logs: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in logs.items() if name != "lr")
