"""The fully connected layer and its gradients in plain NumPy. It never calls a kernel."""

from . import _arguments as read


def linear(x, weight, bias=None, *, out=None):
    """x (N, in) times weight (out, in) transposed, plus bias (out,)."""
    a, w = _operands(x, weight)
    y = a @ w.T
    if bias is not None:
        y = y + read.vector(bias, "bias", w.shape[0], a.dtype)
    return read.deliver(y, out=out)


def linear_backward(dy, x, weight, *, needs=(True, True, True)):
    """Gradients (dx, dweight, dbias) of linear; None where not needed."""
    a, w = _operands(x, weight)
    d = read.array(dy, "dy", 2)
    read.alike(a.dtype, d, "dy")
    read.expect(d, "dy", (a.shape[0], w.shape[0]))
    need_x, need_weight, need_bias = needs
    return d @ w if need_x else None, d.T @ a if need_weight else None, d.sum(axis=0) if need_bias else None


def _operands(x, weight):
    a, w = read.array(x, "x", 2), read.array(weight, "weight", 2)
    read.alike(a.dtype, w, "weight")
    if 0 in w.shape or a.shape[1] != w.shape[1]:
        raise ValueError(f"weight: expected (out, {a.shape[1]}), got shape {w.shape}")
    return a, w
