"""benchmarks/scaling.py: loops as they are watched, tasks as they fall to more cores, memory as it is counted."""

import re
import sys
import threading
from pathlib import Path

import numpy as np
import processes
import pytest

import fastconv

loops = pytest.importorskip("loops", reason="benchmarks/ is not there")
scaling = pytest.importorskip("scaling", reason="benchmarks/ is not there")

MEMORY = """
import sys
import numpy
import fastconv
sys.path.insert(0, sys.argv[1])
import loops
try:
    touched = loops.Touched()
except OSError as error:
    print("cannot", error, sep="\\n")
    sys.exit()
x = numpy.ones((1, 64, 256, 256), numpy.float32)
def call():
    return fastconv.relu(x)
recorded = loops.record(call, 1)
print(2 * x.nbytes)
for cores in (1, 4):
    print(*loops.bytes_of_cores(call, recorded, cores, touched))
"""

LONG = 1e9  # multiply-adds: worth every thread


def convolution():
    generator = np.random.default_rng(0)
    x, weight = (generator.standard_normal(shape, np.float32) for shape in ((1, 32, 28, 28), (32, 32, 3, 3)))
    return lambda: fastconv.conv2d(x, weight, padding=1)


def test_a_watched_call_gives_the_same_bits_and_each_task_once():
    call, seen = convolution(), []
    expected = call()
    with loops.watching(lambda *event: seen.append(event)):
        np.testing.assert_array_equal(call(), expected)
        elsewhere = threading.Thread(target=call)  # loops of other threads are not watched
        count = len(seen)
        elsewhere.start()
        elsewhere.join()
        assert len(seen) == count > 0
    while seen:
        tasks, _, work = seen[0]
        assert seen[: tasks + 1] == [(tasks, task, work) for task in range(tasks + 1)]
        del seen[: tasks + 1]
    call()
    assert not seen


@pytest.mark.parametrize("at", [0, 1, -1])
def test_what_a_watch_raises_ends_the_call(at):
    call = convolution()
    expected = call()

    def fail(tasks, task, work):
        if task == (tasks if at < 0 else at):
            raise LookupError(f"task {task}")

    for _ in range(2):
        with pytest.raises(LookupError, match="task"), loops.watching(fail):
            call()
    np.testing.assert_array_equal(call(), expected)


@pytest.mark.parametrize(("tasks", "cores"), [(1, 16), (8, 16), (16, 16), (17, 16), (100, 16), (100, 1), (64, 64)])
def test_equal_tasks_are_dealt_evenly(tasks, cores):
    busy, core = loops.Loop(LONG, np.ones(tasks)).place(cores)
    np.testing.assert_array_equal(np.bincount(core, minlength=cores), busy)
    assert busy.sum() == tasks and busy.max() == -(-tasks // cores)
    assert np.count_nonzero(busy) == min(tasks, cores)


def test_tasks_of_a_busy_core_are_taken_by_others():
    """Of tasks 0 .. 9 on two cores the first has 0 .. 4; while it is at 0 the other does its own five, then those."""
    busy, core = loops.Loop(LONG, np.array([9.0, *[1.0] * 9])).place(2)
    assert busy.tolist() == [9, 9] and core.tolist() == [0, *[1] * 9]
    generator = np.random.default_rng(0)
    for cores in (3, 16, 64):
        seconds = generator.exponential(size=200)
        busy, core = loops.Loop(LONG, seconds).place(cores)
        np.testing.assert_allclose(busy, np.bincount(core, seconds, cores))
        assert busy.max() <= seconds.sum() / cores + seconds.max()  # Graham's bound: no core waits while tasks are left


def test_a_short_loop_stays_on_one_core():
    busy, _ = loops.Loop(1e3, np.ones(64)).place(16)
    assert busy.tolist() == [64, *[0] * 15]


def test_the_time_on_more_cores():
    recorded = loops.Recorded((loops.Loop(LONG, np.ones(8)), loops.Loop(1.0, np.ones(2))), outside=3.0)
    assert recorded.seconds == 13
    assert recorded.on(1, 0.5) == (13, 1)
    assert recorded.on(4, 0.5) == (3 + 2 + 0.5 + 2, 10 / (4 * 4))
    assert scaling.why(recorded, 4) == "a loop of 2000000 us stays on one thread"
    assert scaling.why(loops.Recorded((loops.Loop(LONG, np.ones(8)),), 0.0), 16) == "8 tasks"
    longest = np.array([10.0, *[1.0] * 39])
    assert (
        scaling.why(loops.Recorded((loops.Loop(LONG, longest),), 0.0), 16) == "40 tasks, the longest 8.2 times the mean"
    )


def test_recording_a_call():
    call = convolution()
    recorded = loops.record(call, 3)
    assert recorded.loops and recorded.outside > 0 and all((loop.seconds > 0).all() for loop in recorded.loops)
    shapes = iter([8, 8, 12, 12])
    with pytest.raises(ValueError, match="different loops in 3 rounds"):
        loops.record(lambda: fastconv.relu(np.zeros(next(shapes) << 16, np.float32)), 3)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are counted by Linux")
def test_memory_is_counted_by_cores():
    """ReLU reads 16 MB and writes 16 MB: a quarter of both on each of four cores.

    In a process of its own: the pages an interpreter touches by itself grow with what it has loaded, and in one
    that ran thousands of tests a collection of garbage touches a quarter as much as the call.
    """
    printed = processes.run(MEMORY, str(Path(loops.__file__).parent)).stdout.splitlines()
    if printed[0] == "cannot":
        pytest.skip(printed[1])
    expected, *found = ([int(number) for number in line.split()] for line in printed)
    for cores, touched in zip((1, 4), found, strict=True):
        assert len(touched) == cores
        np.testing.assert_allclose(touched, expected[0] / cores, rtol=0.25)


def test_the_table(capsys):
    arguments = ["--network", "resnet", "mobilenet", "--match", "7x7 ->", "--rounds", "2", "--cores", "4", "16"]
    assert scaling.main([*arguments, "--check"]) == 0
    printed = capsys.readouterr().out
    rows = re.findall(
        r"^conv2d +1x\S+7x7 -> .* us +\d+( +\d+\.\dx +\d+ % +(?:\d+\.\d|-)){2} +\d\.\d+x +\d\.\d+x$", printed, re.M
    )
    assert len(rows) >= 5
    assert re.search(r"^resnet +conv2d +\d+\.\d ms +\d+\.\dx on 4 +\d+\.\dx on 16$", printed, re.M)
    assert re.search(r"^\d+ layers would not fill 16 cores", printed, re.M)


def test_layers_of_other_kernels_are_there():
    assert set(scaling.OPS) >= {"conv2d_grad_weight", "linear", "max_pool2d", "batch_norm_train"}
    found = list(scaling.layers(("linear", "max_pool2d"), ("vgg", "resnet")))
    assert [layer.shape for layer in found[:4]] == [
        "1x25088 -> 4096",
        "1x4096 -> 4096",
        "1x4096 -> 1000",
        "1x2048 -> 1000",
    ]
    assert {layer.op for layer in found[4:]} == {"max_pool2d"}


@pytest.mark.parametrize("wrong", [["--cores", "0"], ["--cores", "2000"], ["--op", "sort"], ["--start", "-1"]])
def test_wrong_arguments(wrong, capsys):
    with pytest.raises(SystemExit):
        scaling.main(wrong)
    assert "error:" in capsys.readouterr().err
