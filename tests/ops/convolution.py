"""Rows of convolution, its gradients and transposed convolution in one, two and three dimensions."""

from collections.abc import Iterator
from math import prod

from . import bad_convolution as bad
from .row import Case, Op

TAILS = (1, 3, 7, 17, 33)


def geometry(N, C, K, spatial, kernel, *, large=False, bias=True, algorithm="direct", **settings):
    """One convolution: sizes and the keyword arguments that differ from the defaults."""
    return N, C, K, spatial, kernel, large, bias, {"algorithm": algorithm, **settings}


def _common(axes):
    """Geometries that exist in any number of dimensions."""
    plane, ones = (5, 6, 7)[3 - axes :], (1,) * axes
    three, last = (3,) * axes, (0,) * (axes - 1)
    for c in TAILS:
        yield geometry(2, c, 5, plane, three, padding=1)
        yield geometry(1, 5, c, plane, three, bias=False)
    for w in range(1, 34):
        yield geometry(1, 3, 4, (*ones[1:], w), (*ones[1:], 3), padding=(*last, 1))
    yield geometry(0, 3, 4, plane, three, padding=1)  # case 7
    yield geometry(2, 4, 6, plane, three, stride=2, padding=1, groups=2)
    yield geometry(2, 4, 4, plane, three, padding=1, groups=4)
    yield geometry(2, 3, 6, plane, three, stride=2, padding=1, groups=3)  # case 21
    yield geometry(2, 3, 4, plane, ones)
    yield geometry(2, 3, 4, plane, ones, stride=2)
    yield geometry(2, 3, 4, plane, three, dilation=2, padding=2)
    yield geometry(2, 3, 4, plane, (2,) * axes, padding="same", dilation=3)
    yield geometry(2, 3, 4, plane, three, padding="valid")
    yield geometry(2, 3, 4, plane, three, padding=((2, 0),) + ((0, 1),) * (axes - 1), stride=(3,) + (1,) * (axes - 1))
    yield geometry(1, 2, 3, plane, tuple(s + 2 for s in plane), padding=1)  # case 16
    yield geometry(1, 2, 3, plane, (2,) * axes, padding=4)  # case 34
    yield geometry(1, 2, 3, ones, three, padding=1, stride=7)  # cases 17 and 27
    yield geometry(2, 17, 5, plane, three, padding=1, layout="NHWC")
    yield geometry(2, 6, 9, plane, three, padding=1, stride=2, groups=3, layout="NHWC")
    yield geometry(2, 17, 17, plane, three, padding=1, groups=17, layout="NHWC")
    yield geometry(0, 3, 4, plane, three, layout="NHWC")


def _planes():
    """Geometries that matter in two dimensions only."""
    for w in range(1, 34):
        yield geometry(1, 2, 2, (4, w), (3, 3), padding=1, groups=2, bias=False)
        yield geometry(1, 2, 17, (2, w), (3, 3), padding=1, stride=(1, 2), bias=False)
    yield geometry(1, 3, 8, (13, 15), (7, 7), stride=2, padding=3)
    yield geometry(1, 8, 8, (9, 11), (5, 5), padding=2, groups=8)
    yield geometry(1, 3, 8, (9, 11), (11, 11), stride=4, padding=5)
    yield geometry(1, 4, 8, (1, 9), (1, 3), padding=(0, 1))
    yield geometry(1, 4, 8, (9, 1), (3, 1), padding=(1, 0), stride=(2, 5))
    yield geometry(1, 4, 8, (8, 10), (3, 2), padding=((0, 3), (2, 1)), stride=(2, 1), dilation=(1, 3))
    yield geometry(3, 16, 32, (8, 8), (3, 3), padding=1, bias=False)
    yield geometry(2, 32, 48, (28, 28), (3, 3), padding=1, large=True)
    yield geometry(2, 64, 33, (14, 15), (3, 3), padding=1, stride=2, large=True)
    yield geometry(2, 64, 64, (29, 30), (3, 3), padding=1, groups=64, large=True)
    yield geometry(3, 64, 96, (20, 20), (1, 1), large=True)
    yield geometry(2, 32, 64, (17, 17), (3, 3), padding=1, groups=4, large=True)
    yield geometry(2, 32, 48, (20, 20), (3, 3), padding=1, layout="NHWC", large=True)
    yield geometry(1, 128, 64, (7, 7), (3, 3), padding=1, large=True, bias=False)
    for pixels in range(1, 7):  # fewer pixels than filters: whole vectors of them, and 1 to 4 that are summed apart
        yield geometry(1, 150, 56, (3, 16 + pixels), (1, 1), large=True)
        yield geometry(1, 150, 53, (1, 48 + pixels), (1, 3), padding=(0, 1), large=True)


def _depthwise():
    """Groups of few channels: every kernel that runs on planes in place, widths around one, two and three vectors."""
    for size in (3, 5, 7):
        pad = size // 2
        for stride in (1, 2):
            for w in (1, 2, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 47, 49, 66):
                yield geometry(1, 2, 2, (size, w), (size, size), padding=pad, stride=stride, groups=2, bias=False)
            square = {"stride": stride, "groups": 2}
            yield geometry(2, 2, 6, (9, 20), (size, size), padding=pad, **square)  # three outputs from one input
            yield geometry(2, 6, 2, (9, 20), (size, size), padding=pad, **square)  # one output from three inputs
            yield geometry(1, 2, 2, (7, 19), (size, size), padding=size - 1, **square)
            yield geometry(1, 2, 2, (8, 21), (size, size), padding=((2, 0), (0, 1)), **square)
            yield geometry(1, 2, 2, (size, size + 18), (size, size), **square)
            yield geometry(1, 2, 2, (8, 9), (size, size), padding=size + 2, **square)
            yield geometry(0, 2, 2, (8, 9), (size, size), padding=pad, **square)
            yield geometry(2, 2, 2, (300, 111), (size, size), padding=pad, large=True, **square)  # bands of rows
            yield geometry(3, 70, 70, (7, 7), (size, size), padding=pad, stride=stride, groups=70, large=True)


def _small_groups():
    """Groups of a few channels, which run on padded bands: tails of filters, of terms and of rows, several bands."""
    for c, k in ((3, 5), (8, 8), (9, 2), (4, 16), (16, 9)):
        for w in (3, 15, 16, 17, 34):
            yield geometry(1, 2 * c, 2 * k, (5, w), (3, 3), padding=1, groups=2)
        yield geometry(2, 2 * c, 2 * k, (6, 19), (3, 3), padding=1, stride=2, groups=2, bias=False)
        yield geometry(1, 2 * c, 2 * k, (7, 18), (3, 2), padding=((2, 0), (0, 1)), dilation=2, groups=2)
    yield geometry(5, 64, 64, (40, 28), (3, 3), padding=1, groups=8, large=True)


GEOMETRIES = {
    1: [*_common(1), geometry(3, 32, 48, (400,), (5,), padding=2, large=True)],
    2: [*_common(2), *_planes(), *_depthwise(), *_small_groups()],
    3: [*_common(3), geometry(1, 16, 24, (8, 10, 12), (3, 3, 3), padding=1, large=True)],
}


def counts(spatial, kernel, *, stride=1, padding=0, dilation=1, **_):
    """Output sizes by the formula of the definition."""
    axes = len(spatial)

    def each(v):
        return v if isinstance(v, tuple) else (v,) * axes

    sizes = []
    for size, k, s, d, p in zip(spatial, kernel, each(stride), each(dilation), pairs(padding, axes), strict=True):
        total = d * (k - 1) if padding == "same" else sum(p)
        sizes.append((size + total - d * (k - 1) - 1) // s + 1)
    return tuple(sizes)


def pairs(padding, axes):
    if isinstance(padding, str):
        return ((0, 0),) * axes
    padding = padding if isinstance(padding, tuple) else (padding,) * axes
    return tuple(p if isinstance(p, tuple) else (p, p) for p in padding)


def shaped(N, C, spatial, layout="NCHW", **_):
    return (N, *spatial, C) if layout == "NHWC" else (N, C, *spatial)


def _cases(axes, kind):
    """The geometries as cases of one of the four functions of a convolution."""
    for N, C, K, spatial, kernel, large, bias, s in GEOMETRIES[axes]:
        groups = s.get("groups", 1)
        out = counts(spatial, kernel, **s)
        x, dy = shaped(N, C, spatial, **s), shaped(N, K, out, **s)
        weight = (K, C // groups, *kernel)
        down, up, over = prod(weight[1:]) + 1, prod(weight) // weight[1], max(N, 1) * prod(out)
        if kind == "forward":
            shapes = {"x": x, "weight": weight} | ({"bias": (K,)} if bias else {})
            yield Case(shapes, s, terms=down, large=large)
        elif kind == "backward":
            yield Case({"dy": dy, "x": x, "weight": weight}, s, terms=max(up, over), large=large)
        elif kind == "grad_input":
            yield Case({"dy": dy, "weight": weight}, {"input_shape": x, **s}, terms=up, large=large)
        else:
            yield Case({"dy": dy, "x": x}, {"weight_shape": weight, **s}, terms=over, large=large)


def _transposed(axes):
    plane, three, ones = (3, 4, 5)[3 - axes :], (3,) * axes, (1,) * axes
    yield from (geometry(2, c, 4, plane, three, padding=1) for c in TAILS)
    yield from (geometry(1, 4, k, plane, three, stride=2, bias=False) for k in TAILS)
    yield from (geometry(1, 3, 4, (*ones[1:], w), (*ones[1:], 3), stride=(*ones[1:], 2)) for w in range(1, 34))
    yield geometry(0, 3, 4, plane, three)
    yield geometry(2, 3, 4, plane, (2,) * axes, stride=2)
    yield geometry(2, 3, 4, plane, three, stride=2, padding=1, output_padding=1)
    yield geometry(2, 4, 6, plane, three, stride=3, padding=1, output_padding=2, groups=2)
    yield geometry(2, 4, 4, plane, three, stride=2, dilation=3, padding=2, output_padding=2, groups=4)
    yield geometry(2, 3, 4, plane, three, padding=((2, 0),) + ((0, 1),) * (axes - 1))
    yield geometry(2, 3, 4, plane, ones, stride=2, output_padding=1)
    yield geometry(2, 6, 17, plane, three, stride=2, padding=1, layout="NHWC")
    if axes == 2:
        yield geometry(2, 32, 24, (14, 14), (4, 4), stride=2, padding=1, large=True)


def _transposed_cases(axes, backward):
    for N, C, K, spatial, kernel, large, bias, s in _transposed(axes):
        s = {k: v for k, v in s.items() if k != "algorithm"}
        groups, out = s.get("groups", 1), []
        for i, p in enumerate(pairs(s.get("padding", 0), axes)):
            stride = s["stride"][i] if isinstance(s.get("stride"), tuple) else s.get("stride", 1)
            reach = s.get("dilation", 1) * (kernel[i] - 1) + 1 + s.get("output_padding", 0)
            out.append((spatial[i] - 1) * stride - sum(p) + reach)
        x, weight, dy = shaped(N, C, spatial, **s), (C, K // groups, *kernel), shaped(N, K, out, **s)
        if backward:
            over = max(N, 1) * prod(spatial)
            terms = max(prod(weight[1:]), over, max(N, 1) * prod(out))
            yield Case({"dy": dy, "x": x, "weight": weight}, s, terms=terms, large=large)
        else:
            shapes = {"x": x, "weight": weight} | ({"bias": (K,)} if bias else {})
            yield Case(shapes, s, terms=prod(weight) // weight[1] + 1, large=large)


def _gradient(name, arguments=("x", "weight", "bias")):
    def gradient(functional, arrays, settings, y, dy):
        grads = getattr(functional, name)(dy, arrays["x"], arrays["weight"], **settings)
        return {a: g for a, g in zip(arguments, grads, strict=True) if a in arrays}

    return gradient


def _rows(n) -> Iterator[Op]:
    forward, transpose = f"conv{n}d", f"conv_transpose{n}d"
    yield Op(
        forward,
        tuple(_cases(n, "forward")),
        linear=("x", "weight", "bias"),
        gradient=_gradient(forward + "_backward"),
        bad=lambda: bad.forward(n),
    )
    yield Op(
        forward + "_backward",
        tuple(_cases(n, "backward")),
        linear=("dy",),
        loose=("weight",),
        bad=lambda: bad.backward(n),
    )
    yield Op(
        forward + "_grad_input",
        tuple(_cases(n, "grad_input")),
        linear=("dy", "weight"),
        loose=("weight",),
        bad=lambda: bad.grad_input(n),
    )
    yield Op(
        forward + "_grad_weight",
        tuple(_cases(n, "grad_weight")),
        linear=("dy", "x"),
        bad=lambda: bad.grad_weight(n),
    )
    yield Op(
        transpose,
        tuple(_transposed_cases(n, False)),
        loose=("weight",),
        linear=("x", "weight", "bias"),
        gradient=_gradient(transpose + "_backward"),
        bad=lambda: bad.transposed(n),
    )
    yield Op(
        transpose + "_backward",
        tuple(_transposed_cases(n, True)),
        linear=("dy",),
        bad=lambda: bad.transposed_backward(n),
    )


OPS = [op for n in (1, 2, 3) for op in _rows(n)]
