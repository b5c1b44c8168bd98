"""The memory that kernels work in, beyond operands and results: bounded on every layer that benchmarks measure,
whatever the target, and counted as it is when they really run."""

import contextlib
import functools

import numpy as np
import pytest

import fastconv
from fastconv import _kernels, functional

cases = pytest.importorskip("side_by_side.cases", reason="benchmarks/ is not there")

LIMIT = 64 << 20
THREADS = 2  # that the benchmarks run on; each has scratch of its own besides what they share
CASES = {case.key: case for case in cases.every_case() if case.weight}


@contextlib.contextmanager
def on_target(name):
    before = _kernels.current_target()
    _kernels.use_target(name)
    try:
        yield
    finally:
        _kernels.use_target(before)


@contextlib.contextmanager
def skipped_tasks():
    """Inside, kernels take their memory and compute nothing: the largest layers in no time."""
    _kernels.skip_tasks(True)
    try:
        yield
    finally:
        _kernels.skip_tasks(False)


def calls(case):
    """(name, call) of an operation on a layer, plain, in its direct form and with a packed weight. The operands are
    zeros, pages of which no memory is spent on before they are read."""
    x, y, weight = (np.zeros(shape, case.dtype) for shape in (case.x, case.y, case.weight))
    arguments = {"conv2d_grad_input": (y, weight, case.x), "conv2d_grad_weight": (y, x, case.weight)}
    function = functools.partial(getattr(functional, case.op), **case.options)
    yield "plain", functools.partial(function, *arguments.get(case.op, (x, weight)))
    if case.op != "conv_transpose2d":
        yield "direct", functools.partial(function, *arguments.get(case.op, (x, weight)), algorithm="direct")
    if case.op == "conv2d":
        yield "packed", functools.partial(function, x, fastconv.pack(weight, **case.options, input_shape=case.x))


def scratch(call):
    """Bytes that a call takes at the most, beyond what it returns."""
    _kernels.reset_peak_bytes()
    before = _kernels.used_bytes()
    result = call()
    results = _kernels.used_bytes() - before  # small ones are NumPy's
    peak = _kernels.peak_bytes() - before - results
    del result
    return peak


@pytest.mark.parametrize("target", fastconv.targets())
def test_it_is_bounded_on_every_layer(target):
    fastconv.set_num_threads(THREADS)
    needs = {}
    with on_target(target), skipped_tasks():
        for key, case in CASES.items():
            for name, call in calls(case):
                needs[f"{key}, {name}"] = scratch(call)
            fastconv.free_scratch()  # lest results of gigabytes were kept
    assert len(needs) > 2000
    assert {key: need for key, need in needs.items() if need > LIMIT} == {}


REAL = (
    "conv2d 1x512x14x14 -> 512 3x3",
    "conv2d 16x128x28x28 -> 128 3x3",
    "conv2d_grad_input 1x128x56x56 -> 128 3x3 /2",
    "conv2d_grad_weight 16x64x56x56 -> 64 3x3",
    "conv2d_grad_weight 16x512x7x7 -> 512 3x3",
    "conv2d_grad_weight 1x3x224x224 -> 64 7x7 /2",
    "conv2d_grad_weight 1x256x28x28 -> 256 3x3 groups 32",
    "conv2d_grad_weight 1x256x28x28 -> 512 1x1 float64",
)


@pytest.mark.parametrize("key", REAL)
def test_it_is_what_a_real_call_takes(key):
    """What is counted with the tasks skipped."""
    fastconv.set_num_threads(THREADS)
    for name, call in calls(CASES[key]):
        with skipped_tasks():
            needs = scratch(call)
        assert needs == scratch(call) > 0, name


@pytest.mark.slow
def test_it_is_that_of_real_calls_on_every_small_layer():
    """Every kind of layer, on up to 200 million multiply-adds."""
    fastconv.set_num_threads(THREADS)
    for case in CASES.values():
        for name, call in calls(case) if case.flops < 4e8 else ():
            with skipped_tasks():
                needs = scratch(call)
            assert needs == scratch(call), f"{case.key}, {name}"


def test_no_more_threads_take_no_more_than_their_own():
    """What threads share does not depend on how many they are."""
    case = CASES["conv2d_grad_weight 16x512x13x13 -> 1024 3x3"]
    needs = {}
    for threads in (1, 2, 3):
        fastconv.set_num_threads(threads)
        with skipped_tasks():
            needs[threads] = scratch(next(iter(calls(case)))[1])
    assert needs[3] - needs[2] == needs[2] - needs[1] < 4 << 20
