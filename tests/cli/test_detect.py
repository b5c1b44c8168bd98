"""`fastconv detect` and `fastconv classify`: what they print, write and refuse, with small networks made here."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import fastconv
from fastconv import layers as L
from fastconv.data import Preprocess
from fastconv.formats.darknet import load_darknet
from fastconv.formats.darknet_weights import write_darknet_weights

CFG = (
    "[net]\nwidth=64\nheight=64\nchannels=3\n[convolutional]\nfilters=2\nactivation=relu\n"
    "[maxpool]\nsize=32\nstride=32\npadding=0\n[convolutional]\nfilters=7\nactivation=linear\n"
    "[yolo]\nanchors=32,32\nclasses=2\nnum=1\n"
)


@pytest.fixture
def cfg(tmp_path):
    """A network that finds red (class 0) or blue (class 1) in each quarter of the picture; two pictures."""
    (tmp_path / "net.cfg").write_text(CFG)
    model = load_darknet(tmp_path / "net.cfg")
    bright, conv = model["0"]["conv"], model["2"]["conv"]
    bright.weight.data = np.eye(3, dtype=np.float32)[[0, 2]].reshape(2, 3, 1, 1)
    bright.bias.data = np.full(2, -0.75, np.float32)  # grey is not bright
    conv.weight.data = np.zeros((7, 2, 1, 1), np.float32)
    conv.bias.data = np.array([0, 0, 0, 0, -20, -20, -20], np.float32)
    conv.weight.data[4:, 0, 0, 0], conv.weight.data[4:, 1, 0, 0] = (160, 160, 0), (160, 0, 120)
    write_darknet_weights(model, tmp_path / "net.weights")
    picture = np.zeros((50, 100, 3), np.uint8)
    picture[:25, :50, 0] = picture[25:, 50:, 2] = 255
    Image.fromarray(picture).save(tmp_path / "wide.png")
    Image.fromarray(picture[:, :50]).save(tmp_path / "tall.bmp")
    return tmp_path


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


MODEL = ("--cfg", "net.cfg", "--weights", "net.weights")


def test_detect(command, cfg):
    (cfg / "names").write_text("red\nblue\n")
    done = command(
        "detect", "wide.png", "tall.bmp", *MODEL, "--resize", "stretch", "--labels", "names", "--json", "r.json"
    )
    assert done.returncode == 0, done.stderr
    assert "wide.png: 2 objects" in done.stdout and "tall.bmp: 2 objects" in done.stdout
    wide, tall = json.loads((cfg / "r.json").read_text())
    assert set(wide) == {"picture", "boxes"} and wide["picture"] == "wide.png"
    assert [set(box) for box in wide["boxes"]] == [{"label", "score", "box"}] * 2
    assert wide["boxes"][0] == {"label": "red", "score": 1.0, "box": [0.0, 0.0, 50.0, 25.0]}
    assert wide["boxes"][1]["label"] == "blue" and wide["boxes"][1]["box"] == [50.0, 25.0, 50.0, 25.0]
    assert {box["label"] for box in tall["boxes"]} == {"red"}
    drawn = pixels(cfg / "wide-boxes.png")
    assert drawn.shape == (50, 100, 3) and (drawn != pixels(cfg / "wide.png")).any()
    assert (cfg / "tall-boxes.png").exists()


def test_detect_in_a_letterbox_by_default(command, cfg):
    """Half of the input is grey: the cells are 50 pixels high, the boxes cut at the picture's edge."""
    done = command("detect", "wide.png", *MODEL, "--json", "r.json", "--no-picture", "--threshold", "0.5")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads((cfg / "r.json").read_text())
    assert [box["label"] for box in found["boxes"]] == ["class 0", "class 1"]
    assert found["boxes"][0]["box"] == [0.0, 0.0, 50.0, 25.0] and found["boxes"][1]["box"] == [50.0, 25.0, 50.0, 25.0]
    assert not (cfg / "wide-boxes.png").exists()
    done = command("detect", "wide.png", *MODEL, "--threshold", "0.99999", "--no-picture")
    assert "wide.png: 1 object\n" in done.stdout, done.stdout


def test_detect_with_a_model_that_was_saved(command, cfg):
    model = load_darknet(cfg / "net.cfg", cfg / "net.weights")
    model.labels = ("rot", "blau")
    fastconv.save(model, cfg / "net.safetensors")
    done = command("detect", "wide.png", "--model", "net.safetensors", "--out", "there")
    assert done.returncode == 0, done.stderr
    assert "rot" in done.stdout and (cfg / "there" / "wide-boxes.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["wide.png"], "give either --cfg"),
        (["wide.png", *MODEL, "--model", "x"], "give either --cfg"),
        (["wide.png", "--cfg", "net.cfg"], "go together"),
        (["wide.png", "--cfg", "net.cfg", "--weights", "none"], "none: No such file"),
        (["wide.png", "--cfg", "net.cfg", "--weights", "net.cfg"], "cannot open the model: net.cfg"),
        (["wide.png", "--cfg", "net.weights", "--weights", "net.weights"], "net.weights"),
        (["wide.png", "--model", "plain.safetensors"], "is not a network for detection"),
        (["none.png", *MODEL], "none.png"),
        (["net.cfg", *MODEL], "net.cfg"),
        (["wide.png", "x/wide.png", *MODEL], "two pictures"),
        (["wide.png", *MODEL, "--labels", "one"], "1 names for 2 classes"),
        (["wide.png", *MODEL, "--threshold", "2"], "below 1"),
        (["wide.png", *MODEL, "--json", "no/such/r.json"], "--json"),
        (["wide.png", *MODEL, "--resize", "tile"], "tile"),
    ],
)
def test_detect_refuses(refused, cfg, arguments, words):
    (cfg / "one").write_text("red\n")
    fastconv.save(L.Sequential(L.Conv2d(3, 2, 1)), cfg / "plain.safetensors")
    assert words in refused("detect", *arguments)


@pytest.fixture
def colours(cfg):
    """A classifier of the mean colour."""
    model = L.Sequential(L.GlobalAvgPool2d(), L.Flatten(), L.Linear(3, 3, bias=False))
    model[2].weight.data = np.eye(3, dtype=np.float32)
    model.preprocess, model.labels = Preprocess((8, 8), "stretch", scale=1 / 32), ("red", "green", "blue")
    fastconv.save(model, cfg / "colours.safetensors")
    model.preprocess, model.labels = None, ()
    fastconv.save(model, cfg / "bare.safetensors")
    return cfg


def test_classify(command, colours):
    Image.new("RGB", (9, 9), (0, 255, 128)).save(colours / "green.png")
    done = command("classify", "green.png", "--model", "colours.safetensors", "--top", 2, "--json", "r.json")
    assert done.returncode == 0, done.stderr
    assert "8x8 RGB, stretch, scale 0.03125" in done.stdout
    (record,) = json.loads((colours / "r.json").read_text())
    logits = np.array([0, 255, 128]) / 32
    expected = np.exp(logits) / np.exp(logits).sum()
    assert record["picture"] == "green.png" and [one["label"] for one in record["classes"]] == ["green", "blue"]
    assert [one["index"] for one in record["classes"]] == [1, 2]
    assert abs(record["classes"][0]["probability"] - expected[1]) < 1e-3
    assert pixels(colours / "green-classes.png").shape[1] > 500


def test_classify_without_preprocessing_asks(refused, command, colours):
    assert "give --preprocess" in refused("classify", "wide.png", "--model", "bare.safetensors")
    done = command("classify", "wide.png", "--model", "bare.safetensors", "--preprocess", "imagenet", "--no-picture")
    assert done.returncode == 0 and "class 0" in done.stdout, done.stderr
    assert "3 names" not in refused("classify", "wide.png", "--model", "net.cfg", "--weights", "net.weights")
    assert "1000 names for 3" in refused(
        "classify", "wide.png", "--model", "colours.safetensors", "--labels", "imagenet"
    )


def test_classify_with_a_state_dict(command, refused, tmp_path):
    """Weights without an architecture need the name of their network, and are then ImageNet's."""
    Image.new("RGB", (40, 30), (0, 255, 128)).save(tmp_path / "green.png")
    model = fastconv.models.squeezenet1_1(seed=0)
    save_file(model.state_dict(), tmp_path / "bare.safetensors")
    arguments = ("classify", "green.png", "--model", "bare.safetensors")
    assert "use load_state_dict" in refused(*arguments)
    assert "missing" in refused(*arguments, "--network", "resnet18")
    assert "say with --network" in refused("classify", "green.png", "--model", "weights.pth")
    done = command(*arguments, "--network", "squeezenet1_1", "--json", "r.json", "--no-picture")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads((tmp_path / "r.json").read_text())
    names = fastconv.data.load_labels("imagenet")
    assert all(one["label"] == names[one["index"]] for one in record["classes"]) and len(record["classes"]) == 5
