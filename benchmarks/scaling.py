"""`python benchmarks/scaling.py`: how the layers of known networks, one picture at a time, would run on more cores than
this machine has, from the tasks into which the kernels really cut them. It must never plan a kernel's work itself."""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from loops import Loop, Recorded, Touched, bytes_of_cores, record
from side_by_side.cases import Case, select
from side_by_side.layers import NETWORKS
from side_by_side.libraries.with_fastconv import Library

import fastconv

# Fully connected layers of VGG-16, AlexNet and ResNet-50: (features in, features out).
LINEAR = {"vgg": ((25088, 4096), (4096, 4096), (4096, 1000)), "resnet": ((2048, 1000),)}
CONVOLUTIONS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")
OTHERS = tuple(dict.fromkeys(case.op for case in select(groups=("pool", "norm"), batches=(1,))))
OPS = (*CONVOLUTIONS, "linear", *OTHERS)
# A layer fills its cores if they work for this share of the time that its loops take.
FULL = 0.75


class Layer(NamedTuple):
    """`times`: how often its network has it; 0 for what is of no network in particular."""

    group: str
    op: str
    shape: str
    call: Callable[[], Any]
    times: int


def layers(ops: tuple[str, ...], groups: tuple[str, ...]) -> Iterator[Layer]:
    """All that is asked for, each distinct layer of a network once."""
    library = Library(1)
    for op in ops:
        for group in groups:
            if op in CONVOLUTIONS:
                yield from _convolutions(library, op, group)
            elif op == "linear":
                yield from _linear(group)
        if op in OTHERS:
            for case in select(groups=("pool", "norm"), ops=(op,), batches=(1,)):
                yield Layer("", op, case.layer, library.contestants(case)["fastconv"].call, 0)


def _convolutions(library: Library, op: str, group: str) -> Iterator[Layer]:
    times = Counter((layer.C, layer.H, layer.K, layer.R, layer.stride) for layer in NETWORKS[group]())
    for case in select(groups=(group,), ops=(op,), batches=(1,)):
        contestants = library.contestants(case)
        contestant = contestants.get("fastconv prepacked") or contestants["fastconv"]
        yield Layer(group, op, case.layer, contestant.call, times[_key(case)])


def _key(case: Case) -> tuple[int, ...]:
    return (*case.x[1:3], case.weight[0], case.weight[2], case.options.get("stride", 1))


def _linear(group: str) -> Iterator[Layer]:
    rng = np.random.default_rng(0)
    for C, K in LINEAR.get(group, ()):
        x, weight, bias = (rng.standard_normal(shape, np.float32) for shape in ((1, C), (K, C), K))
        yield Layer(group, "linear", f"1x{C} -> {K}", lambda x=x, w=weight, b=bias: fastconv.linear(x, w, b), 1)


def why(recorded: Recorded, cores: int) -> str:
    """Which loop leaves most of the cores' time unused, and by what."""

    def unused(loop: Loop) -> float:
        busy, _ = loop.place(cores)
        return cores * float(busy.max()) - float(busy.sum())

    loop = max(recorded.loops, key=unused)
    busy, _ = loop.place(cores)
    tasks, used = len(loop.seconds), int(np.count_nonzero(busy))
    if used < min(tasks, cores):
        return f"a loop of {1e6 * loop.seconds.sum():.0f} us stays on one thread"
    if tasks < cores:
        return f"{tasks} task{'s' * (tasks > 1)}"
    longest = float(loop.seconds.max() / loop.seconds.mean())
    return f"{tasks} tasks" + (f", the longest {longest:.1f} times the mean" if longest > 1.5 else "")


def measured(call: Callable[[], Any], threads: int, rounds: int) -> float:
    """How many times as fast the call is on that many threads of this machine: the median of interleaved rounds."""
    ratios = []
    for _ in range(rounds):
        seconds = []
        for n in (1, threads):
            fastconv.set_num_threads(n)
            call()
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    fastconv.set_num_threads(1)
    return statistics.median(ratios)


class Table:
    """Prints layers as they come, and keeps what is said about all of them."""

    def __init__(self, args: argparse.Namespace, touched: Touched | None) -> None:
        self._args, self._touched = args, touched
        self._sums: dict[tuple[str, str], np.ndarray] = {}
        self.unfilled: list[str] = []

    def head(self) -> None:
        """Above the rows."""
        here = f"  on {self._args.check} cores" if self._args.check else ""
        print(f"{'':61}" + "".join(f"{f'{n} cores':>24}" for n in self._args.cores) + here)
        units = f"{'faster':>10}{'balance':>8}" + f"{'MB':>6}"
        here = f"{'model':>9}{'real':>6}" if self._args.check else ""
        print(f"{'operation':<19}{'shape':<26}{'1 core':>9}{'tasks':>7}" + units * len(self._args.cores) + here)

    def row(self, layer: Layer) -> None:
        """Record, place and print a layer."""
        args = self._args
        recorded = record(layer.call, args.rounds)
        largest = max(recorded.loops, key=lambda loop: loop.seconds.sum(), default=None)
        tasks = 0 if largest is None else len(largest.seconds)
        line = f"{layer.op:<19}{layer.shape:<26}{1e6 * recorded.seconds:6.0f} us{tasks:7}"
        elapsed = [recorded.seconds]
        for n in args.cores:
            seconds, balance = recorded.on(n, args.start)
            elapsed.append(seconds)
            held = "-"
            if self._touched:
                held = f"{bytes_of_cores(layer.call, recorded, n, self._touched).max() / 1e6:.1f}"
            line += f"{recorded.seconds / seconds:9.1f}x{100 * balance:6.0f} %{held:>6}"
        if args.check:
            model = recorded.seconds / recorded.on(args.check, args.start)[0]
            line += f"{model:8.2f}x{measured(layer.call, args.check, args.rounds):5.2f}x"
        print(line, flush=True)
        self._remember(layer, recorded, np.array(elapsed))

    def _remember(self, layer: Layer, recorded: Recorded, elapsed: np.ndarray) -> None:
        if layer.times:
            key = layer.group, layer.op
            self._sums[key] = self._sums.get(key, 0) + layer.times * elapsed
        balance = recorded.on(self._args.fill, self._args.start)[1]
        if recorded.loops and balance < FULL:
            name = f"{layer.op} {layer.shape}" + f" ({layer.group})" * bool(layer.group)
            self.unfilled.append(f"{100 * balance:3.0f} %  {name}: {why(recorded, self._args.fill)}")

    def foot(self) -> None:
        """Networks as a whole, and the layers that leave cores idle."""
        print("\nall of a network's layers, each as often as it has them")
        for (group, op), (one, *more) in self._sums.items():
            speedups = "".join(
                f"{one / seconds:9.1f}x on {n}" for n, seconds in zip(self._args.cores, more, strict=True)
            )
            print(f"{group:<12}{op:<19}{1e3 * one:8.1f} ms{speedups}")
        print(
            f"\n{len(self.unfilled)} layers would not fill {self._args.fill} cores (balance below {100 * FULL:.0f} %)"
        )
        for line in sorted(self.unfilled):
            print(line)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        description="Each task of each loop is timed on one core, with the others' data as far as its cache holds them,"
        " and given to cores as the threads would take them. faster: against one core. balance: share of the cores'"
        " time in loops that is work. MB: memory that the busiest core meets, in whole pages, once a loop. Not"
        " modelled: that cores share caches and memory.",
    )
    parser.add_argument("--op", choices=OPS, nargs="+", default=("conv2d",), metavar="OP", help=", ".join(OPS))
    parser.add_argument("--network", choices=tuple(NETWORKS), nargs="+", default=tuple(NETWORKS))
    parser.add_argument("--match", default="", help="only shapes that contain this, such as '3x3'")
    parser.add_argument("--cores", type=int, nargs="+", default=(4, 16, 64), metavar="N")
    parser.add_argument("--fill", type=int, default=16, metavar="N", help="name what would not fill N cores")
    parser.add_argument("--start", type=float, default=5, metavar="US", help="cost of a loop on threads (default: 5)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="timings of a task; the least counts")
    parser.add_argument("--check", action="store_true", help="compare with the real cores of this machine")
    args = parser.parse_args(argv)
    if min(*args.cores, args.fill, args.rounds) < 1 or max(*args.cores, args.fill) > 1024 or not args.start >= 0:
        parser.error("--cores, --fill and --rounds are at least 1, cores at most 1024, --start is not negative")
    args.start *= 1e-6
    args.check = fastconv.get_num_threads() if args.check else 0
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        touched = Touched()
    except OSError as error:
        print(f"no MB: {error}", file=sys.stderr)
        touched = None
    table = Table(args, touched)
    table.head()
    for layer in layers(tuple(args.op), tuple(args.network)):
        if args.match in layer.shape:
            table.row(layer)
    table.foot()
    return 0


if __name__ == "__main__":
    sys.exit(main())
