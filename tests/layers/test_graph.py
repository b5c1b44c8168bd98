"""Graph: wiring, several inputs and outputs, what it frees, and that working in place changes no bit."""

import weakref

import numpy as np
import pytest

from fastconv import layers as L


def arrays(*shapes, dtype=np.float32):
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: L.Graph([]), "at least one node"),
        (lambda: L.Graph([("a", L.ReLU(), "b")]), "node 'a' reads 'b', which is no node and no input"),
        (lambda: L.Graph([("a", L.ReLU(), "x"), ("a", L.ReLU(), "x")]), "name 'a' is given twice"),
        (lambda: L.Graph([("x", L.ReLU(), "x")]), "name 'x' is given twice"),
        (lambda: L.Graph([("a", L.ReLU(), "a")]), "cycle a -> a"),
        (
            lambda: L.Graph([("a", L.Add(), ("x", "c")), ("b", L.ReLU(), "a"), ("c", L.ReLU(), "b")]),
            "cycle .* -> .* -> .* -> ",
        ),
        (lambda: L.Graph([("a", L.ReLU(), "x")], outputs="b"), "output 'b' is no node"),
        (lambda: L.Graph([("a", L.ReLU(), "x")], outputs=()), "outputs: expected at least one name"),
        (lambda: L.Graph([("a", L.ReLU(), "x")], outputs=("a", "a")), "none twice"),
        (lambda: L.Graph([("a", L.ReLU(), "x")], inputs=("x", "x")), "none twice"),
        (lambda: L.Graph([("a", L.ReLU(), ("x", "x"))]), r"reads 2 arrays, ReLU takes 1"),
        (lambda: L.Graph([("a", L.Sub(), "x")]), r"reads 1 arrays, Sub takes 2"),
        (lambda: L.Graph([("a", L.Constant((1,)), "x")]), r"reads 1 arrays, Constant takes 0"),
        (lambda: L.Graph([("a", two_heads(), "x")]), "node 'a' gives 2 arrays"),
        (lambda: L.Graph([("a", 3, "x")]), "expected layers, got 3"),
        (lambda: L.Graph([("", L.ReLU(), "x")]), "the name of a node is text"),
        (lambda: L.Graph([(None, L.ReLU(), "x")]), "the name of a node is text"),
        (lambda: L.Graph([("a", L.ReLU(), 3)]), "expected names, got 3"),
        (lambda: L.Graph([("a", L.ReLU())]), "a node is"),
        (
            lambda: L.Graph([("a", L.Sequential({"b": L.Linear(1, 1)}), "x"), ("a.b", L.Linear(1, 1), "a")]),
            "several weights have the name 'a.b.weight'",
        ),
    ],
)
def test_wrong_wiring(build, error):
    with pytest.raises((ValueError, TypeError), match=error):
        build()


def two_heads():
    generator = np.random.default_rng(1)
    return L.Graph(
        [
            ("trunk", L.Linear(4, 3, generator=generator), "x"),
            ("one", L.Tanh(), "trunk"),
            ("two", L.Linear(3, 2, generator=generator), "trunk"),
        ],
        outputs=("two", "one"),
    )


def test_several_outputs_and_their_gradients():
    model, (x,) = two_heads(), arrays((5, 4))
    (two, one), back = model.forward(x)
    again = model(x)
    np.testing.assert_array_equal(again[0], two)
    np.testing.assert_array_equal(again[1], one)
    both = back((np.ones_like(two), np.ones_like(one)))
    parts = back((np.ones_like(two), None)) + back((None, np.ones_like(one)))
    np.testing.assert_allclose(both, parts, rtol=1e-5)
    assert not back((None, None)).any()
    with pytest.raises(ValueError, match=r"a tuple of 2 gradients \(two, one\)"):
        back(np.ones_like(two))


def test_several_inputs_and_their_gradients():
    model = L.Graph([("product", L.Mul(), ("a", "b"))], inputs=("a", "b", "unused"))
    a, b, c = arrays((2, 3), (2, 3), (1, 1))
    y, back = model.forward(a, b, c)
    np.testing.assert_array_equal(y, a * b)
    da, db, dc = back(np.ones_like(y))
    np.testing.assert_array_equal(da, b)
    np.testing.assert_array_equal(db, a)
    assert dc.shape == (1, 1) and not dc.any()
    assert back(y, needs_input=False) is None
    with pytest.raises(TypeError, match=r"expected 3 arrays \(a, b, unused\), got 1"):
        model(a)


def test_a_graph_is_a_node_of_another():
    inner = L.Graph([("sum", L.Add(), ("left", "right"))], inputs=("left", "right"))
    model = L.Graph([("relu", L.ReLU(), "x"), ("inner", inner, ("relu", "x"))])
    (x,) = arrays((3, 4))
    np.testing.assert_array_equal(model(x), np.maximum(x, 0) + x)
    y, back = model.forward(x)
    np.testing.assert_array_equal(back(np.ones_like(y)), (x > 0) + np.float32(1))


def test_weights_are_named_by_node_and_errors_name_the_node():
    block = L.Graph([("conv1", L.Conv2d(3, 3, 1), "x"), ("layer.0.fc", L.Sequential(L.Linear(2, 2)), "conv1")])
    model = L.Sequential({"block": block})
    names = ["block.conv1.weight", "block.conv1.bias", "block.layer.0.fc.0.weight", "block.layer.0.fc.0.bias"]
    assert list(model.state_dict()) == names
    with pytest.raises(ValueError, match=r"^layer block\.conv1, Conv2d\("):
        model(np.ones((1, 4, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"^layer block\.sum, Add.*\(1, 2\), \(1, 3\)"):
        L.Sequential({"block": L.Graph([("a", L.Slice(0, 2), "x"), ("sum", L.Add(), ("a", "x"))])})(
            np.ones((1, 3), np.float32)
        )


def test_nodes_can_be_shared_with_a_graph_of_other_outputs():
    model, (x,) = two_heads(), arrays((5, 4))
    trunk = L.Graph(model.nodes, outputs="trunk")
    np.testing.assert_array_equal(np.tanh(trunk(x)), model(x)[1])
    assert trunk["trunk"] is model["trunk"]


def test_what_no_output_needs_is_not_computed():
    model = L.Graph([("fits", L.Linear(4, 2), "x"), ("would.fail", L.Conv2d(1, 1, 1), "fits")], outputs="fits")
    (x,) = arrays((5, 4))
    assert model(x).shape == (5, 2)
    y, back = model.forward(x)
    back(y)
    assert model["would.fail"].weight.grad is None


class Watch(L.Layer):
    """x + 1, noting how many of its results of all calls are alive when it runs."""

    result = "new"

    def __init__(self, alive):
        self.alive = alive

    def __call__(self, x):
        y = x + 1
        self.alive.counts.append(sum(reference() is not None for reference in self.alive.references))
        self.alive.references.append(weakref.ref(y))
        return y


class Alive:
    def __init__(self):
        self.references, self.counts = [], []


def test_inference_frees_an_activation_when_its_last_reader_ran():
    alive = Alive()
    nodes = [("n0", Watch(alive), "x")]
    nodes += [(f"n{i}", Watch(alive), f"n{i - 1}") for i in range(1, 6)]
    model = L.Graph([*nodes, ("sum", L.Add(), ("n5", "n1"))])
    (x,) = arrays((2, 2))
    np.testing.assert_allclose(model(x), 2 * x + 8, rtol=1e-6)
    # one that is read, and from n2 on also n1, which the sum reads
    assert alive.counts == [0, 1, 1, 2, 2, 2]


def test_nobody_overwrites_what_another_node_reads():
    """Each activation has a result that something else reads as well: the same bits as out of place."""
    for second in (L.Identity(), L.Flatten(), L.ReLU(), L.Slice(0, 1)):
        model = L.Graph(
            [
                ("conv", L.Linear(4, 4, bias=False), "x"),
                ("view", second, "conv"),
                ("tanh", L.Tanh(), "conv"),
                ("relu", L.ReLU(), "view"),
            ],
            outputs=("tanh", "relu", "conv", "view"),
        )
        (x,) = arrays((3, 4))
        conv = model["conv"](x)
        view = second(conv)
        for results in (model(x), model.forward(x)[0]):
            for ours, expected in zip(results, (np.tanh(conv), np.maximum(view, 0), conv, view), strict=True):
                np.testing.assert_array_equal(ours, expected)


def test_inference_leaves_its_input_alone_before_an_activation_whatever_the_mode():
    """Dropout in training mode hands x itself on in inference, and ReLU once overwrote it."""
    for model in (
        L.Sequential(L.Dropout(), L.ReLU()),
        L.Graph([("a", L.Dropout(), "x"), ("b", L.ReLU(), "a")]),
    ):
        x = np.full((2, 3), -1, np.float32)
        model(x)
        assert (x == -1).all()


def test_activations_after_views_with_gaps():
    """Permute of a new array is free, but no function can write into it."""
    model = L.Sequential(L.Conv2d(2, 3, 1), L.Permute((0, 2, 3, 1)), L.Slice(0, 2), L.ReLU(), L.Residual(L.Identity()))
    (x,) = arrays((2, 2, 4, 5))
    expected = np.maximum(model[0](x).transpose(0, 2, 3, 1)[:, :2], 0) * 2
    np.testing.assert_array_equal(model(x), expected)
    y, back = model.forward(x)
    assert back(y).shape == x.shape


def test_joins_in_place_give_the_same_bits():
    a, b, c = arrays((2, 3), (2, 3), (2, 3))
    for kind in (L.Add, L.Mul):
        expected = kind()(a, b, c)
        for position in range(3):
            xs = [a.copy(), b.copy(), c.copy()]
            np.testing.assert_array_equal(kind()(*xs, out=xs[position]), expected)
    left, right = a.copy(), b.copy()
    assert L.Sub()(left, b, out=left) is left and L.Sub()(a, right, out=right) is right
    np.testing.assert_array_equal(left, right)
    row = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(L.Add()(row, a, out=row), a + 1)
    assert (row == 1).all()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: L.Add()(), "at least one array"),
        (lambda x: L.Add()(x, x.astype(np.float64)), "one dtype, got float32, float64"),
        (lambda x: L.Mul()(x, x[:, :2]), r"Mul: shapes do not fit each other: \(2, 3\), \(2, 2\)"),
        (lambda x: L.Cat()(x, x[:1]), r"Cat: shapes do not fit along dim 1: \(2, 3\), \(1, 3\)"),
        (lambda x: L.Reshape((4, -1))(x), r"Reshape: shape \(4, -1\) does not fit x of shape \(2, 3\)"),
        (lambda x: L.Reshape((0, 0, 0))(x), "does not fit"),
        (lambda x: L.Reshape((-1, -1)), "only one size"),
        (lambda x: L.Reshape(3), "tuple of sizes"),
        (lambda x: L.Permute((0, 2)), "axes 0, 1"),
        (lambda x: L.Permute((0, 2, 1))(x), "do not fit x of shape"),
        (lambda x: L.Slice(3)(x), "nothing of x"),
        (lambda x: L.Slice(dim=2)(x), "nothing of x"),
        (lambda x: L.Slice(step=0), "step must be at least 1"),
        (lambda x: L.Pad(1), "pairs"),
        (lambda x: L.Pad(((1, -1),)), "at least 0"),
        (lambda x: L.Pad(((1, 1),) * 3)(x), "3 pairs do not fit"),
    ],
)
def test_arrays_and_arguments_that_do_not_fit(call, error):
    with pytest.raises((ValueError, TypeError), match=error):
        call(arrays((2, 3))[0])


def test_an_empty_batch_passes():
    assert L.Reshape((0, 2, -1))(np.empty((0, 6), np.float32)).shape == (0, 2, 3)
    model = L.Graph([("cat", L.Cat(), ("x", "x")), ("pad", L.Pad(((1, 1),)), "cat")])
    assert model(np.empty((0, 4), np.float32)).shape == (0, 10)


def test_a_long_chain_needs_no_deep_stack():
    nodes = [("n0", L.Identity(), "x")] + [(f"n{i}", L.Identity(), f"n{i - 1}") for i in range(1, 5000)]
    model = L.Graph(reversed(nodes), outputs="n4999")
    (x,) = arrays((1,))
    assert model(x) is x or np.array_equal(model(x), x)
