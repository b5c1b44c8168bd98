"""Bad inputs of convolutions, each with its case number; sizes of the wrong kind and dtypes are in
bad_everywhere."""

from collections.abc import Iterator

import numpy as np

from .row import Bad

FAR = 1 << 40


def zeros(*shape):
    return np.zeros(shape, np.float32)


def wide(*shape):
    """An array that claims a shape without owning its memory."""
    return np.broadcast_to(np.float32(0), shape)


def calls(number, good, error, *changes):
    """Cases of one number: (pattern, changed arguments) each."""
    for pattern, change in changes:
        yield Bad(number, {**good, **change}, error, pattern)


def _good(n):
    """A grouped convolution of N=2, C=4, K=6, kernel 3 over 5 along every axis."""
    return {"x": zeros(2, 4, *(5,) * n), "weight": zeros(6, 2, *(3,) * n), "bias": zeros(6), "groups": 2}


def forward(n) -> Iterator[Bad]:
    good, three, five = _good(n), (3,) * n, (5,) * n
    bare = {"x": zeros(2, 4, *five), "weight": zeros(6, 4, *three)}
    E = ValueError
    yield from calls(1, good, E, (rf"x.*\b{n + 1}\b.*\b{n + 2}\b|x.*\b{n + 2}\b.*\b{n + 1}\b", {"x": zeros(4, *five)}))
    odd = [zeros(*(1,) * d) for d in (0, 1, 2, n + 3, 32)]
    yield from calls(2, good, E, *((rf"x.*\b{x.ndim}\b", {"x": x}) for x in odd))
    for w in (zeros(6, 2, *three[1:]), zeros(6, 2, *three, 3)):
        yield from calls(3, good, E, ("weight", {"weight": w}))
    yield from calls(4, good, E, (r"weight.*\b2\b.*\b3\b|weight.*\b3\b.*\b2\b", {"weight": zeros(6, 3, *three)}))
    yield from calls(5, good, E, *((rf"bias.*\b{k}\b", {"bias": zeros(k)}) for k in (1, 5, 7)))
    yield from calls(6, good, E, *(("bias", {"bias": b}) for b in (zeros(), zeros(6, 1), zeros(1, 6))))
    yield from calls(8, {}, E, ("x|weight", {"x": zeros(2, 0, *five), "weight": zeros(6, 0, *three)}))
    yield from calls(9, good, E, ("weight", {"weight": zeros(0, 2, *three)}))
    for axis in range(n):
        empty = list(five)
        empty[axis] = 0
        yield from calls(10, good, E, ("x", {"x": zeros(2, 4, *empty), "padding": 3}))
        kernel = list(three)
        kernel[axis] = 0
        yield from calls(11, good, E, ("weight", {"weight": zeros(6, 2, *kernel)}))
        large, spread = [1] * n, [1] * n
        large[axis], spread[axis] = 6, 3
        yield from calls(14, bare, E, ("empty", {"weight": zeros(6, 4, *large)}))
        yield from calls(15, bare, E, ("empty", {"dilation": tuple(spread)}))
    none = (0,) * (n + 2)
    yield from calls(12, {}, E, ("x|weight", {"x": zeros(*none), "weight": zeros(*none)}))
    yield from calls(13, good, E, ("x|weight", {"x": wide(0, 1 << 28, 1 << 28, *five[1:])}))
    yield from calls(18, good, E, ("groups.*0", {"groups": 0}))
    yield from calls(19, good, E, ("groups.*-1", {"groups": -1}))
    yield from calls(20, good, E, ("groups.*3", {"groups": 3}))
    odd_filters = {"weight": zeros(5, 2, *three), "bias": None}
    yield from calls(20, good, E, ("groups.*2", odd_filters))
    yield from calls(22, good, E, ("groups", {"weight": zeros(1, 2, *three), "bias": None}))
    huge = ("stride", "dilation", "padding", "groups")
    yield from calls(28, good, E, *((name, {name: 1 << 70}) for name in huge))
    yield from calls(30, bare, E, ("empty", {"dilation": (1 << 31) - 1}), ("", {"dilation": (1 << 62)}))
    yield from calls(31, good, E, ("padding", {"padding": -1}), ("padding", {"padding": ((0, -1),) * n}))
    yield from calls(32, good, (ValueError, MemoryError), ("", {"padding": 1 << 62}), ("", {"padding": (1 << 63) - 1}))
    yield from calls(36, good, E, ("padding", {"padding": "smae"}), ("padding", {"padding": ((1, 2, 3),) * n}))
    yield from calls(49, good, E, ("same|padding", {"padding": "same", "stride": 2}))
    yield from calls(58, good, TypeError, ("groups", {"groups": None}))
    enormous = wide(1 << 40, 4, *five), wide(1 << 40, 2, *three)
    yield from calls(76, {"groups": 2}, (ValueError, MemoryError), ("", {"x": enormous[0], "weight": enormous[1]}))
    yield from calls(0, good, E, ("algorithm.*fft", {"algorithm": "fft"}), ("layout", {"layout": "NCWH"}))


def _gradient(n):
    return {"dy": zeros(2, 6, *(3,) * n), "groups": 2}


def wrong_dy(n, good) -> Iterator[Bad]:
    """Case 98: dy of the wrong size along each axis in turn, and of the wrong number of axes."""
    for axis in range(n + 2):
        for step in (-1, 1):
            shape = list(good["dy"].shape)
            shape[axis] += step
            yield Bad(98, {**good, "dy": zeros(*shape)}, ValueError, "dy")
    yield Bad(98, {**good, "dy": zeros(2, 6)}, ValueError, "dy")


def backward(n) -> Iterator[Bad]:
    x, weight = zeros(2, 4, *(5,) * n), zeros(6, 2, *(3,) * n)
    good = {**_gradient(n), "x": x, "weight": weight}
    yield from wrong_dy(n, good)
    yield from calls(1, good, ValueError, ("x", {"x": x[0]}))
    yield from calls(4, good, ValueError, ("weight", {"weight": zeros(6, 3, *(3,) * n)}))
    yield from calls(18, good, ValueError, ("groups", {"groups": 0}))
    yield from calls(50, good, (TypeError, ValueError), ("needs", {"needs": (True,)}), ("needs", {"needs": 1}))


def grad_input(n) -> Iterator[Bad]:
    shape = (2, 4, *(5,) * n)
    good = {**_gradient(n), "weight": zeros(6, 2, *(3,) * n), "input_shape": shape}
    yield from wrong_dy(n, good)
    wrong = [
        (2, 4, *(6,) * n),
        (3, *shape[1:]),
        (2, 5, *shape[2:]),
        shape[1:],
        (2, 4, *(0,) * n),
        (2, 4, *(-5,) * n),
    ]
    yield from calls(99, good, ValueError, *(("input_shape|dy|weight|channels", {"input_shape": s}) for s in wrong))
    yield from calls(99, good, (TypeError, ValueError), ("input_shape", {"input_shape": 5}))
    yield from calls(99, good, TypeError, ("input_shape", {"input_shape": (2.0, *shape[1:])}))
    yield from calls(76, good, (ValueError, MemoryError), ("", {"input_shape": (2, 4, *(FAR,) * n)}))


def grad_weight(n) -> Iterator[Bad]:
    shape = (6, 2, *(3,) * n)
    good = {**_gradient(n), "x": zeros(2, 4, *(5,) * n), "weight_shape": shape}
    yield from wrong_dy(n, good)
    wrong = [
        (6, 2, *(2,) * n),
        (7, *shape[1:]),
        (6, 3, *shape[2:]),
        shape[1:],
        (6, 2, *(0,) * n),
        (6, 2, *(-3,) * n),
    ]
    yield from calls(100, good, ValueError, *(("weight_shape|dy|x|channels", {"weight_shape": s}) for s in wrong))
    yield from calls(100, good, TypeError, ("weight_shape", {"weight_shape": (6.0, *shape[1:])}))


def transposed(n) -> Iterator[Bad]:
    good = {"x": zeros(2, 4, *(3,) * n), "weight": zeros(4, 3, *(3,) * n), "bias": zeros(6), "groups": 2}
    E = ValueError
    yield from calls(1, good, E, ("x", {"x": zeros(4, *(3,) * n)}))
    yield from calls(3, good, E, ("weight", {"weight": zeros(4, 3, 3)[..., None, None, None, None]}))
    yield from calls(4, good, E, ("weight", {"weight": zeros(6, 3, *(3,) * n)}))
    yield from calls(5, good, E, ("bias", {"bias": zeros(3)}), ("bias", {"bias": zeros(4)}))
    yield from calls(9, good, E, ("weight", {"weight": zeros(4, 0, *(3,) * n)}))
    yield from calls(10, good, E, ("x", {"x": zeros(2, 4, *(0,) * n)}))
    yield from calls(20, good, E, ("groups", {"groups": 3}))
    yield from calls(47, good, E, ("output_padding", {"output_padding": 1}), ("output_padding", {"output_padding": -1}))
    yield from calls(47, good, E, ("output_padding", {"output_padding": 3, "stride": 2, "dilation": 3}))
    yield from calls(48, good, E, ("empty|padding", {"padding": 3}))
    yield from calls(76, good, (ValueError, MemoryError), ("", {"stride": 1 << 62}), ("", {"dilation": 1 << 62}))


def transposed_backward(n) -> Iterator[Bad]:
    x, weight = zeros(2, 4, *(3,) * n), zeros(4, 3, *(3,) * n)
    good = {"dy": zeros(2, 6, *(5,) * n), "x": x, "weight": weight, "groups": 2}
    yield from wrong_dy(n, good)
    yield from calls(47, good, ValueError, ("output_padding", {"output_padding": 1}))
