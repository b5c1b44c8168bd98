"""Rows of normalisation, the linear layer, losses and dropout's gradient."""

from collections.abc import Iterator
from math import prod

import numpy as np

from .bad_convolution import calls, zeros
from .row import Bad, Case, Op, labels, positive


def _norm_shapes():
    for c in (1, 3, 7, 17, 33):
        yield (2, c, 3, 5)
    for w in range(2, 34):
        yield (1, 2, w)
    yield from ((5, 7), (2, 3, 4), (2, 3, 2, 3, 4), (3, 2, 1, 1), (4, 32, 24, 24))
    # Both sides of the sizes from which a plane is long, more columns than a task has, sums of many rows.
    yield from ((2, 3, 8), (2, 9, 9), (2, 5, 32), (40, 200), (70, 35, 2, 2), (2, 3, 1100), (33, 130, 4, 4))


def _norms(*vectors, empty=(), backward=False, **settings) -> tuple[Case, ...]:
    cases = []
    for shape in (*_norm_shapes(), *empty):
        shapes = {"dy": shape, "x": shape} if backward else {"x": shape}
        count = prod(shape) // shape[1] if 0 not in shape else 1
        large = prod(shape) > 50_000
        cases.append(Case(shapes | dict.fromkeys(vectors, shape[1:2]), settings, count, False, large))
    return tuple(cases)


def _norm_gradient(training):
    def gradient(functional, arrays, settings, y, dy):
        mean, var = y[1:] if training else (arrays["mean"], arrays["var"])
        grads = functional.batch_norm_backward(
            dy, arrays["x"], mean, var, arrays.get("weight"), arrays.get("bias"), training=training, **settings
        )
        return {k: g for k, g in zip(("x", "weight", "bias"), grads, strict=True) if k in arrays}

    return gradient


def _bad_norm(training) -> Iterator[Bad]:
    vectors = ("weight", "bias") if training else ("mean", "var", "weight", "bias")
    good, E = {"x": zeros(2, 3, 4), **dict.fromkeys(vectors, zeros(3))}, ValueError
    for v in vectors:
        yield from calls(5, good, E, (v, {v: zeros(4)}), (v, {v: zeros(1)}))
        yield from calls(6, good, E, (v, {v: zeros()}), (v, {v: zeros(3, 1)}), (v, {v: zeros(1, 3)}))
    yield from calls(2, good, E, ("x", {"x": zeros()}), ("x", {"x": zeros(3)}))
    yield from calls(8, good, E, ("x", {"x": zeros(2, 0, 4)}), ("x", {"x": zeros(2, 3, 0)}))
    yield from calls(93, good, E, ("eps", {"eps": -1.0}), ("eps", {"eps": float("nan")}))
    yield from calls(93, good, TypeError, ("eps", {"eps": "1"}), ("eps", {"eps": None}))
    if training:
        yield from calls(94, good, E, ("x", {"x": zeros(1, 3)}), ("x", {"x": zeros(1, 3, 1, 1)}))


def _bad_norm_backward() -> Iterator[Bad]:
    good = {"dy": zeros(2, 3, 4), "x": zeros(2, 3, 4), "mean": zeros(3), "var": zeros(3)}
    yield from calls(98, good, ValueError, *(("dy", {"dy": zeros(*s)}) for s in ((2, 3, 5), (1, 3, 4), (2, 3))))
    yield from calls(5, good, ValueError, *((v, {v: zeros(2)}) for v in ("mean", "var", "weight")))


def _bad_response(*names) -> Iterator[Bad]:
    good = dict.fromkeys(names, zeros(2, 3, 4)) | {"size": 3}
    yield from calls(25, good, ValueError, ("size", {"size": 0}), ("size", {"size": -1}))
    yield from calls(36, good, TypeError, *(("size", {"size": s}) for s in (2.0, "2", None, True)))
    if "dy" in names:
        yield from calls(98, good, ValueError, ("dy", {"dy": zeros(2, 3, 5)}))


def _linear(kind) -> tuple[Case, ...]:
    sizes = [(2, i, 5) for i in range(1, 34)] + [(3, 4, o) for o in range(1, 34)]
    sizes += [(0, 3, 4), (1, 1, 1), (17, 33, 7), (1, 700, 900), (64, 300, 200)]
    cases = []
    for N, i, o in sizes:
        shapes = {"x": (N, i), "weight": (o, i)}
        shapes = {"dy": (N, o), **shapes} if kind == "backward" else shapes | ({"bias": (o,)} if N != 3 else {})
        terms = max(i, o, N) if kind == "backward" else i + 1
        cases.append(Case(shapes, {}, terms, large=N * i * o > 100_000))
    return tuple(cases)


def _linear_gradient(functional, arrays, settings, y, dy):
    grads = functional.linear_backward(dy, arrays["x"], arrays["weight"])
    return {k: g for k, g in zip(("x", "weight", "bias"), grads, strict=True) if k in arrays}


def _bad_linear() -> Iterator[Bad]:
    good, E = {"x": zeros(2, 3), "weight": zeros(4, 3), "bias": zeros(4)}, ValueError
    yield from calls(2, good, E, ("x", {"x": zeros(3)}), ("x", {"x": zeros(2, 3, 1)}), ("x", {"x": zeros()}))
    yield from calls(3, good, E, ("weight", {"weight": zeros(3)}), ("weight", {"weight": zeros(4, 3, 1)}))
    yield from calls(4, good, E, ("weight", {"weight": zeros(3, 4)}))
    yield from calls(5, good, E, ("bias", {"bias": zeros(3)}), ("bias", {"bias": zeros(1)}))
    yield from calls(6, good, E, ("bias", {"bias": zeros()}), ("bias", {"bias": zeros(4, 1)}))
    yield from calls(9, good, E, ("weight", {"weight": zeros(0, 3), "bias": None}))
    yield from calls(8, good, E, ("x|weight", {"x": zeros(2, 0), "weight": zeros(4, 0)}))


def _bad_linear_backward() -> Iterator[Bad]:
    good = {"dy": zeros(2, 4), "x": zeros(2, 3), "weight": zeros(4, 3)}
    yield from calls(98, good, ValueError, *(("dy", {"dy": zeros(*s)}) for s in ((2, 3), (3, 4), (2, 5), (8,))))
    yield from calls(4, good, ValueError, ("weight|x", {"weight": zeros(4, 2)}))


def _rows_of_classes(**settings) -> Iterator[Case]:
    for K in range(1, 34):
        yield Case({"logits": (3, K), "labels": (3,)}, settings, K, False)
    yield Case({"logits": (0, 4), "labels": (0,)}, settings, 4, False)
    yield Case({"logits": (256, 1000), "labels": (256,)}, settings, 1000, False, large=True)


def _bad_labels() -> Iterator[Bad]:
    good, E = {"logits": zeros(3, 4), "labels": np.array([0, 1, 2])}, ValueError
    for label in (4, -1, 1 << 40):
        yield from calls(96, good, E, (rf"labels.*{label}", {"labels": np.array([0, label, 2])}))
    for wrong in (np.array([0.0, 1.0, 2.0]), np.array([0, np.nan, 1]), np.array([True] * 3), None):
        yield from calls(96, good, TypeError, ("labels", {"labels": wrong}))
    for wrong in (np.array([0, 1]), np.array([[0, 1, 2]]), np.array(1)):
        yield from calls(96, good, E, ("labels", {"labels": wrong}))
    yield from calls(
        96,
        good,
        E,
        ("label_smoothing", {"label_smoothing": -0.1}),
        ("label_smoothing", {"label_smoothing": 1.5}),
    )
    yield from calls(96, good, E, ("label_smoothing", {"label_smoothing": float("nan")}))
    yield from calls(2, good, E, ("logits", {"logits": zeros(3)}), ("logits", {"logits": zeros(3, 4, 1)}))
    yield from calls(8, good, E, ("logits", {"logits": zeros(3, 0)}))


def _unlike(first, second):
    def bad() -> Iterator[Bad]:
        for shape in ((3, 5), (1, 4), (4,), (1, 3, 4)):
            yield Bad(98, {first: zeros(*shape), second: zeros(3, 4)}, ValueError, f"{first}|{second}")

    return bad


def _pairs(first, second) -> tuple[Case, ...]:
    shapes = [(1, n) for n in range(1, 34)] + [(0, 3), (2, 3, 4, 5), (2, 33, 31, 40)]
    return tuple(Case({first: s, second: s}, {}, 2, first == "dy", prod(s) > 50_000) for s in shapes)


RESPONSE = {"size": 5, "alpha": 0.5, "beta": 0.75, "k": 2.0}
SPREAD = {"var": positive}
OPS = [
    Op(
        "batch_norm",
        _norms("mean", "var", "weight", "bias", empty=[(0, 3, 4)])
        + _norms("mean", "var", eps=0.5)
        + _norms("mean", "var", "weight", "bias", relu=True),
        64.0,
        SPREAD,
        gradient=_norm_gradient(False),
        bad=lambda: _bad_norm(False),
    ),
    Op(
        "batch_norm_train",
        _norms("weight", "bias") + _norms(eps=0.5) + _norms("weight", "bias", relu=True),
        256.0,
        gradient=_norm_gradient(True),
        loose=("x", "weight", "bias"),
        bad=lambda: _bad_norm(True),
    ),
    Op(
        "batch_norm_backward",
        _norms("mean", "var", "weight", backward=True, training=True)
        + _norms("mean", "var", backward=True, training=False, eps=0.5, empty=[(0, 3, 4)])
        + _norms("mean", "var", "weight", "bias", backward=True, training=True, relu=True)
        + _norms("mean", "var", "weight", "bias", backward=True, training=False, relu=True),
        1024.0,
        SPREAD,
        loose=("dy", "x", "mean", "var", "weight", "bias"),
        linear=("dy",),
        bad=_bad_norm_backward,
    ),
    Op(
        "local_response_norm",
        _norms(**RESPONSE) + _norms(size=4, empty=[(0, 3, 4)]),
        32.0,
        gradient=lambda f, a, s, y, dy: {"x": f.local_response_norm_backward(dy, a["x"], **s)},
        bad=lambda: _bad_response("x"),
    ),
    Op(
        "local_response_norm_backward",
        _norms(backward=True, **RESPONSE) + _norms(backward=True, size=2, alpha=0.1, beta=0.5, k=1.0),
        128.0,
        linear=("dy",),
        bad=lambda: _bad_response("dy", "x"),
    ),
    Op(
        "linear",
        _linear("forward"),
        linear=("x", "weight", "bias"),
        gradient=_linear_gradient,
        bad=_bad_linear,
    ),
    Op("linear_backward", _linear("backward"), linear=("dy",), bad=_bad_linear_backward),
    Op(
        "cross_entropy",
        (*_rows_of_classes(), *_rows_of_classes(label_smoothing=0.125)),
        64.0,
        {"labels": labels},
        gradient=lambda f, a, s, y, dy: {"logits": dy * y[1]},
        bad=_bad_labels,
    ),
    Op(
        "mse_loss",
        _pairs("prediction", "target"),
        64.0,
        gradient=lambda f, a, s, y, dy: {"prediction": dy * y[1]},
        bad=_unlike("prediction", "target"),
    ),
    Op("dropout_backward", _pairs("dy", "mask"), 1.0, linear=("dy", "mask"), bad=_unlike("dy", "mask")),
]
