"""`python benchmarks/tune_costs.py`: the costs table of the target in use (FASTCONV_TARGET chooses it), by which the
algorithm of a convolution is chosen, fitted to times measured here. Prints the present and the fitted table, and what
is lost by the choices of each; the model itself is in cost_model.py. It must never write a table unless asked to."""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cost_model import COSTS, Layer, Target, choice, read_target, terms, write_costs

from fastconv import _geometry, _kernels
from fastconv.config import config

SQUARE = tuple((C, C) for C in (16, 32, 64, 128, 256, 512))
CHANNELS = (*SQUARE, (32, 64), (256, 64), (64, 256), (512, 128))
HEIGHTS = (4, 7, 10, 14, 20, 28, 56)
# Multiply-adds of the direct method: below, the time is that of the call; above, the choice is not in question.
LEAST, MOST = 2e6, 4e8


def grid() -> list[Layer]:
    """The layers that are measured: those of networks, one picture and eight, near where one form overtakes another."""
    every = (Layer(N, C, H, K, s) for s, H, (C, K), N in product((1, 2), HEIGHTS, CHANNELS, (1, 8)))
    return [layer for layer in every if LEAST <= 9 * layer.N * layer.C * layer.K * layer.P**2 <= MOST]


QUICK = (Layer(1, 32, 14, 32), Layer(1, 64, 28, 64), Layer(1, 256, 7, 64), Layer(1, 64, 28, 64, 2))


NOISE = 0.01  # of a measured time, at the least
KEEP = 0.02  # what leaving the present table counts against an error of the times


class Row(NamedTuple):
    """One form of a layer, its weight packed or plain, and what it took."""

    layer: Layer
    form: str
    packed: bool
    seconds: float


# ---- measuring


def _call(layer: Layer, form: str, packed: bool, x: np.ndarray, weight: np.ndarray) -> Callable[[], None]:
    """The public functions let the kernels choose between forms of Winograd; here each is asked for by name."""
    geometry = _geometry.conv("tune", x.shape, weight.shape, layer.stride, 1, 1, 1, "NCHW", form)
    y, laid_out = np.empty(geometry.y_shape, x.dtype), None
    if packed:
        laid_out = np.empty(_kernels.conv_packed_size(geometry.fields, x.itemsize), x.dtype)
        _kernels.conv_pack(geometry.fields, weight, laid_out)
    return lambda: _kernels.conv_forward(geometry.fields, x, weight, laid_out, None, None, 0, 0.0, y)


def _turn(call: Callable[[], None], stretch: float) -> float:
    """Seconds of one call, of as many as fill `stretch`, after one that finds the caches as another form left them."""
    call()
    count, start = 0, time.perf_counter()
    while True:
        call()
        count += 1
        taken = time.perf_counter() - start
        if taken >= stretch:
            return taken / count


def measured(layers: Iterable[Layer], rounds: int, stretch: float) -> Iterator[Row]:
    """Every form of each layer, in turn, the median of the rounds."""
    generator = np.random.default_rng(0)
    for layer in layers:
        x = generator.standard_normal((layer.N, layer.C, layer.H, layer.H), np.float32)
        weight = generator.standard_normal((layer.K, layer.C, 3, 3), np.float32)
        kinds = list(product(layer.forms, (False, True)))
        calls = [_call(layer, *kind, x, weight) for kind in kinds]
        times = [[_turn(call, stretch) for call in calls] for _ in range(rounds)]
        for kind, seconds in zip(kinds, np.median(times, axis=0), strict=True):
            yield Row(layer, *kind, float(seconds))


# ---- fitting


def fitted(target: Target, rows: list[Row]) -> dict[str, float]:
    """The costs with which the model gives the measured times up to one factor, by least squares of the relative error.

    What is far off counts less (Huber's weights, repeated): caches and memory are not in the model. A cost that is
    twice what it was counts as an error of 2 % in every row, lest one that the rows say little about went anywhere;
    and none is below zero. Times that no such table gives leave it as it is.
    """
    paid = [terms(target, row.layer, row.form, row.packed) for row in rows]
    names = ["products", *COSTS]
    times = np.array([row.seconds for row in rows])[:, None]
    present = np.array([1.0, *(max(target.costs[name], 0.1) for name in COSTS)])
    # The unknowns: seconds of a multiply-add, and of each cost over what it is at present.
    a = np.array([[p.get(name, 0.0) for name in names] for p in paid]) * present / times
    typical = float(np.median(a.sum(axis=1)))
    stay = KEEP * np.sqrt(len(rows)) * typical * (np.eye(len(names)) - np.eye(len(names))[0])[1:]
    a, b = np.vstack([a, stay]) / typical, np.append(np.ones(len(rows)), np.zeros(len(COSTS)))
    weights, used = np.ones(len(b)), np.ones(len(names), bool)
    for _ in range(50):
        root, solution = np.sqrt(weights), np.zeros(len(names))
        solution[used] = np.linalg.lstsq(root[:, None] * a[:, used], root * b, rcond=None)[0]
        used[1:] &= solution[1:] > 0
        off = np.abs(a @ solution - b)[: len(rows)]
        limit = 1.345 * max(1.4826 * float(np.median(off)), NOISE)
        weights[: len(rows)] = np.minimum(1, limit / np.maximum(off, 1e-12))
    if solution[0] <= 0:  # times of something else
        return dict(target.costs)
    found = np.maximum(solution, 0) * present
    return {name: float(value / found[0]) for name, value in zip(names[1:], found[1:], strict=True)}


def rounded(costs: dict[str, float]) -> dict[str, float]:
    """To two digits: more would say what is not known."""
    return {name: float(f"{value:.2g}") for name, value in costs.items()}


# ---- what a table is worth


class Loss(NamedTuple):
    """Time of the form chosen over that of the fastest, less one: the mean (geometric), the largest and where, and how
    many are off by more than 5 %."""

    mean: float
    worst: float
    where: str
    off: int


def loss(target: Target, costs: dict[str, float], rows: list[Row], packed: bool) -> Loss:
    table = target._replace(costs=costs)
    taken: dict[Layer, dict[str, float]] = {}
    for row in rows:
        if row.packed == packed:
            taken.setdefault(row.layer, {})[row.form] = row.seconds
    ratios = {layer: times[choice(table, layer, packed)] / min(times.values()) for layer, times in taken.items()}
    worst = max(ratios, key=lambda layer: ratios[layer])
    values = np.array(list(ratios.values()))
    form = choice(table, worst, packed)
    return Loss(
        float(np.exp(np.log(values).mean())) - 1, ratios[worst] - 1, f"{worst}, {form}", int((values > 1.05).sum())
    )


# ---- records of several runs


def save(path: str, rows: list[Row]) -> None:
    lines = (json.dumps([target_in_use(), row.layer, row.form, row.packed, row.seconds]) for row in rows)
    Path(path).write_text("\n".join(lines) + "\n")


def loaded(paths: list[str]) -> tuple[list[Row], float]:
    """The rows of these runs for the target in use, of what was measured several times the geometric mean, and by what
    factor such times differ (the median)."""
    times: dict[tuple[Layer, str, bool], list[float]] = {}
    for path in paths:
        for line in Path(path).read_text().splitlines():
            name, layer, form, packed, seconds = json.loads(line)
            if name == target_in_use():
                times.setdefault((Layer(*layer), form, packed), []).append(seconds)
    spread = [max(seconds) / min(seconds) for seconds in times.values() if len(seconds) > 1]
    rows = [Row(*key, float(np.exp(np.mean(np.log(seconds))))) for key, seconds in times.items()]
    return rows, float(np.median(spread)) if spread else 1.0


def target_in_use() -> str:
    return str(config()["target"])


# ---- the command


def show(target: Target, costs: dict[str, float], rows: list[Row]) -> None:
    print(f"{target.name}, {len({row.layer for row in rows})} layers, costs in multiply-adds of a vector")
    print(f"{'':22}{'present':>10}{'fitted':>10}")
    for name in COSTS:
        print(f"{name:22}{target.costs[name]:10g}{costs[name]:10g}")
    print("time of the form chosen over that of the fastest, less one")
    for packed in (False, True):
        for name, table in (("present", target.costs), ("fitted", costs)):
            found = loss(target, table, rows, packed)
            print(
                f"{'packed' if packed else 'plain':8}{name:9}mean {found.mean:6.1%}  over 5 % {found.off:3}"
                f"  worst {found.worst:6.1%} ({found.where})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few layers, shortly: shows that it works, fits nothing")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="measure the I-th of N parts of the layers")
    parser.add_argument("--rounds", type=int, default=7, metavar="R", help="of which the median counts (default: 7)")
    parser.add_argument("--save", metavar="FILE", help="keep the times")
    parser.add_argument("--load", metavar="FILE", nargs="+", help="measure nothing, fit to the times of these files")
    parser.add_argument("--check", metavar="FILE", nargs="+", help="say what the tables lose on these times instead")
    parser.add_argument("--write", action="store_true", help="write the fitted table into src_c/targets/")
    args = parser.parse_args()
    target, judged = read_target(target_in_use()), None
    if args.load:
        rows, spread = loaded(args.load)
        judged = loaded(args.check)[0] if args.check else rows
        print(f"repeated times differ by {spread - 1:.1%} (median)")
    else:
        part, parts = map(int, args.part.split("/"))
        layers = QUICK if args.quick else grid()[part - 1 :: parts]
        rows = list(measured(layers, 1 if args.quick else args.rounds, 1e-4 if args.quick else 2e-3))
    if args.save:
        save(args.save, rows)
    costs = rounded(fitted(target, rows))
    show(target, costs, judged or rows)
    if args.write:
        write_costs(target.name, costs)
        print(f"written to src_c/targets/{target.name}.c: build again")


if __name__ == "__main__":
    main()
