"""`python interrupts.py EVERY`: Ctrl-C at every EVERY-th line that the package runs in a training, once and twice in a
row; what is saved then, resumed, ends with the bits of a training that nobody interrupted."""

import random
import signal
import sys
import tempfile
from pathlib import Path

from checkpoint_runs import assert_same, run, trainer_and_callbacks

import fastconv

PACKAGE = str(Path(fastconv.__file__).parent)
SETTINGS = {"epochs": 2, "batch_size": 22}


class Interrupter:
    """A trace function that sends SIGINT before the n-th line of the package."""

    def __init__(self, n: int) -> None:
        self.seen, self.n, self.place = 0, n, ""

    def __call__(self, frame, event, argument):
        return self.line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def line(self, frame, event, argument):
        if event == "line":
            self.seen += 1
            if self.seen == self.n:
                self.place = f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}"
                signal.raise_signal(signal.SIGINT)
        return self.line


def again_at(moment: float):
    """A handler of SIGINT that raises, and lets a second one come so many seconds later."""

    def handle(number, frame):
        if moment and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
            signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
            signal.setitimer(signal.ITIMER_REAL, moment)
        raise KeyboardInterrupt

    return handle


def interrupted(interrupter: Interrupter, trainer, callbacks, moment: float = 0.0) -> bool:
    """Whether the training was interrupted."""
    handler = again_at(moment)
    before = signal.signal(signal.SIGINT, handler)
    sys.settrace(interrupter)
    try:
        run(trainer, callbacks, **SETTINGS)
        return False
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
        kept = signal.signal(signal.SIGINT, before)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if kept is not handler:
            raise AssertionError(f"{interrupter.place}: SIGINT is not handled as before")


def survives(n: int, moment: float, whole, path: Path) -> str:
    """The line where it was interrupted."""
    trainer, callbacks = trainer_and_callbacks()
    interrupter = Interrupter(n)
    try:
        if not interrupted(interrupter, trainer, callbacks, moment):
            raise AssertionError(f"{interrupter.place}: Ctrl-C was lost")
    except KeyboardInterrupt:
        pass  # the second one came when fit was over
    where = f"{interrupter.place} ({moment:.0e} s)"
    resume = None
    if trainer._settings is not None:
        trainer.save(path)
        resume = path
    again, callbacks = trainer_and_callbacks(seed=3 if resume is None else 8)
    run(again, callbacks, **SETTINGS, resume=resume)
    try:
        assert_same(again, whole)
    except AssertionError as error:
        raise AssertionError(f"{where}: another training, in {error}") from None
    return interrupter.place


def main(every: int) -> None:
    counter, generator = Interrupter(0), random.Random(0)
    for _ in range(2):  # the second is counted: lines that run once in a process are not met again
        counter.seen = 0
        whole, callbacks = trainer_and_callbacks()
        assert not interrupted(counter, whole, callbacks)
    places, wrong, tried = set(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        for n in range(1, counter.seen + 1, every):
            moment = generator.uniform(1e-6, 3e-4) if tried % 2 else 0.0
            try:
                places.add(survives(n, moment, whole, Path(folder, "c.safetensors")))
            except AssertionError as error:
                wrong.append(str(error))
            tried += 1
    if wrong:
        raise SystemExit("\n".join([f"{len(wrong)} of {tried} interrupts were not survived:", *wrong[:40]]))
    assert tried, "no interrupt was sent"
    print(f"counts: {tried} of {counter.seen} lines interrupted, at {len(places)} places, each resumed bit for bit")


if __name__ == "__main__":
    main(int(sys.argv[1]))
