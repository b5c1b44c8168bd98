"""Darknet's .weights: the order of its arrays, every length but the right one, headers that lie."""

import os
import struct

import numpy as np
import pytest
from darknet_files import seed_weights

import fastconv
from fastconv import layers as L
from fastconv.formats import FormatError
from fastconv.formats.darknet import load_darknet
from fastconv.formats.darknet_weights import read_darknet_weights, write_darknet_weights

CFG = (
    "[net]\nwidth=4\nheight=4\nchannels=2\n"
    "[convolutional]\nfilters=3\nsize=3\nbatch_normalize=1\nactivation=leaky\n"
    "[convolutional]\nfilters=4\nactivation=linear\n"
    "[connected]\noutput=5\nbatch_normalize=1\nactivation=linear\n"
    "[connected]\noutput=2\nactivation=linear\n"
)
# 3 + 3 + 3 + 3 + 3 * 2 * 9, 4 + 4 * 3, 5 + 5 * 16 + 15, 2 + 2 * 5
COUNT = 66 + 16 + 100 + 12


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text(CFG)
    return path


def write(path, numbers, header=(0, 2, 0), seen=("<q", 7)):
    path.write_bytes(struct.pack("<3i", *header) + struct.pack(*seen) + np.asarray(numbers, "<f4").tobytes())
    return path


NUMBERS = np.arange(1, COUNT + 1, dtype=np.float32)


def test_the_order(cfg, tmp_path):
    """bias, scale, mean, variance, weights; of fully connected layers the weights before the scale."""
    model = fastconv.load(cfg, weights=write(tmp_path / "w", NUMBERS))
    conv, norm = model["0"]["conv"], model["0"]["norm"]
    assert norm.bias.data.tolist() == [1, 2, 3] and norm.weight.data.tolist() == [4, 5, 6]
    assert norm.running_mean.tolist() == [7, 8, 9] and norm.running_var.tolist() == [10, 11, 12]
    np.testing.assert_array_equal(conv.weight.data, np.arange(13, 67).reshape(3, 2, 3, 3))
    assert model["1"]["conv"].bias.data.tolist() == [67, 68, 69, 70]
    linear, norm = model["2"]["linear"], model["2"]["norm"]
    assert norm.bias.data.tolist() == [83, 84, 85, 86, 87]
    np.testing.assert_array_equal(linear.weight.data, np.arange(88, 168).reshape(5, 16))
    assert norm.weight.data[0] == 168 and norm.running_mean[0] == 173 and norm.running_var[0] == 178
    np.testing.assert_array_equal(model["3"]["linear"].weight.data, np.arange(185, 195).reshape(2, 5))


def test_versions(cfg, tmp_path):
    """Before 0.2 `seen` has 4 bytes; with 1000 in the version the matrices of [connected] are transposed."""
    model = load_darknet(cfg)
    assert read_darknet_weights(write(tmp_path / "w", NUMBERS), model) == 7
    assert read_darknet_weights(write(tmp_path / "w", NUMBERS, (0, 1, 0), ("<i", 9)), model) == 9
    assert read_darknet_weights(write(tmp_path / "w", NUMBERS, (0, 1002, 0), ("<i", 9)), model) == 9
    np.testing.assert_array_equal(model["3"]["linear"].weight.data, np.arange(185, 195).reshape(5, 2).T)
    np.testing.assert_array_equal(model["1"]["conv"].weight.data[:, :, 0, 0], np.arange(71, 83).reshape(4, 3))


def test_written_files_come_back(cfg, tmp_path):
    model = seed_weights(load_darknet(cfg))
    write_darknet_weights(model, tmp_path / "w", seen=3)
    again = load_darknet(cfg)
    assert read_darknet_weights(tmp_path / "w", again) == 3
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array, err_msg=name)
    x = np.random.default_rng(0).normal(size=(2, 2, 4, 4)).astype(np.float32)
    y, back = again.forward(x)  # and the arrays can be trained
    back(np.ones_like(y))


def test_every_other_length_is_refused(cfg, tmp_path):
    model = load_darknet(cfg)
    before = model.state_dict()
    whole = write(tmp_path / "w", NUMBERS).read_bytes()
    for length in [*range(len(whole)), len(whole) + 1, len(whole) + 4, 2 * len(whole)]:
        (tmp_path / "w").write_bytes((whole * 2)[:length])
        with pytest.raises(FormatError):
            read_darknet_weights(tmp_path / "w", model)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_memory_is_not_taken_for_what_is_not_there(tmp_path):
    """A .cfg may describe 1 GB of weights; with a file of 20 bytes none of them is made."""
    import tracemalloc

    (tmp_path / "a.cfg").write_text("[net]\nwidth=64\nheight=64\n[connected]\noutput=20000\nactivation=linear\n")
    write(tmp_path / "w", [])
    tracemalloc.start()
    with pytest.raises(FormatError, match="expected 983120020 bytes"):
        fastconv.load(tmp_path / "a.cfg", weights=tmp_path / "w")
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "header", [(-1, 2, 0), (0, 21, 0), (999, 0, 0), (2**31 - 1, 0, 0), (0, -(2**31), 0), (0, 2, -1), (0, 2000, 0)]
)
def test_absurd_headers(cfg, tmp_path, header):
    with pytest.raises(FormatError, match=r"byte \d"):
        fastconv.load(cfg, weights=write(tmp_path / "w", NUMBERS, header))
    with pytest.raises(FormatError):
        fastconv.load(cfg, weights=write(tmp_path / "w", NUMBERS, seen=("<q", -1)))


def test_weights_that_are_not_finite_are_read_and_said(cfg, tmp_path):
    numbers = NUMBERS.copy()
    numbers[[5, 70]] = np.nan, np.inf
    with pytest.warns(RuntimeWarning, match="2 weights are NaN or infinite"):
        model = fastconv.load(cfg, weights=write(tmp_path / "w", numbers))
    assert np.isnan(model["0"]["norm"].weight.data[2])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_only_regular_files(cfg, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(FormatError, match="expected a regular file"):
            fastconv.load(cfg, weights=path)
        with pytest.raises(FormatError, match="expected a regular file"):
            load_darknet(path)


def test_mutations_of_the_header(cfg, tmp_path):
    """Any byte of the header set to anything: weights, or a FormatError."""
    whole = bytearray(write(tmp_path / "w", NUMBERS).read_bytes())
    model, results = load_darknet(cfg), set()
    generator = np.random.default_rng(6)
    for _ in range(1500):
        mutated = whole.copy()
        for at in generator.integers(0, 20, generator.integers(1, 4)):
            mutated[at] = generator.choice([0, 1, 2, 127, 128, 255, generator.integers(256)])
        (tmp_path / "w").write_bytes(mutated)
        try:
            results.add(read_darknet_weights(tmp_path / "w", model) >= 0)
        except FormatError:
            results.add(None)
    assert results == {True, None}


def test_models_that_no_such_file_can_hold(tmp_path):
    for model, words in (
        (L.Sequential(L.Conv2d(1, 1, 1, bias=False)), "Conv2d"),
        (L.Sequential(L.Conv2d(1, 1, 1), L.BatchNorm2d(1)), "Conv2d"),
        (L.Sequential(L.BatchNorm2d(1)), "BatchNorm2d"),
        (L.Sequential(L.ConvTranspose2d(1, 1, 1)), "ConvTranspose2d"),
        (L.Sequential(L.Conv2d(1, 1, 1, bias=False), L.BatchNorm2d(1, track_running_stats=False)), "statistics"),
    ):
        with pytest.raises(ValueError, match=words):
            write_darknet_weights(model, tmp_path / "w")
    with pytest.raises(TypeError, match="float32"):
        write_darknet_weights(L.Conv2d(1, 1, 1).astype(np.float64), tmp_path / "w")
    assert not (tmp_path / "w").exists()
