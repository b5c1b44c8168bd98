"""Preprocess: sizes, colours and scales against Pillow and plain arithmetic, and its way through a model file."""

import json

import numpy as np
import pytest
from PIL import Image

import fastconv
from fastconv import layers as L
from fastconv.data import CAFFE, IMAGENET, Preprocess, load_labels
from fastconv.formats import FormatError

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 47, 3), np.uint8)


def test_imagenet_is_what_torchvision_does():
    """Resize(256), CenterCrop(224), ToTensor, Normalize, written out with Pillow."""
    small = Image.fromarray(PICTURE).resize((int(256 * 47 / 30), 256), Image.Resampling.BILINEAR)
    left, top = round((small.width - 224) / 2), 16
    cut = np.asarray(small.crop((left, top, left + 224, top + 224)), np.float32) / 255
    expected = (cut - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(IMAGENET(PICTURE), expected.transpose(2, 0, 1), atol=1e-5)


def test_caffe_is_bgr_without_scale():
    stretched = CAFFE.replace(fit="stretch", shorter_side=None, size=(30, 47))
    expected = PICTURE[:, :, ::-1].astype(np.float32) - np.float32([103.939, 116.779, 123.68])
    np.testing.assert_allclose(stretched(PICTURE), expected.transpose(2, 0, 1), atol=1e-4)


def test_letterbox_is_grey_around_the_picture():
    x = Preprocess((64, 94), "letterbox")(PICTURE)
    assert x.shape == (3, 64, 94) and (x[:, [0, 1, 62, 63]] == 0.5).all() and (x[:, 2:62] != 0.5).any()
    tall = Preprocess((60, 100), "letterbox")
    assert tall.placement(30, 47) == (3, 0, 94, 60)
    assert (tall(PICTURE)[:, :, [0, 2, 97, 99]] == 0.5).all()


def test_four_neighbours_without_antialias():
    """Twice the size: values 1/4 and 3/4 between the pixels, the border's own at the border."""
    row = np.array([[[0], [40], [200]]], np.uint8)
    x = Preprocess((1, 6), "stretch", channels="L", scale=1.0, antialias=False)(row)
    np.testing.assert_allclose(x[0, 0], [0, 10, 30, 80, 160, 200])


def test_shrinking_without_antialias_samples():
    x = Preprocess((2, 2), "stretch", scale=1.0, antialias=False)(
        np.kron(np.eye(2), np.ones((6, 6)))[..., None].astype("u1")
    )
    np.testing.assert_array_equal(x, [[[1, 0], [0, 1]]] * 3)


def test_grey_and_colour_become_what_the_network_takes():
    grey = Preprocess((30, 47), "stretch", channels="L", scale=1.0)(PICTURE)
    assert grey.shape == (1, 30, 47)
    assert np.abs(grey[0] - np.asarray(Image.fromarray(PICTURE).convert("L"))).max() <= 1
    x = Preprocess((5, 5), "stretch")(PICTURE[:, :, :1])
    assert x.shape == (3, 5, 5) and (x[0] == x[2]).all()


@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (300, 2), (7, 7)])
def test_odd_sizes(fit, shape):
    picture = np.full((*shape, 3), 100, np.uint8)
    for antialias in (True, False):
        x = Preprocess((6, 8), fit, antialias=antialias)(picture)
        assert x.shape == (3, 6, 8) and x.dtype == np.float32 and x.flags.c_contiguous
        assert set(np.unique(np.rint(x * 255))) <= {100, 127, 128}


def test_bad_pictures_and_arguments():
    for picture in (PICTURE[0], PICTURE.astype(np.float32), PICTURE[:, :, :2], PICTURE[:0]):
        with pytest.raises(ValueError, match="a picture is uint8"):
            IMAGENET(picture)
    with pytest.raises(ValueError, match="too long"):
        IMAGENET(np.zeros((1, 60000, 3), np.uint8))
    for change in (
        {"size": (0, 4)},
        {"size": 224},
        {"size": (224.0, 224)},
        {"fit": "tile"},
        {"channels": "RGBA"},
        {"shorter_side": 100},
        {"mean": (0.5,)},
        {"std": (1, 0, 1)},
        {"scale": float("nan")},
        {"antialias": 1},
    ):
        with pytest.raises(ValueError, match="Preprocess"):
            IMAGENET.replace(**change)


def test_a_model_file_carries_preprocessing_and_names(tmp_path):
    model = L.Sequential(L.Conv2d(3, 2, 1), L.GlobalAvgPool2d(), L.Flatten())
    model.preprocess, model.labels = IMAGENET, ("cat", "dög")
    fastconv.save(model, tmp_path / "a.safetensors")
    again = fastconv.load(tmp_path / "a.safetensors")
    assert again.preprocess == IMAGENET and again.labels == ("cat", "dög")
    plain = L.Sequential(L.Conv2d(3, 2, 1))
    fastconv.save(plain, tmp_path / "a.safetensors")
    assert fastconv.load(tmp_path / "a.safetensors").preprocess is None


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("fastconv.preprocess", "7"),
        ("fastconv.preprocess", "{}"),
        ("fastconv.preprocess", json.dumps(IMAGENET.to_json() | {"size": [224, 1e9]})),
        ("fastconv.preprocess", json.dumps(IMAGENET.to_json() | {"std": "abc"})),
        ("fastconv.preprocess", json.dumps(IMAGENET.to_json() | {"mean": [[], 1, 2]})),
        ("fastconv.preprocess", json.dumps(IMAGENET.to_json() | {"fit": ["crop"]})),
        ("fastconv.preprocess", json.dumps(IMAGENET.to_json() | {"channels": {}})),
        ("fastconv.preprocess", json.dumps(IMAGENET.to_json() | {"scale": 10**400})),
        ("fastconv.labels", '["a", 1]'),
        ("fastconv.labels", '{"a": 1}'),
        ("fastconv.labels", "["),
    ],
)
def test_malformed_texts_in_a_model_file(tmp_path, key, text):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "a.safetensors"
    fastconv.save(L.Sequential(L.Conv2d(3, 2, 1)), path)
    with safe_open(path, "np") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors, path, metadata | {key: text})
    with pytest.raises(FormatError) as refused:
        fastconv.load(path)
    assert refused.value.where == key


def test_labels(tmp_path):
    imagenet, coco = load_labels("imagenet"), load_labels("coco")
    assert len(imagenet) == 1000 and imagenet[285] == "Egyptian cat" and imagenet[967] == "espresso"
    assert len(coco) == 80 and coco[0] == "person" and coco[16] == "dog" and coco[79] == "toothbrush"
    (tmp_path / "names").write_text("a b\nc\n\n")
    assert load_labels(tmp_path / "names") == ("a b", "c")
    for text in ("", "a\n\nb\n"):
        (tmp_path / "names").write_text(text)
        with pytest.raises(FormatError, match="the name of a class"):
            load_labels(tmp_path / "names")
