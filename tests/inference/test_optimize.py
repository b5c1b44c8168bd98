"""fastconv.optimize: what the plain model gives, for every layer and network, graphs that share and join, any batch."""

import numpy as np
import pytest
from layer_cases import CASES, inputs
from network_list import NAMES, VGG, built, shape_of

import fastconv
from fastconv import layers as L

BOUND = 1e-5


def tupled(y):
    return y if isinstance(y, tuple) else (y,)


def agree(fast, model, *xs, bound=BOUND):
    """Both give the same, and neither writes into x or what the model holds."""
    kept = [x.copy() for x in xs]
    ys, expected = tupled(fast(*xs)), tupled(model(*xs))
    assert len(ys) == len(expected)
    for y, other in zip(ys, expected, strict=True):
        assert y.shape == other.shape
        assert y.dtype == other.dtype
        assert y.flags.c_contiguous
        assert np.abs(y - other).max(initial=0) <= bound * np.abs(other).max(initial=1e-30)
    for x, before in zip(xs, kept, strict=True):
        np.testing.assert_array_equal(x, before)


def randomised(model):
    """The model with statistics of batch norm unlike the first ones, so that folding them shows."""
    generator = np.random.default_rng(5)
    for name, array in model.named_buffers():
        if name.endswith("running_mean"):
            array[...] = generator.normal(0, 0.3, array.shape)
        elif name.endswith("running_var"):
            array[...] = generator.uniform(0.5, 2, array.shape)
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or (name.endswith("weight") and parameter.data.ndim == 1):
            parameter.data += generator.normal(0, 0.2, parameter.data.shape).astype(parameter.data.dtype)
    return model


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_layer(case, dtype):
    layer, x = randomised(case.build()).astype(dtype), inputs(case, dtype)
    if dtype == np.float64 and not list(layer.parameters()):
        return  # float32 is what a model without weights is planned for
    state = layer.state_dict()
    several = x if isinstance(x, (tuple, list)) else (x,)
    fast = fastconv.optimize(layer, [a.shape for a in several])
    agree(fast, layer, *several, bound=BOUND if dtype == np.float32 else 1e-12)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_every_network(name):
    model = randomised(built(name, 5, small_head=name in VGG))
    x = np.random.default_rng(0).standard_normal(shape_of(name, 3), np.float32)
    fast = fastconv.optimize(model, x.shape)
    for batch in (3, 1):
        agree(fast, model, x[:batch])


def convolution(C, K, kernel=3, **more):
    generator = np.random.default_rng(C * 100 + K)
    more = {"padding": kernel // 2} | more
    return L.Conv2d(C, K, kernel, generator=generator, **more)


def residual_in_concat():
    """The sum of a convolution and a term, either of which a concat joins: where images lie apart the sum must not
    mix them."""
    return L.Graph(
        [
            ("a", convolution(3, 4), "x"),
            ("b", convolution(4, 4), "a"),
            ("sum", L.Add(), ("b", "a")),
            ("relu", L.ReLU(), "sum"),
            ("cat", L.Cat(), ("relu", "a", "relu", "x")),
            ("end", convolution(15, 2, 1), "cat"),
        ]
    )


def rows_in_concat():
    """A fully connected layer that reads a part of a concat."""
    g = np.random.default_rng(2)
    return L.Graph(
        [
            ("pool", L.GlobalAvgPool2d(), "x"),
            ("flat", L.Flatten(), "pool"),
            ("norm", L.BatchNorm1d(3), "flat"),
            ("one", L.Linear(3, 5, generator=g), "norm"),
            ("two", L.ReLU(), "one"),
            ("cat", L.Cat(), ("norm", "two", "flat")),
            ("end", L.Linear(11, 4, generator=g), "cat"),
        ]
    )


def several_outputs():
    """Outputs that are an input, twice the same, a part of a concat, a view, a constant, and read further on."""
    return L.Graph(
        [
            ("a", convolution(3, 4), "x"),
            ("norm", L.BatchNorm2d(4), "a"),
            ("relu", L.ReLU(), "norm"),
            ("cat", L.Cat(), ("relu", "x")),
            ("flat", L.Flatten(), "relu"),
            ("one", L.Constant((2, 3)), ()),
            ("again", L.ReLU(), "relu"),
            ("same", L.Identity(), "x"),
        ],
        outputs=("same", "relu", "cat", "flat", "one", "again", "a", "x"),
    )


def pre_activation():
    """Batch norm before the convolution, as in DenseNet, whose input other layers read too."""
    return L.Graph(
        [
            ("norm1", L.BatchNorm2d(3), "x"),
            ("relu1", L.ReLU(), "norm1"),
            ("conv1", convolution(3, 8, 1), "relu1"),
            ("norm2", L.BatchNorm2d(8), "conv1"),
            ("relu2", L.ReLU(), "norm2"),
            ("conv2", convolution(8, 4), "relu2"),
            ("cat1", L.Cat(), ("x", "conv2")),
            ("norm3", L.BatchNorm2d(7), "cat1"),
            ("relu3", L.ReLU(), "norm3"),
            ("conv3", convolution(7, 4, 1), "relu3"),
            ("cat2", L.Cat(), ("x", "conv2", "conv3")),
            ("pool", L.AvgPool2d(2), "cat2"),
        ]
    )


def padded_and_enlarged():
    """Zeros before a convolution, other values before one, nearest upsampling into a concat."""
    return L.Graph(
        [
            ("pad", L.Pad(((1, 2), (0, 1))), "x"),
            ("a", convolution(3, 4, 3, stride=2, padding=1), "pad"),
            ("ones", L.Pad(((1, 1), (1, 1)), 1.0), "x"),
            ("b", convolution(3, 4, 3, padding=0), "ones"),
            ("up", L.Upsample(scale_factor=2), "b"),
            ("down", L.MaxPool2d(2), "up"),
            ("cat", L.Cat(), ("down", "b", "x")),
            ("act", L.LeakyReLU(0.1), "cat"),
            ("sum", L.Add(), ("act", "act", "cat")),
        ],
        outputs=("a", "sum"),
    )


def twice_normalised():
    """Two batch norms behind one convolution, a sum of two convolutions, of a value with itself."""
    return L.Graph(
        [
            ("a", convolution(3, 6, groups=3), "x"),
            ("n1", L.BatchNorm2d(6), "a"),
            ("n2", L.BatchNorm2d(6, affine=False), "n1"),
            ("b", convolution(3, 6, bias=False), "x"),
            ("sum", L.Add(), ("n2", "b")),
            ("relu", L.ReLU6(), "sum"),
            ("double", L.Add(), ("relu", "relu")),
            ("lrn", L.LocalResponseNorm(3), "double"),
            ("three", L.Add(), ("lrn", "relu", "n2")),
        ]
    )


GRAPHS = (
    residual_in_concat,
    rows_in_concat,
    several_outputs,
    pre_activation,
    padded_and_enlarged,
    twice_normalised,
)


@pytest.mark.parametrize("build", GRAPHS, ids=lambda build: build.__name__)
def test_graphs(build):
    model = randomised(build())
    x = np.random.default_rng(1).standard_normal((4, 3, 10, 10), np.float32)
    fast = fastconv.optimize(model, x.shape)
    for batch in (4, 1, 3):
        agree(fast, model, x[:batch])
    assert len(tupled(fast(x[:0]))[0]) == 0


def test_batch_norm_is_folded_and_sums_and_activations_are_fused():
    """ResNet's blocks are convolutions alone; of DenseNet's batch norms the last is left."""
    resnet = fastconv.optimize(built("resnet18", 5), (1, 3, 32, 32)).summary()
    kinds = {line.split()[1] for line in resnet.splitlines()[2:-2]}
    assert kinds == {"conv", "max_pool", "avg_pool", "linear"}
    assert "conv 3x3 + batch norm + add + relu" in resnet
    dense = fastconv.optimize(built("densenet121", 5), (1, 3, 32, 32)).summary()
    assert sum(line.split()[1] == "batch_norm" for line in dense.splitlines()[2:-2]) == 1
    assert sum("conv 1x1 of batch norm and relu" in line for line in dense.splitlines()) == 61
    assert not any(line.split()[1] in ("concat", "copy", "activation") for line in dense.splitlines()[2:-2])


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize(
    ("channels", "filters", "side"), ((5, 9, 4), (300, 24, 7), (150, 160, 7), (20, 300, 10), (64, 16, 40)), ids=str
)
def test_batch_norm_at_the_entry_of_a_1x1_convolution(channels, filters, side, stride, dtype):
    """Many pixels or few, terms in one block or several, whole vectors and the last few pixels."""
    model = randomised(
        L.Sequential(L.BatchNorm2d(channels), L.ReLU(), convolution(channels, filters, 1, stride=stride, padding=0))
    ).astype(dtype)
    x = np.random.default_rng(2).standard_normal((3, channels, side, side)).astype(dtype)
    fast = fastconv.optimize(model, x.shape)
    assert "of batch norm and relu" in fast.summary()
    for batch in (3, 1):
        agree(fast, model, x[:batch])


def test_batch_norm_enters_no_convolution_that_pads_or_adds_it():
    """Padding is of zeros behind the batch norm; a sum reads what the batch norm gave."""
    padded = L.Sequential(L.BatchNorm2d(4), L.ReLU(), convolution(4, 4, 1, padding=1))
    added = L.Graph(
        [
            ("n", L.BatchNorm2d(4), "x"),
            ("r", L.ReLU(), "n"),
            ("c", convolution(4, 4, 1, padding=0), "r"),
            ("s", L.Add(), ("c", "r")),
        ]
    )
    x = np.random.default_rng(3).standard_normal((2, 4, 6, 6), np.float32)
    for model in map(randomised, (padded, added)):
        fast = fastconv.optimize(model, x.shape)
        assert "of batch norm" not in fast.summary()
        agree(fast, model, x)


def test_what_is_not_finite_is_not_folded():
    """A batch norm whose weights are not finite gives what it gives in the plain model."""
    model = L.Sequential(convolution(3, 4), L.BatchNorm2d(4))
    model[1].weight.data[1] = np.inf
    x = np.abs(np.random.default_rng(0).standard_normal((2, 3, 6, 6), np.float32))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(fastconv.optimize(model, x.shape)(x), model(x), rtol=1e-4)


def test_a_nan_stays_in_its_window():
    model = L.Sequential(convolution(3, 16), L.MaxPool2d(2), convolution(16, 32), L.BatchNorm2d(32))
    x = np.random.default_rng(0).standard_normal((1, 3, 24, 24), np.float32)
    x[0, 1, 5, 7] = np.nan
    np.testing.assert_array_equal(np.isnan(fastconv.optimize(model, x.shape)(x)), np.isnan(model(x)))


@pytest.mark.parametrize(
    "shape", ((), 3, (1, 3, 8), (1, 4, 8, 8), (0, 3, 8, 8), (1, 3, 8.0, 8), (1, -3, 8, 8), ((1, 3, 8, 8), (1, 3, 8, 8)))
)
def test_shapes_that_do_not_fit(shape):
    with pytest.raises((ValueError, TypeError), match=r"optimize|conv2d"):
        fastconv.optimize(L.Sequential(convolution(3, 4)), shape)


def test_what_cannot_be_optimized():
    with pytest.raises(TypeError, match="must be a fastconv layer, got function"):
        fastconv.optimize(lambda x: x, (1, 3, 8, 8))
    mixed = L.Sequential(convolution(3, 4), convolution(4, 4).astype(np.float64))
    with pytest.raises(TypeError, match="layer 1: weight is float64"):
        fastconv.optimize(mixed, (1, 3, 8, 8))
    model = L.Sequential(convolution(3, 4), L.Sequential(L.ReLU(), convolution(5, 4)))
    with pytest.raises(ValueError, match=r"layer 1\.1: .*4 channels"):
        fastconv.optimize(model, (1, 3, 8, 8))
