"""ONNX files as Graphs: what fastconv wrote comes back, and graphs of other makers give what ONNX Runtime gives."""

import os

import numpy as np
import pytest
from layer_cases import inputs
from network_list import NAMES, built, shape_of
from onnx_cases import EVERY, trained

import fastconv
from fastconv import layers as L
from fastconv.formats import FormatError

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx_graphs import LIGHT, seeded  # noqa: E402
from onnx_results import run  # noqa: E402


def near(got, want, limit):
    assert got.shape == want.shape and got.dtype == want.dtype
    assert np.abs(got - want).max(initial=0) <= limit * np.abs(want).max(initial=1e-30)


# What is written with operators that no convolutional network of others is made of.
NOT_READ = {
    "BatchNorm2d-untracked": "Sqrt",
    "norm of (N, C)": "Sqrt",
    "norm of (N, C, L), eps": "Sqrt",
    "lrn, even size": "Pow",
    "lrn 1-d": "Pow",
}


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_every_layer_comes_back(tmp_path, case):
    model, x = trained(case.build(), np.float32), inputs(case, np.float32)
    fastconv.save(model, tmp_path / "a.onnx", input_shape=case.shape)
    if case.name in NOT_READ:
        with pytest.raises(FormatError, match=NOT_READ[case.name]):
            fastconv.load(tmp_path / "a.onnx")
        return
    again = fastconv.load(tmp_path / "a.onnx")
    assert isinstance(again, L.Graph)
    near(again(x), model(x), 2e-6)
    fastconv.save(again, tmp_path / "b.safetensors")
    np.testing.assert_array_equal(fastconv.load(tmp_path / "b.safetensors")(x), again(x))


@pytest.mark.parametrize("name", LIGHT)
def test_the_graphs_of_the_onnx_package(tmp_path, name):
    """With seeded weights: the nine networks that every runtime is tested with."""
    shape = seeded(name, tmp_path / "a.onnx")
    x = np.random.default_rng(1).standard_normal(shape, np.float32)
    (want,) = run(tmp_path / "a.onnx", x)
    got = fastconv.load(tmp_path / "a.onnx")(x)
    near(got, want, 1e-3)
    assert np.ptp(want) > 1e-6, "a network that gives one number says nothing"


@pytest.mark.parametrize("name", NAMES)
def test_every_network_comes_back_with_its_names(tmp_path, name):
    model = built(name, 5, small_head=True)
    model.labels = tuple("abcde")
    x = np.random.default_rng(0).standard_normal(shape_of(name, 2), np.float32)
    fastconv.save(model, tmp_path / "a.onnx", input_shape=x.shape)
    again = fastconv.load(tmp_path / "a.onnx")
    os.unlink(tmp_path / "a.onnx")
    assert again.labels == model.labels
    ours, theirs = model.state_dict(copy=False), again.state_dict(copy=False)
    for key, array in ours.items():
        if "num_batches" not in key and not key.endswith("bias_of_conv"):
            np.testing.assert_array_equal(theirs[key], array, err_msg=key)
    results, wanted = again(x), model(x)
    for got, want in zip(*(r if isinstance(r, tuple) else (r,) for r in (results, wanted)), strict=True):
        near(got, want, 1e-5)
