"""YOLOv3 built of layers is the network of its .cfg: same names, same results."""

import numpy as np
import pytest
from darknet_files import published, resized_cfg, seed_weights

import fastconv
from fastconv import models
from fastconv.detection import heads_of
from fastconv.formats import FormatError
from fastconv.formats.darknet_weights import write_darknet_weights

BOTH = pytest.mark.parametrize("name", ["yolov3", "yolov3_tiny"])


@BOTH
def test_the_model_is_the_cfg(tmp_path, name):
    """A weights file written of one is read by the other; all results are equal, bit for bit."""
    cfg = tmp_path / "a.cfg"
    cfg.write_text(resized_cfg(name.replace("_", "-"), 96))
    imported = seed_weights(fastconv.load(cfg))
    write_darknet_weights(imported, tmp_path / "a.weights")
    model = getattr(models, name)(weights=tmp_path / "a.weights")
    assert list(model.state_dict()) == list(imported.state_dict())
    assert repr(model) == repr(imported)
    for head, other in zip(heads_of(model), heads_of(imported), strict=True):
        assert head.config() == other.config()
    x = np.random.default_rng(0).random((2, 3, 96, 96), np.float32)
    for y, wanted in zip(model(x), imported(x), strict=True):
        np.testing.assert_array_equal(y, wanted)
    assert model.preprocess == imported.preprocess.replace(size=(416, 416)) and model.labels[16] == "dog"


def test_official_weights():
    weights = published("yolov3-tiny.weights")
    model = models.yolov3_tiny(weights=weights)
    imported = fastconv.load(published("cfg/yolov3-tiny.cfg"), weights=weights)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, imported.state_dict()[name])
    with pytest.raises(FormatError, match="35434956 bytes"):
        models.yolov3_tiny(20, weights=weights)
    with pytest.raises(FormatError, match="35434956 bytes"):
        models.yolov3(weights=weights)


@BOTH
def test_sizes(name):
    model = getattr(models, name)(7, seed=0)
    counted = sum(parameter.data.size for parameter in model.parameters())
    # 80 classes have 61,949,149 and 8,852,366 weights; a class less spares a row of each of 3 boxes in each head
    less = {"yolov3": (1025, 513, 257), "yolov3_tiny": (513, 257)}[name]
    assert counted == {"yolov3": 61_949_149, "yolov3_tiny": 8_852_366}[name] - 73 * 3 * sum(less)
    outputs = model(np.zeros((1, 3, 64, 96), np.float32))
    strides = (32, 16, 8)[: len(outputs)]
    assert [y.shape for y in outputs] == [(1, 36, 64 // s, 96 // s) for s in strides]
    assert model.labels == () and models.yolov3_tiny(seed=0).labels[0] == "person"


def test_darknet53_reads_darknets_weights(tmp_path):
    """The classifier has other names, but the same layers in the same order."""
    cfg = tmp_path / "a.cfg"
    cfg.write_text(resized_cfg("darknet53", 64))
    imported = seed_weights(fastconv.load(cfg))
    write_darknet_weights(imported, tmp_path / "a.weights")
    model = models.darknet53(weights=tmp_path / "a.weights")
    x = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    np.testing.assert_allclose(fastconv.softmax(model(x), 1), imported(x), rtol=1e-3, atol=1e-6)


def test_a_saved_model_comes_back(tmp_path):
    model = models.yolov3_tiny(2, seed=1)
    model.labels = ("a", "b")
    fastconv.save(model, tmp_path / "a.safetensors")
    again = fastconv.load(tmp_path / "a.safetensors")
    x = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
    for y, wanted in zip(again(x), model(x), strict=True):
        np.testing.assert_array_equal(y, wanted)
    assert again.preprocess == model.preprocess and again.labels == ("a", "b")
    assert [head.config() for head in heads_of(again)] == [head.config() for head in heads_of(model)]
