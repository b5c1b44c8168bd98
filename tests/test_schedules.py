"""Schedules against PyTorch's numbers, and that they are formulas of the step."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastconv import schedules
from fastconv.layers import Parameter
from fastconv.optim import SGD, Adam

TORCH = json.loads(Path(__file__).with_name("torch_values.json").read_text())


def sgd():
    return SGD([Parameter(np.zeros(1))], lr=0.2, momentum=0.9)


def follow(optimizer, schedule, steps):
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        schedule.step()
    return rates, momenta


@pytest.mark.parametrize("case", TORCH["schedules"], ids=lambda case: f"{case['kind']}-{case['settings']}")
def test_values_are_pytorchs(case):
    optimizer = sgd()
    schedule = getattr(schedules, case["kind"])(optimizer, **case["settings"])
    rates, momenta = follow(optimizer, schedule, len(case["rates"]))
    np.testing.assert_allclose(rates, case["rates"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(momenta, case["momenta"], rtol=1e-12)


def test_warm_up_then_cosine_is_pytorchs():
    optimizer = sgd()
    warm = schedules.LinearLR(optimizer, start_factor=0.25, total_iters=4)
    schedule = schedules.SequentialLR(optimizer, [warm, schedules.CosineAnnealingLR(optimizer, T_max=8)], [4])
    rates, _ = follow(optimizer, schedule, len(TORCH["warm_up"]["rates"]))
    np.testing.assert_allclose(rates, TORCH["warm_up"]["rates"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", TORCH["schedules"], ids=lambda case: f"{case['kind']}-{case['settings']}")
def test_a_loaded_schedule_goes_on_with_the_same_bits(case):
    one, two = sgd(), sgd()
    schedule = getattr(schedules, case["kind"])(one, **case["settings"])
    follow(one, schedule, 5)
    other = getattr(schedules, case["kind"])(two, **case["settings"])
    other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert follow(one, schedule, 6) == follow(two, other, 6)


def test_one_cycle_moves_the_first_beta_of_adam():
    optimizer = Adam([Parameter(np.zeros(1))])
    schedule = schedules.OneCycleLR(optimizer, 0.5, 10)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    assert "momentum" not in optimizer.param_groups[0]
    schedule.step()
    schedule.step()
    assert optimizer.param_groups[0]["betas"][0] == pytest.approx(0.85)


def test_one_cycle_stays_at_its_end():
    optimizer = sgd()
    schedule = schedules.OneCycleLR(optimizer, 0.5, 4)
    for _ in range(3):
        schedule.step()
    end = optimizer.param_groups[0]["lr"]
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == end == pytest.approx(0.5 / 25 / 1e4)


def test_each_group_follows_its_own_rate():
    groups = [{"params": Parameter(np.zeros(1)), "lr": 1.0}, {"params": Parameter(np.zeros(1)), "lr": 0.1}]
    schedule = schedules.StepLR(SGD(groups), 1)
    schedule.step()
    np.testing.assert_allclose(schedule.get_last_lr(), [0.1, 0.01])


@pytest.mark.parametrize(
    "state",
    [{}, {"last_epoch": -1, "base_lrs": [0.2]}, {"last_epoch": True, "base_lrs": [0.2]},
     {"last_epoch": 1, "base_lrs": [0.2, 0.2]}, {"last_epoch": 1, "base_lrs": ["x"]}, {"last_epoch": 1}],
)  # fmt: skip
def test_a_state_that_does_not_fit_changes_nothing(state):
    optimizer = sgd()
    schedule = schedules.StepLR(optimizer, 2)
    with pytest.raises(ValueError, match="StepLR"):
        schedule.load_state_dict(state)
    assert schedule.last_epoch == 0 and optimizer.param_groups[0]["lr"] == 0.2


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda o: schedules.StepLR(o, 0), "step_size must be at least 1"),
        (lambda o: schedules.StepLR(o, 1.5), "step_size must be an integer"),
        (lambda o: schedules.StepLR(o, 1, "x"), "gamma"),
        (lambda o: schedules.StepLR(3, 1), "optimizer must be"),
        (lambda o: schedules.LinearLR(o, 0.0), "start_factor"),
        (lambda o: schedules.OneCycleLR(o, 1.0), "epochs must be"),
        (lambda o: schedules.OneCycleLR(o, 1.0, 5, pct_start=2), "pct_start"),
        (lambda o: schedules.OneCycleLR(o, 1.0, 5, anneal_strategy="x"), "anneal_strategy"),
        (lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)], [3]), "one milestone between"),
        (lambda o: schedules.SequentialLR(o, [schedules.StepLR(sgd(), 1)], []), "same optimizer"),
    ],
)
def test_wrong_arguments(build, error):
    with pytest.raises((TypeError, ValueError), match=error):
        build(sgd())
