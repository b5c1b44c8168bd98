"""A ReLU computed together with the layer before it, and gradients written over the one that comes in: the same numbers
as layer by layer, and never over an array that somebody still reads."""

import copy

import numpy as np
import pytest

from fastconv import layers as L


def rng():
    return np.random.default_rng(3)


def convolution():
    return L.Conv2d(3, 3, 3, padding=1, generator=rng())


PAIRS = {
    "norm": L.BatchNorm2d(3),
    "norm without weights": L.BatchNorm2d(3, affine=False),
    "frozen norm": L.BatchNorm2d(3).eval(),
    "sum with x": L.Residual(convolution()),
    "sum with a shortcut": L.Residual(
        L.Sequential(convolution(), L.BatchNorm2d(3)), L.Sequential(convolution(), L.BatchNorm2d(3))
    ),
    "sum of x and a shortcut that works in place": L.Residual(L.Identity(), L.BatchNorm2d(3)),
    "sum of x twice": L.Residual(L.Identity()),
}


class Apart(L.Layer):
    """One layer with nothing fused and nothing in place, as layers of other people are."""

    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        y, back = self.inner.forward(x)
        return y.copy(), lambda dy, needs_input=True: back(dy.copy(), needs_input=needs_input)


def gradients(model, x, dy, needs_input=True):
    y, back = model.forward(x)
    dx = back(dy, needs_input=needs_input)
    return [y, *([dx] if needs_input else []), *(p.grad for p in model.parameters())]


def shifted(layer):
    """With weights and biases unlike those at the start."""
    generator, layer = np.random.default_rng(8), copy.deepcopy(layer)
    for p in layer.parameters():
        p.data += generator.normal(size=p.data.shape).astype(np.float32) * 0.3
    return layer


@pytest.mark.parametrize("needs_input", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_a_relu_behind_is_the_same_layer_by_layer(name, needs_input):
    generator = np.random.default_rng(1)
    x, dy = (generator.standard_normal((4, 3, 6, 7)).astype(np.float32) for _ in range(2))
    x[0, 0, 0, 0], dy[1, 1, 1, 1] = 0, 0
    given, kept = dy.copy(), x.copy()
    fused, apart = ((convolution(), shifted(PAIRS[name]), L.ReLU(), convolution()) for _ in range(2))
    fused = gradients(L.Sequential(*fused), x, dy, needs_input)
    plain = gradients(L.Sequential(*map(Apart, apart)), x, dy, needs_input)
    assert len(fused) == len(plain)
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(dy, given)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("name", PAIRS)
def test_what_the_caller_gives_is_never_written_to(name):
    """Also where the layer is the last, so that its back meets the caller's dy; and back can be called again."""
    model = L.Sequential(shifted(PAIRS[name]), L.ReLU())
    generator = np.random.default_rng(2)
    x, dy = (generator.standard_normal((2, 3, 5, 5)).astype(np.float32) for _ in range(2))
    given = dy.copy()
    y, back = model.forward(x)
    kept, first = y.copy(), back(dy).copy()
    np.testing.assert_array_equal(back(dy), first)
    np.testing.assert_array_equal(dy, given)
    np.testing.assert_array_equal(y, kept)
    dy.flags.writeable = False
    np.testing.assert_array_equal(back(dy), first)


def test_a_gradient_given_up_is_written_over():
    model = L.Sequential(L.BatchNorm2d(3), L.ReLU())
    dy = np.random.default_rng(2).standard_normal((2, 3, 5, 5)).astype(np.float32)
    _, back = model.forward(dy + 1)
    expected = back(dy).copy()
    assert back(dy, out=dy) is dy
    np.testing.assert_array_equal(dy, expected)


def test_a_subclass_of_relu_is_not_taken_for_one():
    class Doubled(L.ReLU):
        def __call__(self, x, *, out=None):
            return 2 * super().__call__(x)

    x = np.random.default_rng(2).standard_normal((2, 3, 5, 5)).astype(np.float32)
    norm = L.BatchNorm2d(3)
    y, _ = L.Sequential(norm, Doubled()).forward(x)
    np.testing.assert_array_equal(y, 2 * np.maximum(L.BatchNorm2d(3).forward(x)[0], 0))


def test_a_changed_bias_is_noticed():
    """The mask of the ReLU depends on it."""
    model = L.Sequential(L.BatchNorm2d(3), L.ReLU())
    x = np.random.default_rng(2).standard_normal((2, 3, 5, 5)).astype(np.float32)
    y, back = model.forward(x)
    model[0].bias.version += 1
    with pytest.raises(RuntimeError, match="changed after forward"):
        back(y)
