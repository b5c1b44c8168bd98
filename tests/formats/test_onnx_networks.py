"""Every network of fastconv.models as an ONNX file gives in ONNX Runtime what it gives here, for another batch too."""

import numpy as np
import pytest
from network_list import NAMES, VGG, built, shape_of

import fastconv

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx_results import run


@pytest.mark.parametrize("name", NAMES)
def test_every_network(tmp_path, name):
    # Half a gigabyte of fully connected layers is written once, with vgg16; the others of its kind differ before them.
    model = built(name, 5, small_head=name in VGG and name != "vgg16")
    fastconv.save(model, tmp_path / "a.onnx", input_shape=shape_of(name, 1))
    x = np.random.default_rng(0).standard_normal(shape_of(name, 3), np.float32)
    expected = model(x)
    found = run(tmp_path / "a.onnx", x)
    (tmp_path / "a.onnx").unlink()
    for y, other in zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True):
        assert y.shape == other.shape
        assert np.abs(y - other).max() < 2e-5 * np.abs(other).max()
