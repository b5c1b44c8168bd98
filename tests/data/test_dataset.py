"""ArrayDataset, batches and the stratified split."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from fastconv.data import ArrayDataset, RandomHorizontalFlip, batches, stratified_split


def test_batch_of_floats():
    x, y = np.arange(24.0).reshape(4, 1, 2, 3), np.array([3, 1, 0, 2], np.int8)
    data = ArrayDataset(x, y)
    assert len(data) == 4
    got_x, got_y = data.batch(np.array([2, 0]))
    np.testing.assert_array_equal(got_x, x[[2, 0]])
    assert got_y.tolist() == [0, 3]
    assert (got_x.dtype, got_y.dtype) == (np.float64, np.int64)
    got_x[...] = -1  # a batch is ours to change
    assert x.min() == 0


def test_batch_of_bytes_is_scaled():
    x = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    got, _ = ArrayDataset(x, np.zeros(4, int)).batch([0, 1, 2, 3])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got.ravel(), (np.arange(256) / 255.0).astype(np.float32))
    assert x.dtype == np.uint8


def test_targets_may_be_numbers():
    y = np.array([[0.5, 1.0]], np.float32)
    assert ArrayDataset(np.zeros((1, 2), np.float32), y).batch([0])[1].dtype == np.float32


def test_empty_batch():
    x, y = ArrayDataset(np.zeros((3, 1, 2, 2), np.float32), [0, 1, 2]).batch([])
    assert (x.shape, y.shape) == ((0, 1, 2, 2), (0,))


def test_odd_layouts():
    x = np.asfortranarray(np.arange(24.0, dtype=">f8").reshape(4, 1, 2, 3))[::-1]
    x.flags.writeable = False
    got, _ = ArrayDataset(x, np.arange(4)).batch([1])
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, x[[1]])


def test_transform_gets_the_generator():
    x = np.arange(6.0).reshape(2, 1, 1, 3)
    data = ArrayDataset(x, [0, 1], transform=RandomHorizontalFlip(1.0))
    np.testing.assert_array_equal(data.batch([1], np.random.default_rng(0))[0], x[[1], ..., ::-1])
    with pytest.raises(TypeError, match=r"RandomHorizontalFlip: generator must be a numpy\.random\.Generator"):
        data.batch([1])


@pytest.mark.parametrize(
    ("x", "y", "error", "text"),
    [
        (np.zeros((3, 2)), np.zeros(2, int), ValueError, "same first dimension"),
        (np.float32(1), np.zeros(1, int), ValueError, "same first dimension"),
        (np.zeros((2, 2), np.float16), [0, 1], TypeError, "float16; use x.astype"),
        (np.zeros((2, 2), np.int64), [0, 1], TypeError, "float32, float64 or uint8, got int64"),
        (np.zeros((2, 2)), [True, False], TypeError, "y must be integers"),
        (np.zeros((2, 2)), ["a", "b"], TypeError, "y must be integers"),
        (np.ma.zeros((2, 2)), [0, 1], TypeError, "masked"),
    ],
)
def test_bad_arrays(x, y, error, text):
    with pytest.raises(error, match=f"ArrayDataset: .*{text}"):
        ArrayDataset(x, y)


def test_bad_transform():
    with pytest.raises(TypeError, match="transform must be callable, got 3"):
        ArrayDataset(np.zeros((1, 1)), [0], transform=3)


@pytest.mark.parametrize(
    ("indices", "error", "text"),
    [
        ([3], ValueError, "from 0 to 2, got 3"),
        ([0, -1], ValueError, "from 0 to 2, got -1"),
        (np.array([2**64 - 1], np.uint64), ValueError, "got 18446744073709551615"),
        ([[0]], ValueError, "1 dimension, got 2"),
        (1, ValueError, "1 dimension, got 0"),
        ([True, False, True], TypeError, "integers, got bool"),
        ([0.0], TypeError, "integers, got float64"),
    ],
)
def test_bad_indices(indices, error, text):
    data = ArrayDataset(np.zeros((3, 1)), np.zeros(3, int))
    with pytest.raises(error, match=f"ArrayDataset.batch: indices must .*{text}"):
        data.batch(indices)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("n", "size"), [(0, 3), (1, 3), (9, 3), (10, 3), (10, 100)])
def test_every_index_once(n, size, shuffle):
    parts = list(batches(n, size, np.random.default_rng(0), shuffle))
    assert [len(part) for part in parts] == [min(size, n - start) for start in range(0, n, size)]
    assert sorted(np.concatenate([*parts, np.empty(0, int)]).tolist()) == list(range(n))
    assert all(part.dtype == np.int64 for part in parts)


def test_drop_last():
    assert [len(part) for part in batches(10, 4, drop_last=True)] == [4, 4]
    assert list(batches(3, 4, drop_last=True)) == []
    assert [len(part) for part in batches(8, 4, drop_last=True)] == [4, 4]


def test_order_comes_from_the_generator_alone():
    first, second = np.random.default_rng(7), np.random.default_rng(7)
    for _ in range(2):  # two epochs, each of another order
        one = np.concatenate(list(batches(50, 8, first)))
        np.random.seed(0)
        two = np.concatenate(list(batches(50, 8, second)))
        np.testing.assert_array_equal(one, two)
    assert first.bit_generator.state == second.bit_generator.state
    epochs = [np.concatenate(list(batches(50, 8, first))).tolist() for _ in range(2)]
    assert epochs[0] != epochs[1]


def test_order_is_drawn_at_the_call():
    """So that an epoch left half-way does not depend on who else draws meanwhile."""
    rng = np.random.default_rng(3)
    order = batches(20, 5, rng)
    rng.random(100)
    again = batches(20, 5, np.random.default_rng(3))
    np.testing.assert_array_equal(np.concatenate(list(order)), np.concatenate(list(again)))


def test_without_shuffle_nothing_is_drawn():
    rng = np.random.default_rng(3)
    assert [part.tolist() for part in batches(5, 2, rng, shuffle=False)] == [[0, 1], [2, 3], [4]]
    assert rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((-1, 2), ValueError, "n must be at least 0, got -1"),
        ((5, 0), ValueError, "batch_size must be at least 1, got 0"),
        ((5, 2.0), TypeError, "batch_size must be an integer, got 2.0"),
        ((5, True), TypeError, "batch_size must be an integer, got True"),
        ((None, 2), TypeError, "n must be an integer"),
        ((5, 2, np.random.RandomState(0)), TypeError, "generator must be a numpy.random.Generator"),
        ((5, 2, 0), TypeError, "generator must be a numpy.random.Generator"),
    ],
)
def test_bad_arguments_are_told_at_the_call(arguments, error, text):
    with pytest.raises(error, match=f"batches: {text}"):
        batches(*arguments)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_split_keeps_the_share_of_each_class(fraction):
    labels = np.repeat([5, 0, 9, 2], [40, 2, 7, 1])
    train, test = stratified_split(labels, fraction)
    assert sorted([*train, *test]) == list(range(50))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    in_train, in_test = Counter(labels[train].tolist()), Counter(labels[test].tolist())
    for label, count in ((5, 40), (0, 2), (9, 7)):
        assert abs(in_test[label] - count * fraction) <= 1
        assert in_train[label] >= 1
        assert in_test[label] >= 1
    assert in_test[2] == 0


def test_split_depends_on_the_seed_and_never_changes():
    labels = np.arange(1000) % 10
    digests = [hashlib.sha256(stratified_split(labels, 0.2, seed)[1].astype("<i8")).hexdigest()[:16] for seed in (0, 1)]
    assert digests == ["36349ecc35e53481", "fa77585c547051a3"]


@pytest.mark.parametrize(
    ("labels", "fraction", "seed", "error", "text"),
    [
        ([0.0, 1.0], 0.2, 0, TypeError, "labels must be 1-d integers"),
        ([[0, 1]], 0.2, 0, TypeError, "labels must be 1-d integers"),
        ([0, 0], 0, 0, ValueError, "test_fraction must be between 0 and 1"),
        ([0, 0], 1.0, 0, ValueError, "test_fraction must be between 0 and 1"),
        ([0, 0], float("nan"), 0, ValueError, "test_fraction must be between 0 and 1"),
        ([0, 0], "0.2", 0, TypeError, "test_fraction must be a number"),
        ([0, 0], 0.2, -1, ValueError, "seed must be at least 0"),
        ([0, 1, 2], 0.2, 0, ValueError, "at least 2 samples"),
        (np.empty(0, int), 0.2, 0, ValueError, "at least 2 samples"),
    ],
)
def test_bad_splits(labels, fraction, seed, error, text):
    with pytest.raises(error, match=f"stratified_split: .*{text}"):
        stratified_split(labels, fraction, seed)
