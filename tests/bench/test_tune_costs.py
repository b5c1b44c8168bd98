"""benchmarks/tune_costs.py: its model chooses as the kernels do, finds the costs that times were made of, and writes no
more than a table."""

import itertools
import math

import numpy as np
import pytest

import fastconv
from fastconv import _geometry, _kernels

cost_model = pytest.importorskip("cost_model", reason="benchmarks/ is not there")
tune_costs = pytest.importorskip("tune_costs", reason="benchmarks/ is not there")
if not cost_model.TARGETS.is_dir():  # .ci/wheels tests the installed package away from its sources
    pytest.skip("the sources of the kernels are not there", allow_module_level=True)

LAYERS = [
    cost_model.Layer(N, C, H, K, stride)
    for N, C, H, K, stride in itertools.product(
        (1, 3, 16), (8, 16, 17, 64, 200, 512), (3, 4, 7, 13, 28, 56), (15, 16, 30, 64, 256, 1000), (1, 2)
    )
]


@pytest.fixture(params=fastconv.targets())
def target(request):
    """Each target in turn, as its file has it."""
    before = _kernels.current_target()
    _kernels.use_target(request.param)
    try:
        yield cost_model.read_target(request.param)
    finally:
        _kernels.use_target(before)


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("packed", [False, True])
def test_the_model_chooses_as_the_kernels_do(target, packed, itemsize):
    chosen = {}
    for layer in LAYERS:
        x, weight = (layer.N, layer.C, layer.H, layer.H), (layer.K, layer.C, 3, 3)
        geometry = _geometry.conv("test", x, weight, layer.stride, 1, 1, 1, "NCHW")
        chosen[layer] = _geometry.FORMS[_kernels.conv_algorithm(geometry.fields, itemsize, packed)]
    assert set(chosen.values()) == {"direct", *cost_model.WINOGRAD}
    expected = {layer: cost_model.choice(target, layer, packed, itemsize) for layer in LAYERS}
    assert [layer for layer in LAYERS if expected[layer] != chosen[layer]] == []


def made_of(target, costs, noise=0.0):
    """Times on the grid as if the model were the truth."""
    generator, table = np.random.default_rng(0), target._replace(costs=costs)
    return [
        tune_costs.Row(layer, form, packed, 1e-9 * cost_model.cost(table, layer, form, packed) * factor)
        for layer in tune_costs.grid()
        for form, packed in itertools.product(layer.forms, (False, True))
        for factor in [math.exp(noise * generator.standard_normal())]
    ]


def other(target):
    return {name: value * (3 if place % 2 else 0.5) for place, (name, value) in enumerate(target.costs.items())}


def test_costs_are_found_again(monkeypatch):
    monkeypatch.setattr(tune_costs, "KEEP", 1e-7)
    target = cost_model.read_target("avx512")
    assert tune_costs.fitted(target, made_of(target, other(target))) == pytest.approx(other(target), rel=1e-3)


def test_outliers_count_little_and_no_cost_is_negative(monkeypatch):
    monkeypatch.setattr(tune_costs, "KEEP", 1e-4)
    target = cost_model.read_target("avx512")
    rows = made_of(target, {**other(target), "GATHER_COST": 0.0, "INPUT4_COST": -10.0}, noise=0.01)
    rows[::50] = [row._replace(seconds=5 * row.seconds) for row in rows[::50]]
    found = tune_costs.fitted(target, rows)
    assert min(found.values()) >= 0 and found["INPUT4_COST"] < 20
    assert found["OUTPUT4_COST"] == pytest.approx(other(target)["OUTPUT4_COST"], rel=0.1)


def test_a_cost_that_times_do_not_show_stays():
    target = cost_model.read_target("avx512")
    rows = [row for row in made_of(target, target.costs, noise=0.05) if row.packed]
    assert tune_costs.fitted(target, rows)["PACK_COST"] == pytest.approx(target.costs["PACK_COST"], rel=0.1)


def test_what_a_table_loses():
    target = cost_model.read_target("avx512")
    rows = made_of(target, other(target))
    right = tune_costs.loss(target, other(target), rows, packed=True)
    wrong = tune_costs.loss(target, {name: 0.0 for name in target.costs}, rows, packed=True)
    assert right.mean == right.worst == 0 and right.off == 0
    assert wrong.worst > wrong.mean > 0 and wrong.off > 0


def test_the_table_is_all_that_is_written(target):
    text = (cost_model.TARGETS / f"{target.name}.c").read_text()
    assert cost_model.with_costs(text, target.costs) == text
    changed = cost_model.with_costs(text, other(target)).splitlines()
    differing = [new for old, new in zip(text.splitlines(), changed, strict=True) if old != new]
    assert len(differing) == len(cost_model.COSTS) and all("_COST " in line for line in differing)
    with pytest.raises(ValueError, match="defined 0 times"):
        cost_model.with_costs(text, {"NO_COST": 1.0})


def test_a_quick_run_measures_every_form(capsys, tmp_path, monkeypatch):
    path = str(tmp_path / "times.jsonl")
    monkeypatch.setattr("sys.argv", ["tune_costs.py", "--quick", "--save", path])
    tune_costs.main()
    rows, spread = tune_costs.loaded([path, path])
    assert {(row.layer, row.form, row.packed) for row in rows} == {
        (layer, *kind) for layer in tune_costs.QUICK for kind in itertools.product(layer.forms, (False, True))
    }
    assert spread == 1 and "time of the form chosen" in capsys.readouterr().out
