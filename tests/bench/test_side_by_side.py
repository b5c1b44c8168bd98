"""The side-by-side benchmark: its networks, its classes, the arithmetic of its summary, and a worker with fastconv."""

import json
import math

import numpy as np
import pytest
from peers import main
from side_by_side import run as measuring
from side_by_side.cases import GROUPS, OPS, QUICK, Case, every_case, select
from side_by_side.goals import GOALS, Goal, kind
from side_by_side.layers import NETWORKS, distinct
from side_by_side.libraries import CONTESTANTS
from side_by_side.operands import operands
from side_by_side.record import Record, read
from side_by_side.summary import outcome, summary

from fastconv import functional
from fastconv.bench.process import Process, ProcessError

CONV = Case("resnet", "conv2d", (1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1})
SMALL = Case("special", "conv2d", (1, 4, 8, 8), (4, 4, 3, 3), {"padding": 1})


@pytest.mark.parametrize(
    ("network", "layers", "different", "gflop"),
    (
        ("vgg", 13, 9, 30.69),
        ("resnet", 53, 23, 8.17),
        ("densenet", 120, 66, 5.67),
        ("yolo", 75, 23, 65.86),
        ("mobilenet", 52, 30, 0.60),
    ),
)
def test_networks(network, layers, different, gflop):
    whole = list(NETWORKS[network]())
    assert len(whole) == layers and len(distinct(network)) == different
    assert sum(layer.flops for layer in whole) / 1e9 == pytest.approx(gflop, abs=0.005)


def test_cases():
    cases = every_case()
    assert {case.group for case in cases} == set(GROUPS)
    assert {case.key for case in cases} >= set(QUICK)
    assert set(OPS) - {"train"} <= set(functional.__all__)
    for case in cases:
        assert Case.from_json(json.loads(json.dumps(case._asdict()))) == case
        assert (case.flops > 0) == (case.weight is not None)
    keys = [case.key for case in select()]
    assert len(set(keys)) == len(keys), "a layer of several networks is measured once"
    only = select(groups=["resnet"], ops=["conv2d"], batches=[16], match="1x1")
    assert {(case.group, case.op, case.x[0], case.weight[2]) for case in only} == {("resnet", "conv2d", 16, 1)}


@pytest.mark.parametrize("op", [op for op in OPS if op != "train"])
def test_shapes_and_operands_of_a_case(op):
    """The shape of y is that of the forward operation: the small twin of each operation says so."""
    case = next(case for case in every_case() if case.op == op)
    if case.weight:
        channels = case.weight[0] if op.startswith("conv_transpose") else case.weight[1]
        case = case._replace(x=(2, channels, 9, 9))
    else:
        case = case._replace(x=(2, 3, 9, 9))
    given = operands(case)
    forward = op.split("_backward")[0].split("_grad_")[0]
    x = np.ones(case.x, case.dtype)
    if forward.startswith("conv"):
        assert getattr(functional, forward)(x, given.weight, **case.options).shape == case.y
        assert case.flops == 2 * math.prod(case.y) * channels * math.prod(case.weight[2:]) or "transpose" in op
    elif "pool" in forward:
        assert getattr(functional, forward)(x, **case.options).shape == case.y
    else:
        assert case.y == case.x
    assert given.dy.shape in ((0,), case.y) and given.x.shape in ((0,), case.x)


@pytest.mark.parametrize(
    ("case", "expected"),
    (
        (CONV, "3x3"),
        (CONV._replace(x=(1, 64, 26, 26)), "3x3 at 26"),
        (CONV._replace(x=(1, 64, 13, 13)), "3x3 at 14"),
        (CONV._replace(x=(1, 64, 7, 7)), "3x3 at 7"),
        (CONV._replace(x=(16, 64, 7, 7)), "3x3"),
        (CONV._replace(group="densenet"), "dense"),
        (CONV._replace(options={"padding": 1, "stride": 2}), "dense"),
        (CONV._replace(options={"padding": 2, "dilation": 2}), "dense"),
        (CONV._replace(x=(1, 3, 56, 56), weight=(64, 3, 3, 3)), "dense"),
        (CONV._replace(weight=(64, 8, 3, 3), options={"padding": 1, "groups": 8}), "grouped"),
        (Case("pool", "global_avg_pool2d", (1, 8, 7, 7)), "pool"),
        (Case("norm", "relu", (1, 8, 7, 7)), "norm"),
    ),
)
def test_kind(case, expected):
    assert kind(case) == expected


def test_every_goal_has_cases_and_every_kind_a_goal():
    cases = every_case()
    for goal in GOALS:
        assert any(goal.includes(case) for case in cases), goal.row
        assert {goal.of, *goal.against} <= set(CONTESTANTS)
        assert goal.mean or goal.least
    assert {kind(case) for case in cases} - {kind for goal in GOALS for kind in goal.kinds} == {"norm"}
    assert len({goal.row for goal in GOALS}) == len(GOALS)


def test_outcome():
    records = [
        Record(CONV, {"fastconv": 1.0, "PyTorch": 4.0, "ONNX Runtime": 3.0}),
        Record(CONV._replace(x=(16, 64, 14, 14)), {"fastconv": 1.0, "PyTorch": 12.0}),
        Record(CONV._replace(group="densenet"), {"fastconv": 1.0, "PyTorch": 0.5}),
        Record(CONV._replace(x=(16, 64, 28, 28)), {"PyTorch": 1.0}, errors={"fastconv": "broke"}),
    ]
    result = outcome(Goal("row", ("3x3",), mean=6.0, least=3.0), records)
    assert (result.count, result.least, result.case, result.met) == (2, 3.0, CONV.key, True)
    assert result.mean == pytest.approx(6.0)
    assert outcome(Goal("row", ("3x3",), least=3.1), records).met is False
    assert outcome(Goal("row", ("float64",)), records).met is None
    text = summary(records)
    assert all(goal.row in text for goal in GOALS)
    assert "0.50x" in text and "faster than the plain call in 1 of 4" in text


def test_figures_of_memory_and_shares():
    training = Record(
        Case("training", "train", (64, 1, 28, 28), network="mnist_cnn"), memory={"fastconv": 2, "PyTorch": 3}
    )
    pooling = Record(Case("pool", "max_pool2d", (1, 1, 4, 4), None, {"kernel_size": 2}), {"fastconv": 2.0}, copy=80.0)
    dense = Record(CONV._replace(group="densenet"), {"fastconv": 1.0}, peak=CONV.flops * 2.0)
    direct = Record(CONV, deviations={"fastconv": 0.0, "fastconv direct": 1e-6})
    found = {goal.row: outcome(goal, [training, pooling, dense, direct]) for goal in GOALS}
    figures = {row.split(",")[0]: result.least for row, result in found.items() if result.count}
    assert figures == {"training steps": 1.5, "pooling": 0.5, "every other dense layer": 0.5, "accuracy": 4.0}


def test_a_worker_with_fastconv_alone(tmp_path, capsys):
    with measuring.Run([], 1, 0.0, 3) as run:
        assert run.start()["threads"] == 1
        record = run.measure(SMALL)
        assert set(record.seconds) == {"fastconv", "fastconv prepacked", "fastconv direct"}
        assert record.rounds == 3 and not record.errors
        assert record.share_of_peak("fastconv") > 0 and max(record.deviations.values()) < 1e-6
    path = tmp_path / "results.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps({"machine": {"cpu": "this one"}}) + "\n")
        record.write(file)
        Record(CONV, {"fastconv": 1e-3, "PyTorch": 2e-3}, errors={"ncnn": "broke"}).write(file)
        Record(CONV, {"fastconv": 1e-3, "PyTorch": 3e-3}, errors={"ncnn": "broke"}).write(file)
    machines, records = read([path])
    assert machines == [{"cpu": "this one"}] and [r.case.key for r in records] == [SMALL.key, CONV.key]
    assert records[0].seconds == pytest.approx(record.seconds, rel=1e-4)
    picture = tmp_path / "ratios.png"
    assert main(["--show", str(path), "--plot", str(picture)]) == 1, "a library failed"
    assert "3.00x" in capsys.readouterr().out and picture.stat().st_size > 1000


def test_another_result_is_an_error_and_no_number(monkeypatch):
    monkeypatch.setitem(measuring.TOLERANCE, "float32", -1.0)
    with measuring.Run([], 1, 0.0, 3) as run:
        record = run.measure(SMALL)
    assert not record.seconds and "another result" in record.errors["fastconv"]


class Answering:
    """In place of a worker: its contestant's result is y."""

    def __init__(self, name, y):
        self.name, self.y = name, y

    def ask(self, do, case, folder, **_):
        file = f"{folder}/0.npy"
        np.save(file, self.y)
        return {"contestants": [self.name], "results": {self.name: file}, "work": {}}


@pytest.mark.parametrize(
    ("theirs", "text"),
    [(np.ones(4), "off by inf"), (np.ones(4, np.float32), None), (np.full(4, 1.001, "f4"), "1.0e-03")],
)
def test_results_are_compared_with_fastconvs(theirs, text):
    """Another dtype is another result too: it would be other work."""
    record = Record(SMALL)
    with measuring.Run([], 1, 0.0) as run:
        workers = {"fastconv": Answering("fastconv", np.ones(4, np.float32)), "numpy": Answering("NumPy", theirs)}
        turns, _ = run._prepare(record, workers)
    assert list(turns) == ["fastconv", "NumPy"][: 2 - bool(text)]
    assert record.deviations["fastconv"] == 0 and (text or "") in record.errors.get("NumPy", "")


def test_a_worker_says_what_is_wrong():
    with Process("side_by_side.worker", "fastconv", threads=1) as worker:
        with pytest.raises(ProcessError, match="KeyError: 'nobody'"):
            worker.seconds(contestant="nobody")
        assert worker.ask("hello")["versions"]["fastconv"]
    worker = Process("side_by_side.worker", "no such library", threads=1)
    with worker, pytest.raises(ProcessError, match="no such library"):
        worker.ask("hello")
