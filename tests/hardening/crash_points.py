"""`python crash_points.py EVERY`: a training that writes and rotates checkpoints is killed, or fails, at every EVERY-th
call to the system, before the call and in the middle of it; resumed it ends with the bits of one that did not."""

import os
import sys
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds only its own folder
from checkpoint_runs import assert_same, run, trainer_and_callbacks
from failing_files import FailingFiles, Killed

from fastconv.callbacks import Checkpoint
from fastconv.checkpoint import list_checkpoints, load_checkpoint

SETTINGS = {"epochs": 2, "batch_size": 22}


def crashed(folder: str, n: int, error: type[BaseException], half: bool) -> bool:
    """Whether the training came to its n-th call."""
    files = FailingFiles(n, error, half)
    trainer, callbacks = trainer_and_callbacks()
    with suppress(error):
        run(trainer, [*callbacks, Checkpoint(folder, every_steps=1, files=files)], **SETTINGS)
    return files.left <= 0


def main(every: int) -> None:
    whole, callbacks = trainer_and_callbacks()
    run(whole, callbacks, **SETTINGS)
    points = lost = 0
    with tempfile.TemporaryDirectory() as room:
        for error in (Killed, OSError):
            for half in (False, True):
                for n in count(1, every):
                    folder = os.path.join(room, f"{error.__name__}-{half}-{n}")
                    if not crashed(folder, n, error, half):
                        break
                    points += 1
                    found = list_checkpoints(folder)
                    for _, path in found:
                        load_checkpoint(path)
                    lost += n > 6 and not found  # the first is whole after five calls
                    again, callbacks = trainer_and_callbacks(seed=9 if found else 3)
                    run(again, callbacks, **SETTINGS, resume=folder if found else None)
                    assert_same(again, whole)
    assert points and not lost, (points, lost)
    print(f"counts: {points} crash points, each resumed bit for bit")


if __name__ == "__main__":
    main(int(sys.argv[1]))
