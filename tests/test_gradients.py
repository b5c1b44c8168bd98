"""Gradients: exact adjoint identities and differences for what is linear, central differences for the rest
(float64)."""

import compare
import numpy as np
import pytest
from ops import OPS, widened

import fastconv

PLACES = 10  # elements of each argument whose gradient is held against a difference
with_gradient = pytest.mark.parametrize("op", [op for op in OPS if op.gradient], ids=lambda op: op.name)


def cases(op):
    small = [case for case in op.cases if not case.large]
    return small if len(small) < 80 else small[::3]


def prepared(op, case, how, seed=0):
    """(float64 arrays, f, gradients, dy) where f(arrays) is the inner product of the op's output with dy."""
    arrays = widened(op.arrays(case, how, seed, np.float64))
    y = op.function(**arrays, **case.settings)
    first = compare.results(y)[0]
    rng = np.random.default_rng(seed)
    dy = rng.integers(-4, 5, first.shape).astype(np.float64)

    def f(**changed):
        return np.sum(compare.results(op.function(**{**arrays, **changed}, **case.settings))[0] * dy)

    return arrays, f, op.gradient(fastconv.functional, arrays, case.settings, y, dy)


def places(array, seed=0):
    size = array.size
    return np.random.default_rng(seed).permutation(size)[:PLACES] if size else []


def stepped(array, place, h):
    other = array.copy()
    other.flat[place] += h
    return other


@with_gradient
def test_adjoint_identity(op):
    """For f linear in x: f(x) - f(0) = <x, gradient>, exactly, with integers."""
    for case in cases(op):
        if not op.linear or not case.exact:
            continue
        arrays, f, gradients = prepared(op, case, "integers")
        for name, gradient in gradients.items():
            if name in op.linear:
                left = f() - f(**{name: np.zeros_like(arrays[name])})
                assert left == np.sum(arrays[name] * gradient), op.repro(case, "integers", 0, "float64")


@with_gradient
def test_unit_steps_are_exact(op):
    """For f linear in x, or choosing among well separated values: f(x + e) - f(x) is the gradient's
    element."""
    if not op.linear and not op.name.startswith(("max_pool", "adaptive_max")):
        return
    how = "integers" if op.linear else "distinct"
    for case in cases(op):
        if not case.exact:
            continue
        arrays, f, gradients = prepared(op, case, how)
        for name, gradient in gradients.items():
            for place in places(arrays[name]):
                step = f(**{name: stepped(arrays[name], place, 1.0)}) - f()
                assert step == gradient.flat[place], f"{name} {place} {op.repro(case, how, 0, 'float64')}"


@with_gradient
def test_central_differences(op):
    for case in cases(op)[:: 1 if not op.linear else 4]:
        if op.name.startswith(("max_pool", "adaptive_max")):
            return
        arrays, f, gradients = prepared(op, case, "normal")
        for name, gradient in gradients.items():
            largest = max(1.0, np.abs(gradient).max(initial=0.0))
            for place in places(arrays[name]):
                h = 1e-6 * max(1.0, abs(arrays[name].flat[place]))
                up, down = (f(**{name: stepped(arrays[name], place, s)}) for s in (h, -h))
                error = abs((up - down) / (2 * h) - gradient.flat[place])
                assert error <= 1e-5 * largest, f"{name} {place} {op.repro(case, 'normal', 0, 'float64')}"


@with_gradient
def test_gradients_have_the_shape_of_their_argument(op):
    for case in cases(op):
        arrays, _, gradients = prepared(op, case, "normal")
        for name, gradient in gradients.items():
            assert gradient.shape == arrays[name].shape and gradient.dtype == arrays[name].dtype


BACKWARDS = [op for op in OPS if op.name.startswith("conv") and op.name.endswith("_backward")]


@pytest.mark.parametrize("op", BACKWARDS, ids=lambda op: op.name)
def test_needs_leaves_out_and_changes_nothing(op):
    for case in op.cases[::5]:
        arrays = op.arrays(case, "normal", 0, np.float32)
        whole = op.function(**arrays, **case.settings)
        for i in range(8):
            needs = tuple(bool(i >> k & 1) for k in range(3))
            for part, all_of_it, needed in zip(
                op.function(**arrays, **case.settings, needs=needs), whole, needs, strict=True
            ):
                assert (part is not None) == needed
                if needed:
                    compare.same_bits(part, all_of_it, op.repro(case, "normal", 0, "float32"))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_three_doors_to_a_gradient_agree(axes):
    """convNd_backward, convNd_grad_input and convNd_grad_weight give the same bits."""
    op = next(op for op in BACKWARDS if op.name == f"conv{axes}d_backward")
    f = fastconv.functional
    for case in op.cases:
        a, s = op.arrays(case, "normal", 0, np.float32), case.settings
        dx, dweight, _ = op.function(**a, **s)
        alone = getattr(f, f"conv{axes}d_grad_input")(a["dy"], a["weight"], a["x"].shape, **s)
        compare.same_bits(alone, dx, op.repro(case, "normal", 0, "float32"))
        alone = getattr(f, f"conv{axes}d_grad_weight")(a["dy"], a["x"], a["weight"].shape, **s)
        compare.same_bits(alone, dweight, op.repro(case, "normal", 0, "float32"))
