"""`python benchmarks/distributed.py`: one network trained by one process with 2 threads and by `mpiexec -n 2` with one
each, turn by turn. It must never compare runs of different batches or networks."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from fastconv import layers as L
from fastconv.callbacks import Callback
from fastconv.distributed import world
from fastconv.losses import CrossEntropyLoss
from fastconv.models import cifar_resnet18, cifar_vgg16
from fastconv.optim import SGD
from fastconv.trainer import Trainer


def mnist_cnn() -> L.Layer:
    """The small network of the training benchmark: convolutions of 32 and 64 filters, a hidden layer of 128."""
    g = np.random.default_rng(0)
    return L.Sequential(
        L.Conv2d(1, 32, 3, padding=1, generator=g), L.ReLU(), L.MaxPool2d(2),
        L.Conv2d(32, 64, 3, padding=1, generator=g), L.ReLU(), L.MaxPool2d(2),
        L.Flatten(), L.Linear(64 * 7 * 7, 128, generator=g), L.ReLU(), L.Linear(128, 10, generator=g),
    )  # fmt: skip


# name: (network, picture)
WORK = {
    "mnist-cnn": (mnist_cnn, (1, 28, 28)),
    "cifar-vgg16": (lambda: cifar_vgg16(num_classes=10, seed=0), (3, 32, 32)),
    "cifar-resnet18": (lambda: cifar_resnet18(num_classes=10, seed=0), (3, 32, 32)),
}
WARM_UP = 3


class Clock(Callback):
    """When each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, trainer: Trainer, logs: dict[str, float]) -> None:
        self.times.append(time.perf_counter())


def work(name: str, batch: int, steps: int) -> None:
    """Train for that many steps, alone or as a rank; rank 0 prints images/s."""
    communicator = world()
    network, shape = WORK[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch * (steps + WARM_UP), *shape), np.float32)
    y = rng.integers(0, 10, len(x))
    model, clock = network(), Clock()
    trainer = Trainer(model, SGD(model.parameters(), lr=1e-3), CrossEntropyLoss(), communicator=communicator)
    trainer.fit(x, y, epochs=1, batch_size=batch, callbacks=[clock], progress=False)
    seconds = statistics.median(np.diff(clock.times[WARM_UP - 1 :]))
    if communicator.rank == 0:
        print(json.dumps(batch / seconds))


def measured(command: list[str], name: str, batch: int, steps: int, threads: int) -> float:
    line = [*command, sys.executable, __file__, "--work", name, "--batch", str(batch), "--steps", str(steps)]
    environment = {**os.environ, "FASTCONV_NUM_THREADS": str(threads)}
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def mpiexec() -> str:
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("mpiexec", path=folders)
    if found is None:
        raise SystemExit('no mpiexec: pip install "fastconv[mpi]" mpich')
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=tuple(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=256, metavar="N", help="of all processes together (default: 256)")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="timed in each run (default: 20)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each kind (default: 5)")
    parser.add_argument("--only", choices=tuple(WORK), nargs="+", default=tuple(WORK))
    args = parser.parse_args()
    if args.work:
        return work(args.work, args.batch, args.steps)
    ways = ([], 2), ([mpiexec(), "-n", "2"], 1)
    print("training                1 process, 2 threads   mpiexec -n 2, 1 thread each   ratio (median of rounds)")
    for name in args.only:
        pairs = [[measured(way, name, args.batch, args.steps, n) for way, n in ways] for _ in range(args.rounds)]
        alone, both = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(two / one for one, two in pairs)
        print(
            f"{name:<15} batch {args.batch:<4} {alone:12.0f} images/s {both:20.0f} images/s {ratio:14.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
