"""`python benchmarks/networks.py`: whole networks in fastconv, ONNX Runtime, OpenVINO and ncnn, interleaved.
It must hold no measuring code: that is fastconv.bench.contest."""

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from side_by_side.inception import inception_v1

from fastconv import models
from fastconv.bench.contest import Standing, contest
from fastconv.bench.engines import ENGINES, missing
from fastconv.config import config

# Network: (its function, side of the pictures, the goals at batch 1 and 8: times the fastest of the others).
NETWORKS: dict[str, tuple[Callable[..., Any], int, tuple[float, float]]] = {
    "VGG-16": (models.vgg16, 224, (1.3, 2.2)),
    "VGG-19": (models.vgg19, 224, (1.3, 2.2)),
    "ResNet-18": (models.resnet18, 224, (1.5, 1.8)),
    "ResNet-34": (models.resnet34, 224, (1.5, 1.8)),
    "ResNet-50": (models.resnet50, 224, (1.2, 1.3)),
    "DenseNet-121": (models.densenet121, 224, (1.2, 1.2)),
    "MobileNetV2": (models.mobilenet_v2, 224, (1.0, 1.0)),
    "SqueezeNet 1.1": (models.squeezenet1_1, 224, (1.2, 1.2)),
    "AlexNet": (models.alexnet, 224, (1.2, 1.2)),
    "Inception v1": (inception_v1, 224, (1.2, 1.2)),
    "YOLOv3": (models.yolov3, 416, (1.4, 1.7)),
    "YOLOv3-tiny": (models.yolov3_tiny, 416, (1.4, 1.7)),
}
PEERS = ("ORT", "OpenVINO", "ncnn")
TITLES = ("network", "batch", "fastconv", *PEERS, "best", "goal", "MB: fastconv", *PEERS)
WIDTHS = (15, 6, 10, 7, 9, 7, 7, 6, 13, 6, 9, 6)


def parser() -> argparse.ArgumentParser:
    """The options."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    result.add_argument("--only", nargs="+", choices=tuple(NETWORKS), default=tuple(NETWORKS), metavar="NETWORK")
    result.add_argument("--batch", nargs="+", type=int, default=(1, 8), metavar="N")
    result.add_argument("--engines", nargs="+", choices=tuple(ENGINES)[1:], default=tuple(ENGINES)[1:])
    result.add_argument("--threads", type=int, default=cpus, help="of every engine (default: %(default)s)")
    result.add_argument("--seconds", type=float, default=5.0, help="for each row, at the least (default: 5)")
    result.add_argument("--json", metavar="FILE", help="append each row as it is measured (JSON Lines)")
    return result


def main() -> None:
    """Measure and print, a line a network and batch size."""
    args = parser().parse_args()
    engines = ["fastconv"]
    for engine in args.engines:
        if absent := missing(engine):
            print(f'{engine} is skipped: {", ".join(absent)} is not installed (pip install "fastconv[bench]")')
        else:
            engines.append(engine)
    machine = {name: value for name, value in config().items() if name in ("fastconv", "cpu", "target")}
    print(*(f"{name} {value}" for name, value in machine.items()), f"threads {args.threads}", sep=", ")
    print("".join(f"{title:>{width}}" for title, width in zip(TITLES, WIDTHS, strict=True)), flush=True)
    for name in args.only:
        build, side, goals = NETWORKS[name]
        model = build(seed=1)
        for batch in args.batch:
            x = np.random.default_rng(0).standard_normal((batch, 3, side, side), np.float32)
            standing = contest(model, x, engines, args.threads, args.seconds)
            print(line(name, batch, standing, goals[batch > 1]), flush=True)
            if args.json:
                with open(args.json, "a", encoding="utf-8") as file:
                    print(json.dumps({"network": name, "batch": batch, **machine, **vars(standing)}), file=file)


def line(name: str, batch: int, standing: Standing, goal: float) -> str:
    """fastconv's time, those of the others and of the best of them as multiples of it; megabytes at the most. An error
    takes a line of its own."""
    cells = [name, str(batch), _cell(standing.seconds.get("fastconv"), "{:.1f} ms", 1e3)]
    for peer in tuple(ENGINES)[1:]:
        cells.append(_cell(standing.ratio([peer]), "{:.2f}x"))
    cells += [_cell(standing.ratio(ENGINES), "{:.2f}x"), f"{goal:.1f}x"]
    cells += [_cell(standing.memory.get(engine), "{:.0f}", 2**-20) for engine in ENGINES]
    text = "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return text + "".join(f"\n    {engine}: {error}" for engine, error in standing.errors.items())


def _cell(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else form.format(value * scale)


if __name__ == "__main__":
    main()
