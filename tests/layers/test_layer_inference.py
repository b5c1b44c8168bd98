"""Inference: equal to the eval forward, without state, and the same bits from many threads at once."""

import threading

import numpy as np
import pytest
from layer_cases import CASES, inputs

from fastconv import layers as L
from fastconv.layers import Layer, activation, norm


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_call_is_the_eval_forward_and_keeps_nothing(case):
    layer, x = case.build(), inputs(case, np.float32)
    layer.forward(x)  # moves running statistics off their first values
    state = layer.state_dict()
    y, kept = layer(x), x.copy()
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)
    np.testing.assert_array_equal(x, kept)
    if "untracked" in str(case):
        np.testing.assert_array_equal(y, layer.forward(x)[0])
        return
    np.testing.assert_array_equal(y, layer.eval()(x))
    np.testing.assert_array_equal(y, layer.forward(x)[0])
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)


def small_net():
    g = np.random.default_rng(0)
    block = L.Sequential(L.Conv2d(6, 6, 3, padding=1, generator=g), L.BatchNorm2d(6), L.ReLU())
    return L.Sequential(
        L.Conv2d(1, 6, 3, padding=1, generator=g),
        L.BatchNorm2d(6),
        L.ReLU(),
        L.Residual(block),
        L.LeakyReLU(0.1),
        L.Concat([L.Identity(), L.MaxPool2d(3, 1, 1)]),
        L.GlobalAvgPool2d(),
        L.Flatten(),
        L.Dropout(),
        L.Linear(12, 10, generator=g),
    )


def test_eight_threads_share_one_model():
    model = small_net()
    images = np.random.default_rng(1).random((8, 3, 1, 12, 12), np.float32)
    expected = [model(x) for x in images]
    results: list[list[np.ndarray]] = [[] for _ in images]
    start = threading.Barrier(len(images))

    def work(place):
        start.wait()
        results[place] = [model(images[place]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, theirs in zip(results, expected, strict=True):
        assert len(ours) == 5
        for y in ours:
            np.testing.assert_array_equal(y, theirs)


def test_an_empty_batch_passes():
    model = small_net()
    assert model(np.empty((0, 1, 12, 12), np.float32)).shape == (0, 10)


def test_a_closure_outlives_later_forwards():
    """What back needs belongs to its call: a second forward in between changes nothing."""
    one, two = small_net(), small_net()
    for model in (one, two):
        model.eval()
    rng = np.random.default_rng(2)
    x, other = rng.random((2, 2, 1, 12, 12), np.float32)
    y, back = one.forward(x)
    one.forward(other)
    z, back_alone = two.forward(x)
    np.testing.assert_array_equal(back(np.ones_like(y)), back_alone(np.ones_like(z)))


def test_in_place_work_gives_the_same_bits_as_out_of_place(monkeypatch):
    x = np.random.default_rng(2).random((4, 1, 12, 12), np.float32)
    results = []
    for allowed in (True, False):
        if not allowed:
            monkeypatch.setattr(Layer, "forward_in_place", False)
            for kind in (*vars(activation).values(), *vars(norm).values()):
                if isinstance(kind, type) and issubclass(kind, Layer):
                    monkeypatch.setattr(kind, "forward_in_place", False)
                    monkeypatch.setattr(kind, "call_in_place", False)
        model = small_net().eval()
        y, back = model.forward(x)
        dx = back(np.ones_like(y))
        results.append([model(x), y, dx, *(p.grad for p in model.parameters())])
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
