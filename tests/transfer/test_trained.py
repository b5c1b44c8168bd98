"""Transfer learning with weights trained on ImageNet, on real pictures, against classifiers of raw pixels that fastconv
trains; where weights and pictures are installed."""

import re

import numpy as np
import pytest
from textures import CLASSES, PHOTOGRAPHS, textures, write_textures
from trained_files import MOBILENET_V2, VGG16, installed

import fastconv
from fastconv import layers as L
from fastconv import losses, optim, transfer
from fastconv.data import CAFFE, ArrayDataset, Preprocessed
from fastconv.models import small_cnn

COUNT = 20  # of each class, in each part


@pytest.fixture(scope="module")
def pictures():
    return textures("train", COUNT), textures("test", COUNT)


def accuracy(model, train, test, epochs, lr=1e-3):
    trainer = fastconv.Trainer(model, optim.Adam(model.parameters(), lr=lr), losses.CrossEntropyLoss())
    trainer.fit(train, epochs=epochs, batch_size=32, progress=False)
    return trainer.evaluate(train)["accuracy"], trainer.evaluate(test)["accuracy"]


def halved(data):
    """Raw pixels: the means of 2x2 of them, around 0."""
    x = data.x.reshape(len(data), 1, 48, 2, 48, 2).mean((3, 5), dtype=np.float32)
    return ArrayDataset(x / 255 - 0.5, data.y)


@pytest.fixture(scope="module")
def raw(pictures):
    """The test accuracy that raw pixels reach: logistic regression and a small network, both of which learn the
    training pictures."""
    train, test = map(halved, pictures)
    generator = np.random.default_rng(0)
    linear = L.Sequential(L.Flatten(), L.Linear(48 * 48, len(CLASSES), generator=generator))
    network = small_cnn((1, 48, 48), len(CLASSES), generator=generator)
    results = accuracy(linear, train, test, 60), accuracy(network, train, test, 30)
    assert min(learnt for learnt, _ in results) > 0.9
    return max(found for _, found in results)


def transferred(model, at, preprocess, pictures, head=None):
    """The test accuracy of a new head on a frozen trunk."""
    model = transfer.replace_head(model, CLASSES, at=at, head=head, seed=0)
    trunk, head = transfer.split(model, at)
    before = transfer.freeze(trunk).state_dict()
    features = [transfer.extract_features(trunk, Preprocessed(part, preprocess)) for part in pictures]
    found = accuracy(head, *features, epochs=30)[1]
    for name, value in trunk.state_dict(copy=False).items():
        assert np.array_equal(value, before[name]), name
    x, y = Preprocessed(pictures[1], preprocess).batch(np.arange(0, len(pictures[1]), 40))
    assert (model(x).argmax(1) == y).mean() >= 0.75  # the parts make the whole
    return found


def test_mobilenet_v2_beats_raw_pixels_by_far(pictures, raw):
    model = fastconv.models.mobilenet_v2(weights=installed(MOBILENET_V2))
    found = transferred(model, None, fastconv.data.IMAGENET, pictures)
    assert found >= 0.95 and found - raw >= 0.4, f"transferred {found}, raw pixels {raw}"


def vgg16_trunk():
    """The 13 convolutions of the original VGG16 from an ONNX file, in fastconv's vgg16."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    arrays = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(installed(VGG16)).graph.initializer}
    places = {re.search(r"block\d_conv\d", name)[0] for name in arrays if "/block" in name}
    model = fastconv.models.vgg16(2, seed=0)["features"]
    convolutions = [layer for layer in model if isinstance(layer, L.Conv2d)]
    for layer, place in zip(convolutions, sorted(places), strict=True):
        weight = next(array for name, array in arrays.items() if f"{place}_1/convolution" in name)
        bias = next(array for name, array in arrays.items() if f"{place}_1/Squeeze" in name)
        layer.load_state_dict({"weight": weight, "bias": bias})
    return model


def test_the_trunk_of_vgg16_beats_raw_pixels_by_far(pictures, raw):
    head = L.Sequential(L.GlobalAvgPool2d(), L.Flatten(), L.Linear(512, len(CLASSES)))
    model = L.Sequential({"features": vgg16_trunk(), "classifier": L.Identity()})
    preprocess = CAFFE.replace(size=(96, 96), shorter_side=None)
    found = transferred(model, "classifier", preprocess, pictures, head)
    assert found >= 0.9 and found - raw >= 0.4, f"transferred {found}, raw pixels {raw}"


def test_the_command_on_a_folder_of_pictures(tmp_path, raw):
    """As a user runs it, and `classify` with the model that it wrote."""
    from processes import run

    write_textures(tmp_path / "pictures", COUNT)
    code = "import sys\nfrom fastconv.cli import main\nsys.exit(main(sys.argv[1:]))"
    arguments = ("finetune", "--model", str(installed(MOBILENET_V2)), "--data", str(tmp_path / "pictures"))
    model = tmp_path / "out" / "model.safetensors"
    done = run(code, *arguments, "--out", str(tmp_path / "out"), "--no-progress", seconds=300)
    found = float(re.search(r"test accuracy: ([\d.]+) %", done.stdout)[1]) / 100
    assert found >= 0.95 and found - raw >= 0.4, done.stdout
    picture = str(tmp_path / "pictures/test/grass/0.png")
    done = run(code, "classify", picture, "--model", str(model), "--no-picture")
    assert re.search(r"\n  0\.\d+  grass\n", done.stdout), done.stdout


def test_every_class_is_a_photograph():
    assert len(set(CLASSES)) == len(PHOTOGRAPHS) == 8
