"""Calls of an optimized model: bad inputs, threads, memory, profile and summary."""

import re
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from network_list import built

import fastconv
from fastconv import _kernels, plots
from fastconv import layers as L
from fastconv.inference import profile


@pytest.fixture(scope="module")
def fast():
    return fastconv.optimize(built("resnet18", 5), (2, 3, 32, 32))


def image(batch=2, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, 3, 32, 32), np.float32)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    (
        (image(3), ValueError, "batch size 3; planned for at most 2"),
        (image().astype(np.float64), TypeError, "x has dtype float64; the model's is float32"),
        (image()[:, :2], ValueError, r"x has shape \(2, 2, 32, 32\); planned for \(2, 3, 32, 32\)"),
        (image()[0], ValueError, "x has shape"),
        (np.float32(1), ValueError, "x has shape"),
        ("picture", (TypeError, ValueError), "x"),
    ),
)
def test_bad_inputs(fast, x, error, words):
    with pytest.raises(error, match=words):
        fast(x)


def test_a_wrong_number_of_inputs(fast):
    with pytest.raises(TypeError, match="expected 1 arrays, got 2"):
        fast(image(), image())
    both = fastconv.optimize(L.Graph([("sum", L.Add(), ("a", "b"))], inputs=("a", "b")), [(2, 3), (2, 3)])
    with pytest.raises(ValueError, match="batch sizes"):
        both(np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float32))


def test_a_network_that_fixes_its_batch():
    model = L.Sequential(L.Flatten(), L.Reshape((1, -1)))
    fast = fastconv.optimize(model, (2, 3, 4, 4))
    x = np.random.default_rng(0).random((2, 3, 4, 4), np.float32)
    np.testing.assert_array_equal(fast(x), model(x))
    with pytest.raises(ValueError, match="the model fixes it at 2"):
        fast(x[:1])


def test_strides_byte_order_and_read_only(fast):
    x = image()
    expected = fast(x)
    big = x.astype(">f4")
    apart = np.zeros((4, 3, 32, 64), np.float32)[::2, :, :, ::2]
    apart[...] = x
    locked = x.copy()
    locked.flags.writeable = False
    for given in (big, apart, locked, x.transpose(2, 3, 1, 0).copy().transpose(3, 2, 0, 1)):
        np.testing.assert_array_equal(fast(given), expected)


def test_results_are_new_and_the_same_bits(fast):
    first = fast(image())
    kept = first.copy()
    assert not np.shares_memory(first, fast(image(seed=1)))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(fast(image()), kept)
    for threads in (1, 3):
        before = fastconv.get_num_threads()
        fastconv.set_num_threads(threads)
        try:
            np.testing.assert_array_equal(fast(image()), kept)
        finally:
            fastconv.set_num_threads(before)


def test_an_image_does_not_depend_on_its_neighbours():
    """The arena of an earlier, larger batch leaves nothing behind."""
    model = built("densenet121", 5)
    fast = fastconv.optimize(model, (3, 3, 32, 32))
    fast(1e6 * image(3, seed=9))
    x = image(3)
    for i in range(3):
        alone = fast(x[i : i + 1])
        assert np.abs(alone - fast(x)[i]).max() <= 1e-5 * np.abs(alone).max()


def test_eight_threads_share_one_optimized_model(fast):
    images = [image(2, seed) for seed in range(8)]
    expected = [fast(x) for x in images]
    results: list[list[np.ndarray]] = [[] for _ in images]
    start = threading.Barrier(len(images))

    def work(place):
        start.wait()
        results[place] = [fast(images[place]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, y in zip(results, expected, strict=True):
        assert len(got) == 5
        for one in got:
            np.testing.assert_array_equal(one, y)


def test_a_second_call_takes_no_memory_but_its_result(fast):
    """Neither from the system, through the kernels' pool, nor from Python beyond small objects."""
    x = image()
    for _ in range(3):
        fast(x)
    pool = _kernels.pool_bytes()
    tracemalloc.start()
    try:
        fast(x)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        y = fast(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert _kernels.pool_bytes() == pool
    assert peak - before < y.nbytes + 8192


def test_a_failed_allocation_leaves_the_next_call_right(fast):
    expected = fast(image())
    failures = 0
    try:
        for n in range(1, 400):
            _kernels.fail_allocation(n)
            try:
                np.testing.assert_array_equal(fast(image()), expected)
            except MemoryError:
                failures += 1
            if _kernels.fail_allocation(0) > 0:
                break
    finally:
        _kernels.fail_allocation(0)
    assert failures > 20
    np.testing.assert_array_equal(fast(image()), expected)


def test_weights_are_those_of_the_time_of_planning():
    model = L.Sequential(L.Conv2d(3, 32, 3, padding=1, generator=np.random.default_rng(0)), L.BatchNorm2d(32))
    x = image()
    fast = fastconv.optimize(model, x.shape)
    before = fast(x)
    for parameter in model.parameters():
        parameter.data = parameter.data + 1
    np.testing.assert_array_equal(fast(x), before)
    after = fastconv.optimize(model, x.shape)(x)
    assert np.abs(after - model(x)).max() <= 1e-5 * np.abs(after).max()


def test_the_profile_names_every_step(fast):
    profile = fast.profile(image(), runs=2)
    text = str(profile)
    assert "layer1.0.conv1" in text
    assert "conv 3x3 + batch norm + relu" in text
    assert "winograd" in text
    assert profile.ms == pytest.approx(sum(row.ms for row in profile.rows))
    assert profile.ms > 0
    flops = sum(row.flops for row in profile.rows)
    assert flops == 2 * sum(row.flops for row in fast.profile(image(1), runs=1).rows)
    assert profile.gflops == pytest.approx(flops / profile.ms / 1e6)


def test_the_picture_of_a_profile(tmp_path, monkeypatch):
    """Thirty bars of those that take most time, in their order, and one of the rest: all milliseconds are there."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    figures = []
    monkeypatch.setattr(profile, "new_figure", lambda size: figures.append(plots.new_figure(size)) or figures[-1])
    rows = [profile.Row(f"layer{i}", "conv 3x3", (1,), ("direct", "winograd 4x4")[i % 2], i, 10**6) for i in range(40)]
    rows[35] = replace(rows[35], name="long." * 10 + "pool", kind="max_pool", algorithm="", flops=0)
    profile.Profile(tuple(rows)).plot(tmp_path / "profile.png", title="a network")
    assert (tmp_path / "profile.png").read_bytes()[:4] == b"\x89PNG"
    (axes,) = figures[0].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "layer10   conv 3x3" and names[30] == "the other 10 steps" and len(names) == 31
    assert names[25].startswith("…") and names[25].endswith("long.pool   max_pool")
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(sum(range(40)))
    texts = [text.get_text() for text in axes.texts]
    assert texts[0] == "10 ms, 0 GFLOP/s" and texts[25] == "35 ms" and texts[30] == "45 ms"
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"direct", "winograd", "no convolution"}
    assert axes.get_title().startswith("a network\n780.00 ms") and "milliseconds" in axes.get_xlabel()


def test_the_profile_counts_layers_without_a_kernel():
    model = L.Sequential(L.Conv2d(3, 4, 3), L.SiLU(), L.Flatten(), L.Linear(4 * 36, 2), L.Softmax())
    x = np.random.default_rng(0).random((2, 3, 8, 8), np.float32)
    rows = fastconv.optimize(model, x.shape).profile(x, runs=1).rows
    assert [row.kind for row in rows] == ["conv 3x3", "SiLU", "linear", "Softmax"]
    assert rows[0].flops == 2 * (2 * 4 * 36) * 27
    assert rows[2].flops == 2 * (2 * 2) * 144
    with pytest.raises(ValueError, match="runs"):
        fastconv.optimize(model, x.shape).profile(x, runs=0)


def totals(fast):
    """Bytes in the last line of a summary: of the arena, all arrays, all weights, and the packed ones among them."""
    found = re.findall(r"([0-9.]+) ([KM])iB", fast.summary().splitlines()[-1])
    return [float(number) * {"K": 2**10, "M": 2**20}[unit] for number, unit in found]


def test_the_arena_is_smaller_than_what_it_holds(fast):
    """A third of all arrays is enough for ResNet; parts of a concat and results are not counted twice."""
    for name in ("resnet18", "densenet121", "yolov3"):
        arena, arrays, *_ = totals(fastconv.optimize(built(name, 5), (2, 3, 96, 96)))
        assert 0 < arena < arrays / 2


def test_the_summary_counts_all_memory():
    """Winograd's weights transformed, 36 numbers for 9, and plain; a layer's own where it is called as it is."""
    g = np.random.default_rng(0)
    first = L.Conv2d(64, 64, 3, padding=1, generator=g)
    up = L.ConvTranspose2d(64, 32, 2, bias=False, generator=g)
    fast = fastconv.optimize(L.Sequential(first, L.ReLU(), up), (2, 64, 56, 56))
    arena, arrays, weights, packed = totals(fast)
    y, plain, result = 4 * 2 * 64 * 56 * 56, 4 * 64 * 64 * 9, 4 * 2 * 32 * 57 * 57
    assert arena == pytest.approx(y, abs=2**16) and arrays == pytest.approx(y + result, abs=2**16)
    assert 4 * plain <= packed < 4.3 * plain
    assert weights - packed == pytest.approx(plain + 4 * 64 + 4 * 64 * 32 * 4, abs=2**16)
    again = totals(fastconv.optimize(L.Sequential(L.Linear(64, 64, generator=g), L.ReLU()), (2, 64)))
    assert again[2:] == [pytest.approx(4 * 64 * 65, abs=64), 0]


def test_weights_that_two_layers_share_are_counted_once():
    linear = L.Linear(64, 64, generator=np.random.default_rng(0))
    assert totals(fastconv.optimize(L.Sequential(linear, linear), (2, 64)))[2] == pytest.approx(4 * 64 * 65, abs=64)
