"""`fastconv finetune`: its four steps, what it writes, goes on from and refuses, with a small network made here."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image
from processes import interrupted

import fastconv
from fastconv import layers as L
from fastconv.data import Preprocess


@pytest.fixture
def folder(tmp_path):
    """A trained network (of nothing, but its filters are of use) and pictures: bright, dark or striped."""
    rng = np.random.default_rng(0)
    first, second = L.Conv2d(3, 16, 3, generator=rng), L.Conv2d(16, 16, 3, generator=rng)
    features = L.Sequential(first, L.BatchNorm2d(16), L.ReLU(), second, L.ReLU())
    layers = {"features": features, "pool": L.GlobalAvgPool2d(), "flatten": L.Flatten()}
    model = L.Sequential({**layers, "fc": L.Linear(16, 5, generator=rng)})
    model.preprocess, model.labels = Preprocess((12, 12), "stretch", mean=(0.5,) * 3), tuple("abcde")
    fastconv.save(model, tmp_path / "trained.safetensors")
    model.preprocess = None
    fastconv.save(model, tmp_path / "bare.safetensors")
    for kind in ("bright", "dark", "striped"):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 60, (15, 20, 3), np.uint8) + {"bright": 190, "dark": 0, "striped": 0}[kind]
            if kind == "striped":
                pixels[::3] += 190
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "pictures" / kind / f"{number}.png")
    return tmp_path


RUN = ("finetune", "--model", "trained.safetensors", "--data", "pictures", "--lr", 0.1, "--batch-size", 16)


def png(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG" and min(picture.size) > 300


def test_the_four_steps_and_what_they_leave(command, folder):
    done = command(*RUN, "--fine-tune", 3, "--augment", "flip", "shift", "--json", "r.json")
    assert done.returncode == 0, done.stderr
    for words in (
        "48 training and 12 test",
        "1 load",
        "2 replace head",
        "51 new weights",
        "3 train head",
        "4 fine-tune",
    ):
        assert words in done.stdout
    assert "epoch 30/30" in done.stderr and "epoch 3/3" in done.stderr
    assert "features of training" in done.stderr and "features of test" in done.stderr
    assert float(re.search(r"test accuracy: ([\d.]+) %", done.stdout)[1]) >= 90
    assert re.search(r"bright +4 +100.0 % +100.0 %", done.stdout), done.stdout
    out = folder / "fastconv-pictures"
    png(out / "curves.png")
    png(out / "confusion.png")
    for part, epochs in (("head", 30), ("fine-tuning", 3)):
        with (out / f"history-{part}.csv").open() as file:
            assert len(list(csv.DictReader(file))) == epochs
    record = json.loads((folder / "r.json").read_text())
    assert [one["label"] for one in record["classes"]] == ["bright", "dark", "striped"]
    assert abs(np.trace(record["confusion"]) / 12 - record["accuracy"]) < 1e-3 and np.sum(record["confusion"]) == 12
    assert len(record["history"]["head"]["loss"]) == 30 and len(record["history"]["fine-tuning"]["val_loss"]) == 3


def test_classify_takes_the_model(command, folder):
    assert command(*RUN, "--no-progress").returncode == 0
    model = folder / "fastconv-pictures/model.safetensors"
    trained, new = fastconv.load(folder / "trained.safetensors"), fastconv.load(model)
    assert new.labels == ("bright", "dark", "striped") and new.preprocess == trained.preprocess
    old, found = trained.state_dict(), new.state_dict()
    assert all(np.array_equal(found[name], old[name]) for name in old if not name.startswith("fc."))
    done = command("classify", "pictures/dark/0.png", "--model", model, "--json", "c.json", "--no-picture")
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "c.json").read_text())[0]["classes"][0]["label"] == "dark"


def test_only_what_is_behind_a_layer_is_fine_tuned(command, folder):
    done = command(*RUN, "--epochs", 2, "--fine-tune", 2, "--fine-tune-lr", 0.01, "--fine-tune-from", "features.3")
    assert done.returncode == 0, done.stderr
    old = fastconv.load(folder / "trained.safetensors").state_dict()
    new = fastconv.load(folder / "fastconv-pictures/model.safetensors").state_dict()
    same = {name for name in new if new[name].shape == old[name].shape and np.array_equal(new[name], old[name])}
    statistics = {"features.1.running_mean", "features.1.running_var", "features.1.num_batches_tracked"}
    assert same == {"features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias", *statistics}


def test_digits_for_a_network_of_grey_pictures(command, tmp_path):
    model = L.Sequential(L.Flatten(), L.Linear(64, 30), L.ReLU(), L.Linear(30, 4))
    model.preprocess = Preprocess((8, 8), "stretch", channels="L")
    fastconv.save(model, tmp_path / "net.safetensors")
    done = command("finetune", "--model", "net.safetensors", "--data", "digits", "--no-progress", "--lr", 0.02)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"test accuracy: ([\d.]+) %", done.stdout)[1]) >= 80


@pytest.mark.parametrize("part", ["head", "fine-tuning"])
def test_resumed_equals_uninterrupted(command, folder, part):
    options = [*RUN, "--epochs", 40, "--fine-tune", 12, "--augment", "flip", "--no-progress"]
    whole = command(*options, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    options += ["--out", "with space"]
    errors = interrupted(options, folder, folder / "with space/checkpoints" / part)
    assert "Traceback" not in errors
    assert "Go on with:\n  fastconv finetune" in errors and "'with space' --resume" in errors
    resumed = command(*options, "--resume", "--threads", 1)
    assert resumed.returncode == 0, resumed.stderr
    one, other = (fastconv.load(folder / out / "model.safetensors").state_dict() for out in ("whole", "with space"))
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    for name in ("history-head.csv", "history-fine-tuning.csv"):
        assert (folder / "whole" / name).read_text() == (folder / "with space" / name).read_text()


def test_a_finished_folder_is_not_overwritten(command, refused, folder):
    short = (*RUN, "--epochs", 1, "--no-progress")
    assert command(*short).returncode == 0
    assert "--overwrite" in refused(*short)
    assert "batch_size" in refused(*short, "--resume", "--batch-size", 8)
    assert command(*short, "--overwrite").returncode == 0
    assert command(*short, "--resume", "--fine-tune", 1).returncode == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--model", "nothing.safetensors"], "nothing.safetensors: No such file"),
        (["--model", "bare.safetensors"], "give --preprocess"),
        (["--model", "some.pth"], "say with --network"),
        (["--model", "mobilenet_v2-b0353104.pth"], "mobilenet_v2-b0353104.pth: No such file"),
        (["--network", "resnet18"], "missing: conv1.weight"),
        (["--data", "nowhere"], "nowhere: No such file"),
        (["--data", "pictures/dark"], "nothing recognised"),
        (["--data", "digits", "--test-fraction", "0.5"], "test_fraction"),
        (["--at", "fc2"], "no layer 'fc2'"),
        (["--at", "features"], "'features' is the first layer"),
        (["--at", "features.3"], "give head"),
        (["--fine-tune", "1", "--fine-tune-from", "head"], "no layer 'head'"),
        (["--augment", "flip"], "--augment is for fine-tuning"),
        (["--resume"], "no checkpoint"),
        (["--out", "/dev/null/results"], "Not a directory"),
        (["--json", "no/such/r.json"], "--json"),
        (["--epochs", "0"], "at least 1"),
    ],
)
def test_refusals(refused, folder, changes, words):
    assert words in refused(*RUN, "--epochs", 2, "--no-progress", *changes)
