"""Transforms of batches: right values, untouched inputs, and nothing random but from the generator."""

import pickle

import numpy as np
import pytest

from fastconv.data import (
    ArrayDataset,
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    channel_mean_std,
)

ALL = [
    RandomHorizontalFlip(),
    RandomCrop(6, padding=2),
    RandomCrop((3, 4)),
    CenterCrop((5, 4)),
    Normalize((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)),
    Compose([RandomCrop(8, 1), RandomHorizontalFlip(), Normalize(0.5, 0.25)]),
]


@pytest.fixture
def x():
    return np.random.default_rng(0).random((7, 3, 8, 9), np.float32)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_inputs_stay_and_outputs_are_new(transform, x, dtype):
    x = np.asfortranarray(x.astype(dtype))
    before = x.copy()
    x.flags.writeable = False
    y = transform(x, np.random.default_rng(1))
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(x, y)
    assert y.dtype == x.dtype.newbyteorder("=")
    assert y.flags.c_contiguous
    assert y.flags.writeable
    plain = transform(before.astype(y.dtype), np.random.default_rng(1))
    np.testing.assert_array_equal(y, plain)


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_the_generator_decides(transform, x):
    first, second = np.random.default_rng(5), np.random.default_rng(5)
    state = None
    for _ in range(3):
        state = first.bit_generator.state
        np.testing.assert_array_equal(transform(x, first), transform(x, second))
    third = np.random.default_rng()
    third.bit_generator.state = state  # resumed in the middle
    again = np.random.default_rng(5)
    for _ in range(2):
        transform(x, again)
    np.testing.assert_array_equal(transform(x, third), transform(x, again))


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_empty_batch(transform, x):
    y = transform(x[:0], np.random.default_rng(0))
    assert y.shape == (0, *transform(x, np.random.default_rng(0)).shape[1:])


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_survives_pickling(transform, x):
    again = pickle.loads(pickle.dumps(transform))
    assert repr(again) == repr(transform)
    np.testing.assert_array_equal(again(x, np.random.default_rng(0)), transform(x, np.random.default_rng(0)))


def test_flip(x):
    y = RandomHorizontalFlip(0.5)(np.repeat(x, 100, axis=0), np.random.default_rng(0))
    same, mirrored = 0, 0
    for source, result in zip(np.repeat(x, 100, axis=0), y, strict=True):
        same += np.array_equal(result, source)
        mirrored += np.array_equal(result, source[:, :, ::-1])
    assert same + mirrored == 700
    assert 300 < same < 400
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(x, np.random.default_rng(0)), x)
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(x, np.random.default_rng(0)), x[..., ::-1])


def test_random_crop_is_a_window_of_the_padded_picture(x):
    y = RandomCrop((8, 9), padding=(1, 2))(x, np.random.default_rng(0))
    assert y.shape == x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    places = set()
    for picture, result in zip(padded, y, strict=True):
        found = [
            (top, left)
            for top in range(3)
            for left in range(5)
            if np.array_equal(picture[:, top : top + 8, left : left + 9], result)
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 3


def test_random_crop_reaches_every_place():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    y = RandomCrop(2)(np.repeat(x, 200, axis=0), np.random.default_rng(0))
    assert set(y[:, 0, 0, 0].tolist()) == {0, 1, 3, 4}


def test_center_crop(x):
    np.testing.assert_array_equal(CenterCrop(4)(x), x[:, :, 2:6, 2:6])
    np.testing.assert_array_equal(CenterCrop((8, 9))(x), x)


def test_normalize(x):
    y = Normalize([0.1, 0.2, 0.3], np.array([1, 2, 4]))(x)
    for c, (mean, std) in enumerate([(0.1, 1), (0.2, 2), (0.3, 4)]):
        expected = (x[:, c] - np.float32(mean)) / np.float32(std)
        np.testing.assert_array_equal(y[:, c], expected)
    np.testing.assert_array_equal(Normalize(0.5, 2)(x), (x - np.float32(0.5)) / np.float32(2))
    assert repr(Normalize(np.float32(0.5), [2, 3])) == "Normalize(mean=0.5, std=(2.0, 3.0))"
    assert Normalize((1, 2), 3) == Normalize([1.0, 2.0], 3.0)


@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_channel_mean_std(x, batch_size):
    x = x + np.array([0, 1000, -5], np.float32).reshape(3, 1, 1)  # a large mean must not spoil the deviation
    for data in (x, ArrayDataset(x, np.zeros(7, int))):
        mean, std = channel_mean_std(data, batch_size)
        assert mean.dtype == std.dtype == np.float64
        np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-12)
        np.testing.assert_allclose(std, x.astype(np.float64).std(axis=(0, 2, 3)), rtol=1e-9)
    y = Normalize(mean, std)(x.astype(np.float64))
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-9)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-9)


def test_channel_mean_std_of_bytes():
    x = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    assert [v.tolist() for v in channel_mean_std(x)] == [[0.5], [0.5]]
    assert [v.tolist() for v in channel_mean_std(ArrayDataset(x, [0, 0]))] == [[0.5], [0.5]]


def test_channel_mean_std_refuses_nothing():
    with pytest.raises(ValueError, match="channel_mean_std: data must hold at least one picture"):
        channel_mean_std(np.zeros((0, 1, 2, 2)))
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        channel_mean_std(np.zeros((1, 1, 2, 2)), 0)


@pytest.mark.parametrize("transform", ALL[:-1], ids=repr)
def test_bad_pictures(transform):
    name, rng = type(transform).__name__, np.random.default_rng(0)
    with pytest.raises(ValueError, match=rf"{name}: x must have 4 dimensions \(N, C, H, W\), got 3"):
        transform(np.zeros((3, 8, 8)), rng)
    with pytest.raises(TypeError, match=f"{name}: x must be float32 or float64, got uint8"):
        transform(np.zeros((1, 3, 8, 8), np.uint8), rng)
    with pytest.raises(TypeError, match=f"{name}: x is a masked array"):
        transform(np.ma.zeros((1, 3, 8, 8)), rng)


@pytest.mark.parametrize("transform", [RandomHorizontalFlip(), RandomCrop(2), Compose([RandomCrop(2)])], ids=repr)
def test_random_ones_need_a_generator(transform):
    for generator in (None, 0, np.random):
        with pytest.raises(TypeError, match=r"generator must be a numpy\.random\.Generator"):
            transform(np.zeros((1, 1, 4, 4)), generator)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: RandomHorizontalFlip(1.5), ValueError, "p must be from 0 to 1, got 1.5"),
        (lambda: RandomHorizontalFlip("x"), TypeError, "p must be a number"),
        (lambda: RandomCrop(0), ValueError, "size must be at least 1, got 0"),
        (lambda: RandomCrop(3, -1), ValueError, "padding must be at least 0, got -1"),
        (lambda: RandomCrop((1, 2, 3)), ValueError, "size must be an integer or"),
        (lambda: CenterCrop(2.5), TypeError, "size must be an integer, got 2.5"),
        (lambda: Normalize(0.0, 0.0), ValueError, "std must be positive"),
        (lambda: Normalize(0.0, [1, -1]), ValueError, "std must be positive"),
        (lambda: Normalize(float("nan"), 1.0), ValueError, "mean must be finite"),
        (lambda: Normalize([], 1.0), TypeError, "mean must be a number or one number a channel"),
        (lambda: Normalize("a", 1.0), TypeError, "mean must be a number or one number a channel"),
        (lambda: Compose([3]), TypeError, "every transform must be callable, got 3"),
    ],
)
def test_bad_settings(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_sizes_that_do_not_fit(x):
    with pytest.raises(ValueError, match=r"RandomCrop: size \(12, 12\) is larger than the padded picture \(10, 11\)"):
        RandomCrop(12, padding=1)(x, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"CenterCrop: size \(9, 9\) is larger than the picture \(8, 9\)"):
        CenterCrop(9)(x)
    with pytest.raises(ValueError, match="Normalize: mean has 2 channels, x has 3"):
        Normalize((0.0, 0.0), 1.0)(x)
