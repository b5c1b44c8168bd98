"""What benchmarks/backends.py measures: for each foreign net the same work before and after one changed line.
It must import a foreign package only where its cases are made, and never time anything."""

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fastconv

# A layer as nets for 32x32 pictures have it: x (N, C, H, W), weight (K, C, R, S), padding 1; then 2x2 pooling.
X, WEIGHT, WINDOW = (8, 32, 32, 32), (64, 32, 3, 3), {"stride": 1, "padding": 1}
LAYER, POOL = "8x32x32x32 -> 64, 3x3", "8x32x32x32, 2x2/2"
# scipy.signal's two pictures.
PICTURE, KERNEL = (512, 512), (7, 7)


class Case(NamedTuple):
    """One row. before() and after() return an array, or a tuple of arrays, that must agree."""

    backend: str
    operation: str
    work: str
    dtype: str
    before: Callable[[], Any]
    after: Callable[[], Any]


def _normal(*shapes: tuple[int, ...], dtype: str = "float32") -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape).astype(dtype) for shape in shapes]


def _first(function: Callable[..., tuple], *arguments: Any) -> Any:
    return function(*arguments)[0]


def cs231n() -> Iterator[Case]:
    """The course's own code, Cython built, against fastconv.compat.cs231n; the folder is on sys.path."""
    import cs231n.fast_layers as course

    from fastconv.compat import cs231n as ours

    for dtype in ("float32", "float64"):
        x, w, b, dy, dp = _normal(X, WEIGHT, WEIGHT[:1], (8, 64, 32, 32), (8, 32, 16, 16), dtype=dtype)
        conv, pool = {"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}

        def forward(name: str, *arguments: Any) -> list[Callable[[], Any]]:
            return [partial(_first, getattr(module, f"{name}_forward_fast"), *arguments) for module in (course, ours)]

        def backward(name: str, dy: np.ndarray, *arguments: Any) -> list[Callable[[], Any]]:
            caches = [getattr(module, f"{name}_forward_fast")(*arguments)[1] for module in (course, ours)]
            functions = [getattr(module, f"{name}_backward_fast") for module in (course, ours)]
            return [partial(function, dy, cache) for function, cache in zip(functions, caches, strict=True)]

        yield Case("CS231n", "conv forward", LAYER, dtype, *forward("conv", x, w, b, conv))
        yield Case("CS231n", "conv backward", LAYER, dtype, *backward("conv", dy, x, w, b, conv))
        yield Case("CS231n", "max pool forward", POOL, dtype, *forward("max_pool", x, pool))
        yield Case("CS231n", "max pool backward", POOL, dtype, *backward("max_pool", dp, x, pool))


def mygrad() -> Iterator[Case]:
    """MyGrad's own operations, called as its graph calls them."""
    import mygrad
    from mygrad.nnet.layers import conv, pooling

    from fastconv.compat import mygrad as ours

    x, w, dy, dp = _normal(X, WEIGHT, (8, 64, 32, 32), (8, 32, 16, 16))
    x, w = mygrad.tensor(x), mygrad.tensor(w)
    rows = (
        ("conv", LAYER, (conv.ConvND, ours.ConvND), (x, w), WINDOW, dy),
        ("max pool", POOL, (pooling.MaxPoolND, ours.MaxPoolND), (x,), {"pool": (2, 2), "stride": 2}, dp),
    )
    for name, work, kinds, operands, window, gradient in rows:
        calls = [partial(_operate, kind, operands, window) for kind in kinds]
        yield Case("MyGrad", f"{name} forward", work, "float32", *calls)
        done = [kind() for kind in kinds]
        for operation in done:
            operation(*operands, **window)
        calls = [partial(_gradients, operation, gradient) for operation in done]
        yield Case("MyGrad", f"{name} backward", work, "float32", *calls)


def _operate(kind: type, operands: tuple, window: dict[str, Any]) -> np.ndarray:
    return kind()(*operands, **window)


def _gradients(operation: Any, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(operation.backward_var(gradient, index) for index in range(len(operation.variables)))


def autograd() -> Iterator[Case]:
    """autograd.scipy.signal.convolve before and after install(), and its gradients in both operands."""
    import autograd.scipy.signal
    from autograd.core import make_vjp

    from fastconv.compat import autograd as ours

    x, w, dy = _normal((8, 32, 34, 34), (32, 64, 3, 3), (8, 64, 32, 32))
    layer = {"axes": ([2, 3], [2, 3]), "dot_axes": ([1], [0]), "mode": "valid"}
    layers = [partial(convolve, **layer) for convolve in (autograd.scipy.signal.convolve, ours.convolve)]
    forwards = [partial(function, x, w) for function in layers]
    vjps = [(make_vjp(partial(f, B=w), x)[0], make_vjp(partial(f, x), w)[0]) for f in layers]
    backwards = [partial(lambda dx, dw: (dx(dy), dw(dy)), *pair) for pair in vjps]
    yield Case("autograd", "conv forward", LAYER, "float32", *forwards)
    yield Case("autograd", "conv backward", LAYER, "float32", *backwards)


def keras() -> Iterator[Case]:
    """Keras's numpy backend on jax and on fastconv: functions, and whole networks on one picture."""
    import keras

    nn = importlib.import_module("keras.src.backend.numpy.nn")
    names = ("conv", "depthwise_conv", "conv_transpose", "max_pool", "average_pool")
    theirs = {name: getattr(nn, name) for name in names}
    import fastconv.compat.keras  # noqa: F401

    ours = {name: getattr(nn, name) for name in names}

    x, w, each = _normal((8, 32, 32, 32), (3, 3, 32, 64), (3, 3, 32, 1))
    rows = (
        ("conv", LAYER, (x, w, 1, "same")),
        ("depthwise_conv", "8x32x32x32, 3x3", (x, each, 1, "same")),
        ("max_pool", POOL, (x, 2, 2)),
    )
    for name, work, arguments in rows:
        calls = [partial(functions[name], *arguments) for functions in (theirs, ours)]
        yield Case("Keras", f"{name.replace('_', ' ')} forward", work, "float32", *calls)
    (picture,) = _normal((1, 224, 224, 3))
    for name in ("VGG16", "ResNet50", "DenseNet121", "MobileNetV2"):
        keras.utils.set_random_seed(0)
        model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
        calls = [partial(_predicted, model, picture, nn, functions) for functions in (theirs, ours)]
        yield Case("Keras", name, "1x224x224x3", "float32", *calls)


def _predicted(model: Any, picture: np.ndarray, nn: Any, functions: dict[str, Any]) -> np.ndarray:
    """The model's answer with these functions in the backend."""
    vars(nn).update(functions)
    return np.asarray(model(picture, training=False))


def onnx() -> Iterator[Case]:
    """The onnx package's reference evaluator without and with new_ops, and a network on it and on Backend."""
    from onnx import helper, numpy_helper
    from onnx import load as load_model
    from onnx.reference import ReferenceEvaluator

    from fastconv.compat.onnx import Backend, new_ops

    def model_of(operator: str, x: np.ndarray, *weights: np.ndarray, **attributes: Any) -> Any:
        names = [f"w{place}" for place in range(len(weights))]
        inputs = [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)]
        outputs = [helper.make_tensor_value_info("y", inputs[0].type.tensor_type.elem_type, [None] * x.ndim)]
        tensors = [numpy_helper.from_array(weight, name) for weight, name in zip(weights, names, strict=True)]
        graph = helper.make_graph(
            [helper.make_node(operator, ["x", *names], ["y"], **attributes)], "one", inputs, outputs, tensors
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    x, w, b = _normal(X, WEIGHT, WEIGHT[:1])
    for operation, work, model in (
        ("conv forward", LAYER, model_of("Conv", x, w, b, pads=[1, 1, 1, 1])),
        ("max pool forward", POOL, model_of("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])),
        ("average pool forward", POOL, model_of("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])),
    ):
        before, after = ReferenceEvaluator(model), ReferenceEvaluator(model, new_ops=new_ops)
        sessions = [partial(_first, session.run, None, {"x": x}) for session in (before, after)]
        yield Case("ONNX", operation, work, "float32", *sessions)
    (picture,) = _normal((1, 3, 224, 224))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "squeezenet.onnx")
        fastconv.save(fastconv.models.squeezenet1_1(seed=0), path, input_shape=picture.shape)
        network = load_model(path)
    plain = partial(_first, ReferenceEvaluator(network).run, None, {"x": picture})
    ours = partial(_first, Backend.prepare(network).run, [picture])
    yield Case("ONNX", "SqueezeNet 1.1", "1x3x224x224", "float32", plain, ours)


def scipy() -> Iterator[Case]:
    """scipy.signal's functions; backward is the gradient of correlate2d in the picture."""
    import scipy.signal as theirs

    from fastconv import signal as ours

    work = "512x512, 7x7"
    for dtype in ("float32", "float64"):
        x, w = _normal(PICTURE, KERNEL, dtype=dtype)
        rows = (
            ("correlate2d forward", "correlate2d", ("valid",)),
            ("correlate2d backward", "convolve2d", ("full",)),
            ("correlate2d symm", "correlate2d", ("same", "symm")),
        )
        for operation, name, how in rows:
            calls = [partial(getattr(module, name), x, w, *how) for module in (theirs, ours)]
            yield Case("SciPy", operation, work, dtype, *calls)


def plain() -> Iterator[Case]:
    """The way of numpy-ml and many a net in plain NumPy: columns of the whole batch by index arrays, added back by
    np.add.at."""
    x, w, b, dy = _normal(X, WEIGHT, WEIGHT[:1], (8, 64, 32, 32))
    _, C, R, S = WEIGHT
    rows = np.repeat(np.arange(R), S)
    places = (
        np.repeat(np.arange(C), R * S)[:, None],
        np.tile(rows, C)[:, None] + np.repeat(np.arange(32), 32),
        np.tile(np.arange(S), C * R)[:, None] + np.tile(np.arange(32), 32),
    )

    def columns() -> np.ndarray:
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        return padded[:, *places].transpose(1, 2, 0).reshape(C * R * S, -1)

    def forward() -> np.ndarray:
        y = w.reshape(len(w), -1) @ columns() + b[:, None]
        return y.reshape(len(w), 32, 32, len(x)).transpose(3, 0, 1, 2)

    def backward() -> tuple[np.ndarray, ...]:
        flat = dy.transpose(1, 2, 3, 0).reshape(len(w), -1)
        dw = (flat @ columns().T).reshape(w.shape)
        dx = np.zeros((len(x), C, 34, 34), x.dtype)
        added = (w.reshape(len(w), -1).T @ flat).reshape(C * R * S, -1, len(x)).transpose(2, 0, 1)
        np.add.at(dx, (slice(None), *places), added)
        return dx[:, :, 1:-1, 1:-1], dw, dy.sum((0, 2, 3))

    work = (LAYER, "float32")
    yield Case("plain NumPy", "conv forward", *work, forward, lambda: fastconv.conv2d(x, w, b, **WINDOW))
    yield Case("plain NumPy", "conv backward", *work, backward, lambda: fastconv.conv2d_backward(dy, x, w, **WINDOW))


# {name: (the cases, what they import)}
BACKENDS = {
    "CS231n": (cs231n, ("cs231n",)),
    "plain NumPy": (plain, ("numpy",)),
    "MyGrad": (mygrad, ("mygrad",)),
    "autograd": (autograd, ("autograd",)),
    "Keras": (keras, ("keras", "jax")),
    "ONNX": (onnx, ("onnx",)),
    "SciPy": (scipy, ("scipy",)),
}
