"""Gradients of every layer against central differences in float64, and the rules that every `back` keeps."""

import copy

import numpy as np
import pytest
from layer_cases import CASES, inputs

from fastconv import layers as L

H = 1e-6


def forward(layer, x):
    """The training output of a fresh copy, so that statistics and random states are the same every time."""
    return copy.deepcopy(layer).forward(x)


def numeric(function, array, dy):
    """Central differences of sum(function() * dy) in each element of `array`, which is changed in place."""
    gradient = np.empty_like(array)
    for place in np.ndindex(array.shape):
        old = array[place]
        array[place] = old + H
        high = function() * dy  # a new array: the output may be a view of the input
        array[place] = old - H
        gradient[place] = (high - function() * dy).sum() / (2 * H)
        array[place] = old
    return gradient


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_central_differences(case):
    layer, x = case.build().astype(np.float64), inputs(case)
    for parameter in layer.parameters():
        parameter.data += np.random.default_rng(1).normal(size=parameter.data.shape) * 0.3
    dy = np.random.default_rng(5).normal(size=forward(layer, x)[0].shape)
    trained = copy.deepcopy(layer)
    dx = trained.forward(x)[1](dy)
    np.testing.assert_allclose(dx, numeric(lambda: forward(layer, x)[0], x, dy), rtol=1e-5, atol=1e-8)
    gradients = dict(trained.named_parameters())
    for name, parameter in layer.named_parameters():
        expected = numeric(lambda: forward(layer, x)[0], parameter.data, dy)
        np.testing.assert_allclose(gradients[name].grad, expected, rtol=1e-5, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_back_adds_and_leaves_its_arguments_alone(case):
    layer, x = case.build(), inputs(case, np.float32)
    before = x.copy()
    y, back = layer.forward(x)
    kept_y = y.copy()
    dy = np.random.default_rng(5).normal(size=y.shape).astype(np.float32)
    kept_dy = dy.copy()
    dx = back(dy).copy()
    once = {name: parameter.grad.copy() for name, parameter in layer.named_parameters()}
    np.testing.assert_array_equal(back(dy), dx)
    for name, parameter in layer.named_parameters():
        np.testing.assert_array_equal(parameter.grad, once[name] * 2, err_msg=name)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, kept_y)
    np.testing.assert_array_equal(dy, kept_dy)
    assert dx.shape == x.shape and dx.dtype == x.dtype


@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_the_input_gradient_the_weights_get_the_same(case):
    layer, x = case.build(), inputs(case, np.float32)
    other = copy.deepcopy(layer)
    y, back = layer.forward(x)
    dy = np.ones_like(y)
    back(dy)
    assert other.forward(x)[1](dy, needs_input=False) is None
    pairs = zip(layer.named_parameters(), other.parameters(), strict=True)
    for (name, parameter), copied in pairs:
        np.testing.assert_array_equal(parameter.grad, copied.grad, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_frozen_weights_get_no_gradient(case):
    layer, x = case.build().requires_grad_(False), inputs(case, np.float32)
    y, back = layer.forward(x)
    assert back(np.ones_like(y)).shape == x.shape
    assert all(parameter.grad is None for parameter in layer.parameters())


class Counted(L.Layer):
    """Passes x on and notes how its back was called."""

    def __init__(self):
        self.calls = []

    def forward(self, x):
        def back(dy, needs_input=True):
            self.calls.append(needs_input)
            return dy if needs_input else None

        return x, back


def test_the_gradient_stops_at_the_first_trainable_layer():
    first, before, after = Counted(), Counted(), Counted()
    frozen = L.Linear(3, 3).requires_grad_(False)
    model = L.Sequential(first, frozen, before, L.Sequential(L.Tanh(), L.Linear(3, 3)), after)
    x = np.ones((2, 3), np.float32)
    y, back = model.forward(x)
    assert back(np.ones_like(y), needs_input=False) is None
    assert (first.calls, before.calls, after.calls) == ([], [], [True])
    assert back(np.ones_like(y)).shape == x.shape
    assert (first.calls, before.calls, after.calls) == ([True], [True], [True, True])


def test_nothing_trainable_costs_nothing():
    first = Counted()
    y, back = L.Sequential(first, L.ReLU()).forward(np.ones((2, 3), np.float32))
    assert back(y, needs_input=False) is None and first.calls == []


@pytest.mark.parametrize("build", [lambda: L.Linear(3, 3), lambda: L.Conv2d(1, 2, 1), lambda: L.BatchNorm2d(1)])
def test_a_gradient_with_other_weights_than_forward_is_refused(build):
    layer = build()
    x = np.random.default_rng(0).random((4, 3) if isinstance(layer, L.Linear) else (4, 1, 2, 2), np.float32)
    y, back = layer.forward(x)
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="weights were changed after forward"):
        back(y)


def test_a_parameter_shared_by_two_layers_gets_both_gradients():
    one, two = L.Linear(3, 3, bias=False), L.Linear(3, 3, bias=False)
    two.weight = one.weight
    model = L.Sequential(one, two)
    assert [name for name, _ in model.named_parameters()] == ["0.weight"]
    assert set(model.state_dict()) == {"0.weight", "1.weight"}
    x = np.random.default_rng(0).random((2, 3), np.float32)
    y, back = model.forward(x)
    back(np.ones_like(y))
    ones, middle = np.ones_like(y), x @ one.weight.data.T
    expected = ones.T @ middle + (ones @ one.weight.data).T @ x
    np.testing.assert_allclose(one.weight.grad, expected, rtol=1e-5)
