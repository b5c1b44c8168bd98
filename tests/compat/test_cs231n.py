"""fastconv.compat.cs231n against the definitions in loops, and against the course's own code where a copy is at hand.
FASTCONV_CS231N names a folder with `cs231n/` in it, its Cython part built."""

import os
import sys

import numpy as np
import pytest
from compare import same_bits, within

from fastconv.compat import cs231n as ours

# (N, C, H, W), F, HH, WW, stride, pad
CONVOLUTIONS = [
    ((2, 3, 8, 8), 4, 3, 3, 1, 1),
    ((2, 3, 9, 7), 4, 3, 5, 2, 1),  # non-square: the course's Cython writes outside its columns
    ((1, 2, 6, 8), 3, 4, 2, 2, 0),
    ((3, 1, 7, 7), 2, 3, 3, 3, 0),  # the last row and column of x are in no window
]
POOLS = [((2, 3, 8, 8), 2, 2, 2), ((2, 3, 9, 9), 3, 3, 2), ((1, 2, 7, 6), 3, 2, 1), ((2, 2, 8, 8), 3, 3, 2)]


@pytest.fixture
def rng():
    return np.random.default_rng(231)


def convolve(x, w, b, stride, pad):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    (R, S), (H, W) = w.shape[2:], x.shape[2:]
    y = np.zeros((len(x), len(w), (H - R) // stride + 1, (W - S) // stride + 1))
    for n, k, p, q in np.ndindex(y.shape):
        y[n, k, p, q] = (x[n, :, p * stride : p * stride + R, q * stride : q * stride + S] * w[k]).sum() + b[k]
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape, K, R, S, stride, pad", CONVOLUTIONS)
def test_convolution(rng, shape, K, R, S, stride, pad, dtype):
    x, w = (rng.integers(-4, 5, size).astype(dtype) for size in (shape, (K, shape[1], R, S)))
    b = rng.integers(-4, 5, K).astype(dtype)
    out, cache = ours.conv_forward_fast(x, w, b, {"stride": stride, "pad": pad})
    # exact: small integers
    same_bits(out, convolve(x, w, b, stride, pad).astype(dtype), "conv_forward_fast")
    dout = rng.integers(-4, 5, out.shape).astype(dtype)
    dx, dw, db = ours.conv_backward_fast(dout, cache)
    cols = ours.im2col_cython(x, R, S, pad, stride)
    flat = dout.transpose(1, 2, 3, 0).reshape(K, -1)
    same_bits(dw, (flat @ cols.T).reshape(w.shape), "dw")
    want = ours.col2im_cython(w.reshape(K, -1).T @ flat, *shape, R, S, pad, stride)
    same_bits(dx, np.ascontiguousarray(want), "dx")
    same_bits(db, dout.sum((0, 2, 3)), "db")


@pytest.mark.parametrize("shape, R, S, stride", POOLS)
def test_pooling(rng, shape, R, S, stride):
    x = rng.permutation(np.prod(shape)).reshape(shape).astype(np.float64)
    out, cache = ours.max_pool_forward_fast(x, {"pool_height": R, "pool_width": S, "stride": stride})
    dout = rng.standard_normal(out.shape)
    want, dx = np.zeros(out.shape), np.zeros(shape)
    for n, c, p, q in np.ndindex(out.shape):
        window = x[n, c, p * stride : p * stride + R, q * stride : q * stride + S]
        want[n, c, p, q] = window.max()
        i, j = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, p * stride + i, q * stride + j] += dout[n, c, p, q]
    same_bits(out, want, "max_pool_forward_fast")
    within(ours.max_pool_backward_fast(dout, cache), dx, 1e-12, "max_pool_backward_fast")


def test_ties_go_to_the_first():
    _, cache = ours.max_pool_forward_fast(np.ones((1, 1, 2, 2)), {"pool_height": 2, "pool_width": 2, "stride": 2})
    dx = ours.max_pool_backward_fast(np.full((1, 1, 1, 1), 4.0), cache)
    assert dx.ravel().tolist() == [4, 0, 0, 0]


@pytest.mark.parametrize("shape, K, R, S, stride, pad", CONVOLUTIONS)
def test_columns(rng, shape, K, R, S, stride, pad):
    N, C, H, W = shape
    x = rng.standard_normal(shape)
    cols = ours.im2col_cython(x, R, S, pad, stride)
    P, Q = (H + 2 * pad - R) // stride + 1, (W + 2 * pad - S) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    assert cols.shape == (C * R * S, P * Q * N)
    back = np.zeros_like(padded)
    for c, i, j, p, q, n in np.ndindex(C, R, S, P, Q, N):
        value = cols[(c * R + i) * S + j, (p * Q + q) * N + n]
        assert value == padded[n, c, p * stride + i, q * stride + j]
        back[n, c, p * stride + i, q * stride + j] += value
    within(ours.col2im_cython(cols, N, C, H, W, R, S, pad, stride), back[:, :, pad : pad + H, pad : pad + W], 1e-12, "")


def test_mixed_dtypes_promote(rng):
    x, w = rng.standard_normal((1, 2, 5, 5)).astype(np.float32), rng.standard_normal((3, 2, 3, 3))
    out, cache = ours.conv_forward_fast(x, w, np.zeros(3), {"stride": 1, "pad": 0})
    assert out.dtype == np.float64
    assert [g.dtype for g in ours.conv_backward_fast(np.ones(out.shape), cache)] == [np.float64] * 3
    with pytest.raises(TypeError, match="expected real numbers, got complex64, float64"):
        ours.conv_forward_fast(x + 1j, w, np.zeros(3), {"stride": 1, "pad": 0})


@pytest.fixture
def a_net(tmp_path, monkeypatch):
    """A package as the assignments have it, with its two fast modules absent."""
    (tmp_path / "a_net").mkdir()
    (tmp_path / "a_net/__init__.py").write_text("")
    (tmp_path / "a_net/layers.py").write_text(
        "from .fast_layers import *\nfrom a_net.im2col_cython import col2im_cython, im2col_cython\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "a_net"]:
        del sys.modules[name]


def test_install(a_net):
    ours.install("a_net")
    import a_net.layers

    assert a_net.layers.conv_forward_fast is ours.conv_forward_fast
    assert a_net.layers.im2col_cython is ours.im2col_cython
    assert not hasattr(a_net.layers, "install")
    ours.install("a_net")  # twice is once


def test_install_too_late(a_net):
    import types

    sys.modules["a_net.fast_layers"] = types.ModuleType("fast_layers")
    with pytest.raises(RuntimeError, match=r"a_net\.fast_layers already imported; call install\(\) before"):
        ours.install("a_net")


@pytest.mark.filterwarnings("ignore")
def test_the_course(rng, monkeypatch):
    """What the course's code can do is equal: 1e-12 of float64."""
    folder = os.environ.get("FASTCONV_CS231N")
    if not folder:
        pytest.skip("FASTCONV_CS231N does not name a folder with the course's code")
    monkeypatch.syspath_prepend(folder)
    course = pytest.importorskip("cs231n.fast_layers", reason="the course's package is not there")
    assert course is not ours
    x, w, b = (rng.standard_normal(shape) for shape in ((4, 3, 8, 8), (5, 3, 3, 3), (5,)))
    conv, pool = {"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}
    for kind in ("fast", "im2col", "strides"):
        results = []
        for module in (course, ours):
            out, cache = getattr(module, f"conv_forward_{kind}")(x, w, b, conv)
            results.append([out, *getattr(module, f"conv_backward_{kind}")(np.cos(out), cache)])
        for want, got in zip(*results, strict=True):
            within(got, want, 1e-12 * np.abs(want).max(), kind)
    results = []
    for module in (course, ours):
        out, cache = module.max_pool_forward_fast(x, pool)
        results.append([out, module.max_pool_backward_fast(np.cos(out), cache)])
        results[-1].append(module.im2col_cython(x, 3, 3, 1, 1))
    for want, got in zip(*results, strict=True):
        within(got, want, 1e-12, "pool and columns")
