"""Rows of activations, softmax and addition with their gradients."""

from collections.abc import Iterator

import numpy as np

from .bad_convolution import calls, zeros
from .row import Bad, Case, Op, about_six


def _shapes():
    """Lengths round every lane count, shapes of one to five axes, one large, one empty."""
    for n in range(1, 34):
        yield (1, n)
    yield from ((0, 3), (7,), (3, 5, 7), (2, 3, 4, 5), (2, 1, 3, 2, 5), (2, 33, 31, 40))


def _elementwise(names, exact, **settings) -> tuple[Case, ...]:
    return tuple(Case(dict.fromkeys(names, shape), settings, 2, exact, np.prod(shape) > 50_000) for shape in _shapes())


def _along_axis(names) -> tuple[Case, ...]:
    cases = [(1, n) for n in range(1, 34)] + [(0, 3), (3, 5, 7), (64, 1000)]
    settings = [{}] * len(cases) + [{"axis": 1}, {"axis": 0}, {"axis": -2}, {"axis": 2}]
    cases += [(2, 17, 5, 3), (7, 33), (3, 5, 7), (2, 3, 5, 4)]
    return tuple(
        Case(dict.fromkeys(names, shape), s, shape[-1], False, np.prod(shape) > 50_000)
        for shape, s in zip(cases, settings, strict=True)
    )


def _chain(name, through, *kept):
    """The gradient of a pointwise op whose backward takes its input ("x") or its output ("y")."""

    def gradient(functional, arrays, settings, y, dy):
        passed = {k: v for k, v in settings.items() if k in kept}
        return {"x": getattr(functional, name + "_backward")(dy, arrays["x"] if through == "x" else y, **passed)}

    return gradient


def _unlike(*names):
    """Case 98: operands of different shapes, one of them broadcastable."""

    def bad() -> Iterator[Bad]:
        good = dict.fromkeys(names, zeros(3, 4))
        for shape in ((3, 5), (4, 4), (1, 4), (3, 1), (4,), (1, 3, 4)):
            yield Bad(98, {**good, names[0]: zeros(*shape)}, ValueError, "|".join(names))

    return bad


def _bad_axis(*names):
    def bad() -> Iterator[Bad]:
        good = dict.fromkeys(names, zeros(3, 4))
        yield from calls(36, good, ValueError, *(("axis", {"axis": a}) for a in (2, -3, 1 << 70)))
        yield from calls(36, good, TypeError, *(("axis", {"axis": a}) for a in (1.0, "1", None, True)))
        yield from calls(10, {}, ValueError, ("|".join(names), dict.fromkeys(names, zeros(3, 0))))

    return bad


def _activation(name, through, exact, error, kept=(), fills=None, **settings) -> Iterator[Op]:
    fills = fills or {}
    backward = _elementwise(("dy", through), exact, **settings)
    cases = _elementwise(("x",), exact, **settings)
    yield Op(name, cases, error, fills, gradient=_chain(name, through, *kept))
    yield Op(name + "_backward", backward, error, fills, linear=("dy",), bad=_unlike("dy", through))


def _normaliser(name, error) -> Iterator[Op]:
    yield Op(name, _along_axis(("x",)), error, gradient=_chain(name, "y", "axis"), bad=_bad_axis("x"))
    yield Op(name + "_backward", _along_axis(("dy", "y")), 256.0, linear=("dy",), bad=_bad_axis("dy", "y"))


OPS = [
    *_activation("relu", "y", True, "none"),
    *_activation("relu6", "x", True, "none", fills={"x": about_six}),
    *_activation("leaky_relu", "x", True, 1.0, ("negative_slope",), negative_slope=0.25),
    *_activation("sigmoid", "y", False, 8.0),
    *_activation("tanh", "y", False, 8.0),
    *_activation("silu", "x", False, 16.0),
    *_normaliser("softmax", 32.0),
    *_normaliser("log_softmax", 32.0),
    Op(
        "add",
        _elementwise(("x", "y"), True) + _elementwise(("x", "y"), True, relu=True),
        1.0,
        gradient=lambda f, a, s, y, dy: dict.fromkeys(("x", "y"), f.relu_backward(dy, y) if s else dy),
        bad=_unlike("x", "y"),
    ),
]
