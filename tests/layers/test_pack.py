"""Layer.pack: the same results from prepared weights, never from weights that have changed since."""

import copy
import pickle

import numpy as np
import pytest

import fastconv
from fastconv import layers as L
from fastconv import models, optim

BOUND = 4e-6


def net():
    g = np.random.default_rng(0)
    shared = L.Conv2d(24, 24, 3, padding=1, generator=g)
    return L.Sequential(
        L.Conv2d(3, 24, 3, padding=1, generator=g),
        L.BatchNorm2d(24),
        L.ReLU(),
        L.Residual(L.Sequential(shared, L.ReLU(), L.Conv2d(24, 24, 3, padding=1, groups=4, generator=g))),
        shared,
        L.Conv2d(24, 32, 3, stride=2, padding=1, bias=False, generator=g),
        L.Conv2d(32, 20, 1, generator=g),
        L.GlobalAvgPool2d(),
        L.Flatten(),
        L.Linear(20, 5, generator=g),
    )


def images(*shape, dtype=np.float32):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def convolutions(model):
    return [layer for _, layer in model.named_layers() if isinstance(layer, L.Conv2d)]


def close(y, expected):
    np.testing.assert_allclose(y, expected, rtol=0, atol=BOUND * np.abs(expected).max())


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_packed_layers_give_the_same(dtype):
    """On inputs of the shape that was named, and of others."""
    model = net().astype(dtype)
    xs = [images(*shape, dtype=dtype) for shape in ((2, 3, 16, 16), (1, 3, 16, 16), (3, 3, 9, 30), (0, 3, 16, 16))]
    plain = [model(x) for x in xs]
    assert model.pack(xs[0].shape) is model
    assert all(isinstance(layer.packed.weight, fastconv.PackedWeight) for layer in convolutions(model))
    for x, y in zip(xs, plain, strict=True):
        close(model(x), y) if y.size else np.testing.assert_array_equal(model(x), y)
    model.pack()
    assert all(layer.packed is None for layer in convolutions(model))
    np.testing.assert_array_equal(model(xs[0]), plain[0])


@pytest.mark.parametrize("axes", (1, 2, 3))
def test_one_layer_and_every_number_of_axes(axes):
    layer = getattr(L, f"Conv{axes}d")(18, 20, 3, padding=1, generator=np.random.default_rng(2))
    x = images(2, 18, *(8,) * axes)
    expected = layer(x)
    close(layer.pack(x.shape)(x), expected)
    assert layer.packed is not None


def changed_by_optimizer(model, x):
    y, back = model.forward(x)
    back(np.ones_like(y))
    optim.SGD(model.parameters(), lr=0.1).step()


def halved(model):
    return {name: value * 0.5 if value.dtype.kind == "f" else value for name, value in model.state_dict().items()}


def changed_by_a_state(model, x):
    model.load_state_dict(halved(model))


def changed_by_assignment(model, x):
    model.load_state_dict(halved(model), assign=True)


def replaced(model, x):
    for parameter in model.parameters():
        parameter.data = parameter.data * 2


def written_into(model, x):
    for parameter in model.parameters():
        parameter.data *= 2
        parameter.version += 1


@pytest.mark.parametrize(
    "change", (changed_by_optimizer, changed_by_a_state, changed_by_assignment, replaced, written_into)
)
def test_no_changed_weight_is_served_as_it_was(change):
    model, x = net().eval(), images(2, 3, 16, 16)
    model.pack(x.shape)
    before = model(x)
    change(model, x)
    after = model(x)
    assert np.abs(after - before).max() > 1e-3
    fresh = net().eval()
    fresh.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(after, fresh(x))
    close(model.pack(x.shape)(x), after)


def test_another_dtype_is_not_what_was_packed():
    model, x = net(), images(1, 3, 12, 12)
    model.pack(x.shape).astype(np.float64)
    np.testing.assert_array_equal(model(x.astype(np.float64)), net().astype(np.float64)(x.astype(np.float64)))


def test_training_goes_on_and_the_state_is_the_same():
    model, other, x = net(), net(), images(2, 3, 16, 16)
    model.pack(x.shape)
    assert model.state_dict().keys() == other.state_dict().keys()
    optimizers = [optim.SGD(m.parameters(), lr=0.05) for m in (model, other)]
    for _ in range(2):
        for m, optimizer in zip((model, other), optimizers, strict=True):
            m.zero_grad()
            y, back = m.forward(x)
            back(y)
            optimizer.step()
    for name, value in model.state_dict().items():
        close(value, other.state_dict()[name])


def test_copies_and_files_of_a_packed_model():
    model, x = net(), images(1, 3, 16, 16)
    expected = model(x)
    model.pack(x.shape)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        close(other(x), expected)
        other[0].weight.data *= 3
        other[0].weight.version += 1
        assert np.abs(other(x) - expected).max() > 1e-3
    close(model(x), expected)


def test_what_does_not_fit_leaves_nothing_packed():
    model = net()
    with pytest.raises(ValueError, match=r"layer 0.*channels|conv2d.*channels"):
        model.pack((1, 4, 16, 16))
    assert all(layer.packed is None for layer in convolutions(model))


def test_a_network():
    model, x = models.resnet18(num_classes=10, seed=1), images(1, 3, 64, 64)
    expected = model(x)
    close(model.pack(x.shape)(x), expected)
