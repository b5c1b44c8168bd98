"""The n-th allocation of the kernels fails, for every n, in every layer, in a step of training and in an optimized
network: MemoryError, nothing is half done, and the next try gives the same bits. Operations: test_memory.py."""

import numpy as np
import pytest
from failing_memory import Scenario, scenarios, survived

import fastconv
from fastconv import _kernels, optim
from fastconv.layers import Parameter

# Layers that move numbers only need no memory of the kernels.
ENOUGH = {"SGD": 20, "Ada": 20, "opt": 10}


@pytest.mark.parametrize("scenario", scenarios(), ids=str)
def test_every_failing_allocation_is_survived(scenario: Scenario):
    fastconv.set_num_threads(2 if scenario.name.startswith("layer") else 1)
    try:
        failed = survived(scenario, _kernels.fail_allocation)
    finally:
        _kernels.fail_allocation(0)
    assert failed >= ENOUGH.get(scenario.name[:3], 0)


@pytest.mark.parametrize(("kind", "settings"), [("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {"amsgrad": True})])
def test_memory_that_runs_out_in_a_step_changes_no_parameter(kind, settings, monkeypatch):
    """The first parameters had changed and the last had not; SGD then went on from velocities that were never set."""

    def build():
        ps = [Parameter(np.arange(1.0, 5)), Parameter(np.arange(3.0))]
        for p in ps:
            p.grad = np.ones_like(p.data)
        return ps, getattr(optim, kind)(ps, lr=0.1, **settings)

    (ps, optimizer), (others, other) = build(), build()
    before = [p.data.copy() for p in ps]
    made = []

    def zeros_like(array):
        made.append(array)
        if array is ps[1].data:
            raise MemoryError
        return np.zeros(array.shape)

    with monkeypatch.context() as patch:
        patch.setattr("fastconv.optim.base.np.zeros_like", zeros_like)
        with pytest.raises(MemoryError):
            optimizer.step()
    assert len(made) >= 2 and optimizer.state_dict()["state"] == {}
    for p, data in zip(ps, before, strict=True):
        np.testing.assert_array_equal(p.data, data)
    for _ in range(2):
        optimizer.step()
        other.step()
    for p, q in zip(ps, others, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
