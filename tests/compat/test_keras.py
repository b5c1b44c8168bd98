"""fastconv.compat.keras: Keras 3 imports without jax and computes what fastconv.reference, and jax where it is
installed, compute. Keras's own tests are a check of .ci/run."""

import importlib.util
import sys

import numpy as np
import pytest
from compare import within
from processes import run

from fastconv import reference

ours = pytest.importorskip("fastconv.compat.keras", reason="Keras is not installed", exc_type=ImportError)

import keras  # noqa: E402

from fastconv.compat import _keras_layers as layers  # noqa: E402

JAX = importlib.util.find_spec("jax") is not None
# x of two to five dimensions, kernel, arguments
CONVOLUTIONS = [
    ((2, 9, 6), (3, 3, 4), {"strides": 2, "padding": "same"}),
    ((2, 8, 9, 4), (3, 2, 4, 6), {"padding": "valid", "dilation_rate": (2, 1)}),
    ((2, 8, 9, 4), (3, 2, 2, 6), {"padding": "same", "strides": (2, 3)}),  # two groups
    ((1, 5, 6, 4, 2), (2, 3, 2, 2, 3), {"padding": "same"}),
]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def plainly(monkeypatch):
    """A function that computes another with fastconv.reference in the place of fastconv."""

    def plainly(function, *arguments, **named):
        with monkeypatch.context() as context:
            for kind in ("conv", "conv_transpose", "max_pool", "avg_pool"):
                twins = {axes: getattr(reference, f"{kind}{axes}d") for axes in (1, 2, 3)}
                context.setattr(layers, f"_{kind.upper()}", twins)
            return function(*arguments, **named)

    return plainly


def by_definition(x, kernel, strides=1, padding="valid", dilation_rate=1):
    """Keras's convolution, channels last, tap by tap: "same" puts the odd zero at the end."""
    axes = x.ndim - 2
    strides, dilation = (np.broadcast_to(value, axes) for value in (strides, dilation_rate))
    groups = x.shape[-1] // kernel.shape[-2]
    sizes = []
    for axis, (n, k, s, d) in enumerate(zip(x.shape[1:], kernel.shape, strides, dilation, strict=False), 1):
        extent = (k - 1) * d + 1
        sizes.append(-(-n // s) if padding == "same" else (n - extent) // s + 1)
        total = max((sizes[-1] - 1) * s + extent - n, 0) if padding == "same" else 0
        x = np.pad(x, [(total // 2, total - total // 2) if a == axis else (0, 0) for a in range(x.ndim)])
    y = np.zeros((x.shape[0], *sizes, kernel.shape[-1]))
    for tap in np.ndindex(kernel.shape[:-2]):
        window = tuple(
            slice(t * d, t * d + (size - 1) * s + 1, s)
            for t, d, size, s in zip(tap, dilation, sizes, strides, strict=True)
        )
        for part, (inputs, weights, outputs) in enumerate(
            zip(*(np.split(a, groups, -1) for a in (x[:, *window], kernel[tap], y)), strict=True)
        ):
            y[..., part * outputs.shape[-1] : (part + 1) * outputs.shape[-1]] += inputs @ weights
    return y


@pytest.mark.parametrize("shape, kernel, arguments", CONVOLUTIONS)
@pytest.mark.parametrize("dtype, bound", [("float32", 1e-5), ("float64", 1e-13), ("float16", 1e-2), ("bfloat16", 1e-1)])
def test_convolution(rng, shape, kernel, arguments, dtype, bound):
    x, w = (keras.ops.cast(rng.standard_normal(size), dtype) for size in (shape, kernel))
    want = by_definition(np.asarray(x, float), np.asarray(w, float), **arguments)
    last = keras.ops.conv(x, w, data_format="channels_last", **arguments)
    first = keras.ops.conv(np.moveaxis(x, -1, 1), w, data_format="channels_first", **arguments)
    for y in (last, np.moveaxis(first, 1, -1)):
        assert keras.backend.standardize_dtype(y.dtype) == dtype
        within(np.asarray(y, float), want, bound * np.abs(want).max(), "conv")


def test_depthwise_and_separable(rng):
    x, depthwise, pointwise = (rng.standard_normal(s) for s in ((2, 7, 6, 3), (3, 2, 3, 2), (1, 1, 6, 4)))
    each = [by_definition(x[..., c : c + 1], depthwise[:, :, c : c + 1], padding="same", strides=2) for c in range(3)]
    want = np.concatenate(each, -1)
    within(keras.ops.depthwise_conv(x, depthwise, 2, "same"), want, 1e-12, "depthwise_conv")
    # Keras makes float32 of these
    within(keras.ops.separable_conv(x, depthwise, pointwise, 2, "same"), want @ pointwise[0, 0], 1e-5, "separable")


@pytest.mark.parametrize("output_padding", [None, 1])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size, strides", [(3, 2), (4, 3), (2, 2), (1, 2)])
def test_transposed(rng, size, strides, padding, output_padding):
    """The adjoint of a convolution: <conv(y), x> = <y, conv_transpose(x)>."""
    x, w = rng.standard_normal((2, 4, 5, 3)), rng.standard_normal((size, size, 2, 3))
    y = keras.ops.conv_transpose(x, w, strides, padding, output_padding)
    spec = keras.ops.conv_transpose(keras.KerasTensor(x.shape), w, strides, padding, output_padding)
    assert y.shape == spec.shape
    if padding == "valid":
        g = rng.standard_normal(y.shape)
        back = by_definition(g, w, strides)[:, :4, :5]
        within(np.sum(back * x), np.sum(g * y), 1e-10, "conv_transpose")


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "shape, pool, strides", [((2, 9, 3), 2, None), ((2, 7, 8, 3), (3, 2), 2), ((1, 5, 4, 5, 2), 2, 1)]
)
def test_pooling(rng, plainly, shape, pool, strides, padding):
    x = rng.standard_normal(shape)
    for function in (keras.ops.max_pool, keras.ops.average_pool):
        arguments = (pool, strides, padding)
        got = function(x, *arguments, data_format="channels_last")
        within(got, plainly(function, x, *arguments, data_format="channels_last"), 1e-14, "pool")
        first = function(np.moveaxis(x, -1, 1), *arguments, data_format="channels_first")
        within(np.moveaxis(first, 1, -1), got, 1e-14, "pool")


def test_average_is_of_what_is_inside():
    y = keras.ops.average_pool(np.ones((1, 5, 5, 1), np.float32), 3, 2, "same")
    assert (y == 1).all() and y.dtype == np.float32
    assert keras.ops.average_pool(np.arange(4).reshape(1, 4, 1), 2).ravel().tolist() == [0.5, 2.5]


def test_errors_are_keras_kind(rng):
    x, w = np.ones((1, 2, 2, 3)), np.ones((3, 3, 3, 4))
    with pytest.raises(ValueError, match="resulted in an empty output"):
        keras.ops.conv(x, w)
    with pytest.raises(ValueError, match="must be evenly divisible"):
        layers.conv(x, np.ones((1, 1, 2, 4)))
    with pytest.raises(ValueError, match="Invalid padding 'full'"):
        layers.max_pool(x, 2, padding="full")


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ImportError, match="Keras runs on 'torch'; expected KERAS_BACKEND=numpy"):
        ours._import_keras()


@pytest.mark.skipif(JAX, reason="jax is installed: there is nothing to stand in for")
def test_no_stand_in_stays():
    assert not [name for name in sys.modules if name.split(".")[0] == "jax" or name.startswith("keras.src.backend.jax")]
    x = np.random.default_rng(0).standard_normal((2, 8)), np.zeros((2, 8))
    for name in ("fft", "fft2"):
        real, imag = getattr(keras.ops, name)(x)
        want = getattr(np.fft, name)(x[0])
        within(real, want.real, 1e-13, name)
        within(imag, want.imag, 1e-13, name)


@pytest.mark.parametrize("name", ["ResNet50", "DenseNet121", "VGG16", "MobileNetV2"])
def test_networks_predict(rng, plainly, name):
    """With He's random weights: as with the plain reference, within 1e-4 of the largest output."""
    network = getattr(keras.applications, name)
    model = network(weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None)
    for weight in model.weights:
        if weight.path.endswith("kernel"):
            depthwise = "depthwise" in weight.path.lower()
            deviation = (2 / np.prod(weight.shape[:2] if depthwise else weight.shape[:-1])) ** 0.5
            weight.assign(deviation * rng.standard_normal(weight.shape, np.float32))
    x = rng.standard_normal((2, 64, 64, 3), np.float32)
    got, want = model.predict(x, verbose=0), plainly(model.predict, x, verbose=0)
    assert got.shape == (2, 10) and np.ptp(want[0]) > 1e-2
    within(got, want, 1e-4 * np.abs(want).max(), name)


@pytest.mark.skipif(not JAX, reason="jax is not installed")
def test_equals_jax(tmp_path):
    """Before and after: the same network in processes with and without fastconv."""
    code = (
        "import keras, numpy as np\n"
        "keras.utils.set_random_seed(0)\n"
        "m = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), classes=10)\n"
        "x = np.random.default_rng(0).standard_normal((2, 64, 64, 3)).astype('float32')\n"
        "np.save({!r}, m.predict(x, verbose=0))\n"
    )
    before, after = str(tmp_path / "before.npy"), str(tmp_path / "after.npy")
    run("import os; os.environ['KERAS_BACKEND'] = 'numpy'\n" + code.format(before))
    run("import fastconv.compat.keras\n" + code.format(after))
    within(np.load(after), np.load(before), 1e-5, "MobileNetV2")


def test_a_kernel_laid_out_once_is_never_stale(rng):
    """What is kept of a Variable goes with its value; writing into the value is an error, not an old answer."""
    x = rng.standard_normal((1, 4, 4, 2), np.float32)
    for layer in (keras.layers.Conv2D(3, 2), keras.layers.DepthwiseConv2D(2), keras.layers.Conv2DTranspose(3, 2)):
        before = layer(x)
        kernel = layer.weights[0]
        kept = kernel._fastconv_weight
        assert (layer(x) == before).all() and kernel._fastconv_weight is kept
        kernel.assign(2 * kernel.value)
        within(np.asarray(layer(x)), 2 * before, 1e-6, layer.name)
        with pytest.raises(ValueError, match="read-only"):
            kernel.value[...] = 0
    weight = rng.standard_normal((2, 2, 2, 3), np.float32)
    keras.ops.conv(x, weight)
    assert weight.flags.writeable  # an array is the caller's
