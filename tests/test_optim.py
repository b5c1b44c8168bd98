"""Optimizers against PyTorch's numbers, groups, state dicts, and what they must not touch."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import optim
from fastconv.layers import Linear, Parameter

TORCH = json.loads(Path(__file__).with_name("torch_values.json").read_text())


def parameter(values, dtype=np.float64):
    return Parameter(np.array(values, dtype))


def follow(optimizer, p, gradients):
    for gradient in gradients:
        p.grad = np.array(gradient, p.data.dtype)
        optimizer.step()
        yield p.data.copy()


@pytest.mark.parametrize("case", TORCH["optimizers"], ids=lambda case: f"{case['kind']}-{case['settings']}")
def test_steps_are_pytorchs(case):
    p = parameter(TORCH["start"])
    optimizer = getattr(optim, case["kind"])([p], **case["settings"])
    for got, expected in zip(follow(optimizer, p, TORCH["gradients"]), case["values"], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", TORCH["optimizers"], ids=lambda case: f"{case['kind']}-{case['settings']}")
def test_runs_and_lanes_change_nothing(case, threads):
    """A large array, of several runs and a part of a vector, gets the same bits as its values in small arrays."""
    rng = np.random.default_rng(0)
    values, gradients = rng.normal(size=40_003).astype("f4"), rng.normal(size=(3, 40_003)).astype("f4")
    fastconv.set_num_threads(threads)
    whole = parameter(values, np.float32)
    list(follow(getattr(optim, case["kind"])([whole], **case["settings"]), whole, gradients))
    for part in (slice(0, 1), slice(7, 20), slice(16_380, 16_400), slice(39_990, 40_003)):
        cut = parameter(values[part], np.float32)
        list(follow(getattr(optim, case["kind"])([cut], **case["settings"]), cut, gradients[:, part]))
        np.testing.assert_array_equal(whole.data[part], cut.data)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_what_does_not_fit_is_refused_before_the_kernel(kind):
    """The kernels trust sizes: data put in place of a parameter's must not meet the state of the old one."""
    p = parameter([1.0, 2.0])
    optimizer = getattr(optim, kind)([p], lr=0.1, **({"momentum": 0.9} if kind == "SGD" else {}))
    list(follow(optimizer, p, [[1.0, 1.0]]))
    p.data = np.ones(5)
    p.grad = np.ones(5)
    with pytest.raises(ValueError, match=r"has shape \(2,\); expected \(5,\)"):
        optimizer.step()
    p.data = np.ones(2, np.float32)
    p.grad = np.ones(2, np.float32)
    with pytest.raises(TypeError, match="all operands must have one dtype"):
        optimizer.step()
    p.data = np.ones(2)
    p.data.flags.writeable = False
    p.grad = np.ones(2)
    with pytest.raises(ValueError, match="writeable"):
        optimizer.step()
    whole = Parameter(np.ones(3, np.int64))
    whole.grad = np.ones(3, np.int64)
    with pytest.raises(TypeError, match="float32 or float64"):
        getattr(optim, kind)([whole]).step()


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_an_infinite_weight_without_a_gradient_stays(kind):
    p = parameter([np.inf, 1.0])
    p.grad = np.zeros(2)
    getattr(optim, kind)([p], lr=0.1, weight_decay=0.0).step()
    np.testing.assert_array_equal(p.data, [np.inf, 1.0])


def test_a_gradient_of_any_layout_is_taken():
    p, q = (parameter(np.arange(6.0).reshape(2, 3)) for _ in range(2))
    p.grad = np.asfortranarray(np.arange(6.0).reshape(2, 3) ** 2)
    q.grad = np.ascontiguousarray(p.grad)
    for each in (p, q):
        optim.SGD([each], lr=0.5).step()
    np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_gradients_are_not_written_to_and_data_stays_in_place(kind):
    p = parameter([1.0, 2.0])
    data, gradient = p.data, np.array([0.5, -0.5])
    gradient.flags.writeable = False
    p.grad = gradient
    settings = {"momentum": 0.9, "nesterov": True} if kind == "SGD" else {}
    optimizer = getattr(optim, kind)([p], lr=0.1, weight_decay=0.1, **settings)
    optimizer.step()
    optimizer.step()
    assert p.data is data and p.grad is gradient
    assert not np.array_equal(p.data, [1.0, 2.0])


def test_a_parameter_whose_dtype_is_another_object_is_changed_in_place():
    """Of an array from a pickle or a memory map the dtype equals NumPy's own and need not be it: such a parameter was
    refused as one that cannot be written to."""
    p = parameter([1.0, 2.0])
    p.data = p.data.astype(np.dtype("f8").newbyteorder("S").newbyteorder("S"))
    assert p.data.dtype == np.float64 and p.data.dtype is not np.dtype("f8")
    list(follow(optim.Adam([p], lr=0.1), p, [[1.0, 1.0]]))
    assert (p.data < [1.0, 2.0]).all()


def test_groups_have_their_own_settings():
    decayed, plain = parameter([1.0]), parameter([1.0])
    groups = [{"params": [decayed], "weight_decay": 0.5}, {"params": plain, "lr": 0.01}]
    optimizer = optim.SGD(groups, lr=0.1)
    for p in (decayed, plain):
        p.grad = np.zeros(1)
    optimizer.step()
    assert decayed.data[0] == pytest.approx(0.95)
    assert plain.data[0] == 1.0
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]


def test_parameters_without_gradient_or_frozen_stay():
    left, frozen = parameter([1.0]), parameter([1.0])
    frozen.requires_grad, frozen.grad = False, np.ones(1)
    optim.Adam([left, frozen]).step()
    assert left.data[0] == frozen.data[0] == 1.0


def test_an_odd_gradient_is_refused_before_anything_changes():
    good, bad = parameter([1.0]), parameter([1.0])
    good.grad, bad.grad = np.ones(1), np.ones(2)
    with pytest.raises(ValueError, match=r"gradient of shape \(2,\).*parameter of shape \(1,\)"):
        optim.SGD([good, bad], lr=1.0).step()
    assert good.data[0] == 1.0


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_state_dict_goes_on_bit_for_bit(kind):
    settings = {"momentum": 0.9} if kind == "SGD" else {"amsgrad": True}
    p = parameter(TORCH["start"], np.float32)
    optimizer = getattr(optim, kind)([p], **settings)
    list(follow(optimizer, p, TORCH["gradients"][:2]))
    q = parameter(p.data, np.float32)
    other = getattr(optim, kind)([q], lr=99.0, **settings)
    other.load_state_dict(json_like(optimizer.state_dict()))
    first = list(follow(optimizer, p, TORCH["gradients"][2:]))
    np.testing.assert_array_equal(first, list(follow(other, q, TORCH["gradients"][2:])))


def json_like(state):
    """Tuples become lists, as in a checkpoint."""
    groups = [{k: list(v) if isinstance(v, tuple) else v for k, v in g.items()} for g in state["param_groups"]]
    return {**state, "param_groups": groups}


def spoil(change):
    p = parameter([1.0, 2.0])
    optimizer = optim.Adam([p])
    list(follow(optimizer, p, [[1.0, 1.0]]))
    state = optimizer.state_dict()
    change(state)
    return optimizer, state


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["state"]["0"].update(exp_avg=np.zeros(3)),
        lambda s: s["state"]["0"].update(exp_avg=np.zeros(2, np.float32)),
        lambda s: s["state"]["0"].update(step=0),
        lambda s: s["state"]["0"].update(step=1.5),
        lambda s: s["state"]["0"].update(other=np.zeros(2)),
        lambda s: s["state"].update({"1": {}}),
        lambda s: s["state"].update({"x": {}}),
        lambda s: s["param_groups"].append(s["param_groups"][0]),
        lambda s: s["param_groups"][0].update(params=[0, 1]),
        lambda s: s["param_groups"][0].update(lr=-1.0),
        lambda s: s["param_groups"][0].update(amsgrad=3),
        lambda s: s["param_groups"][0].pop("eps"),
        lambda s: s.pop("state"),
        lambda s: s.update(state=3),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change):
    optimizer, state = spoil(change)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=r"Adam|state"):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert before["param_groups"] == after["param_groups"]
    for name, value in before["state"]["0"].items():
        np.testing.assert_array_equal(value, after["state"]["0"][name])


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda p: optim.SGD([]), "params is empty"),
        (lambda p: optim.SGD([p], lr=-1), "lr must be"),
        (lambda p: optim.SGD([p], lr=float("nan")), "lr must be"),
        (lambda p: optim.SGD([p], lr="1"), "lr must be a number"),
        (lambda p: optim.SGD([p], momentum=-0.1), "momentum"),
        (lambda p: optim.SGD([p], nesterov=True), "nesterov needs momentum"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), "betas"),
        (lambda p: optim.Adam([p], betas=0.9), "betas"),
        (lambda p: optim.Adam([p], weight_decay=-1), "weight_decay"),
        (lambda p: optim.SGD([p, p]), "more than once"),
        (lambda p: optim.SGD([p.data]), "expected Parameters"),
        (lambda p: optim.SGD([{"params": [p], "rate": 1}]), "unknown settings"),
    ],
)
def test_wrong_arguments(build, error):
    with pytest.raises((TypeError, ValueError), match=error):
        build(parameter([1.0]))


def test_zero_grad_and_parameters_of_a_layer():
    layer = Linear(2, 3)
    optimizer = optim.SGD(layer.parameters())
    layer.weight.grad = np.ones((3, 2), np.float32)
    optimizer.zero_grad()
    assert layer.weight.grad is None


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_a_step_makes_no_large_temporaries(kind):
    p = Parameter(np.ones(2_000_000, np.float32))
    p.grad = np.ones_like(p.data)
    settings = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(optim, kind)([p], weight_decay=0.1, **settings)
    optimizer.step()
    tracemalloc.start()
    try:
        optimizer.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < p.data.nbytes / 20
