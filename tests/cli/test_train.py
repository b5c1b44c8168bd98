"""`fastconv train`: what it writes, what it goes on from, what it says when it is stopped or misused."""

import csv
import gzip
import re
import struct

import numpy as np
import pytest
from PIL import Image
from processes import interrupted

import fastconv

QUICK = ("--model", "small", "--batch-size", 128, "--schedule", "cosine")


def weights(path):
    return fastconv.load(path).state_dict()


def assert_equal_weights(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_digits_reach_98_percent(command, tmp_path):
    done = command("train", "digits")
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"test accuracy: ([\d.]+) %", done.stdout)[1]) >= 98
    out = tmp_path / "fastconv-digits"
    names = {path.name for path in out.iterdir()}
    assert names == {"model.safetensors", "history.csv", "curves.png", "checkpoints"}
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 and float(rows[-1]["val_accuracy"]) >= 0.98
    with Image.open(out / "curves.png") as picture:
        assert min(picture.size) > 300
    assert "epoch 10/10: 100%" in done.stderr


def test_resumed_equals_uninterrupted(command, tmp_path):
    """Two epochs of four, then the rest from the checkpoint: the same bits as four at once, on another thread count."""
    whole = command("train", "digits", *QUICK, "--epochs", 4, "--out", "whole", "--no-progress")
    assert whole.returncode == 0, whole.stderr
    # The rate falls over all four epochs, so the first part must plan for four and be stopped.
    part = ["train", "digits", *QUICK, "--epochs", 4, "--out", "part", "--no-progress"]
    stop_after_a_checkpoint(part, tmp_path)
    resumed = command(*part, "--resume", "--threads", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert_equal_weights(weights(tmp_path / "whole/model.safetensors"), weights(tmp_path / "part/model.safetensors"))
    assert (tmp_path / "whole/history.csv").read_text() == (tmp_path / "part/history.csv").read_text()


def stop_after_a_checkpoint(arguments, folder):
    return interrupted(arguments, folder, folder / arguments[arguments.index("--out") + 1] / "checkpoints")


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(command, tmp_path):
    arguments = ["train", "digits", "--epochs", 500, "--out", "with space", "--no-progress"]
    errors = stop_after_a_checkpoint(arguments, tmp_path)
    assert "Traceback" not in errors
    hint = "fastconv train digits --epochs 500 --out 'with space' --no-progress --resume"
    assert hint in errors
    checkpoint = tmp_path / re.search(r"stopped; (.*?) holds the training", errors)[1]
    assert checkpoint.exists()
    # 500 epochs would take minutes: that it goes on is seen by the checkpoints that follow.
    errors = stop_after_a_checkpoint([*arguments, "--resume"], tmp_path)
    assert hint in errors


def test_a_finished_folder_is_not_overwritten(command, refused):
    short = ("train", "digits", *QUICK, "--epochs", 1, "--out", "here", "--no-progress")
    assert command(*short).returncode == 0
    assert "--overwrite" in refused(*short)
    assert command(*short, "--overwrite").returncode == 0
    assert "batch_size" in refused(*short, "--resume", "--batch-size", 64)
    assert "--resume" in refused(*short, "--resume", "nowhere.safetensors")
    assert command(*short, "--resume", "--epochs", 2).returncode == 0


@pytest.mark.parametrize("optimizer", ("sgd", "adamw"))
@pytest.mark.parametrize("schedule", ("constant", "one-cycle", "step"))
def test_every_optimizer_and_schedule(command, optimizer, schedule):
    options = ("--optimizer", optimizer, "--schedule", schedule, "--lr", 0.01, "--augment", "shift", "flip")
    more = ("--weight-decay", 1e-4, "--label-smoothing", 0.1, "--epochs", 1, "--no-progress")
    done = command("train", "digits", "--model", "small", *options, *more)
    assert done.returncode == 0, done.stderr


def write_idx(folder, count):
    generator = np.random.default_rng(0)
    folder.mkdir()
    for part in ("train", "t10k"):
        labels = np.arange(count, dtype=np.uint8) % 10
        pictures = generator.integers(0, 40, (count, 28, 28), np.uint8) + 20 * labels[:, None, None]
        header = struct.pack(">iiii", 2051, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pictures.tobytes()))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, count) + labels.tobytes())


def write_cifar(folder, count):
    generator = np.random.default_rng(0)
    folder.mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        records = generator.integers(0, 256, (count, 3073), np.uint8)
        records[:, 0] = np.arange(count) % 10
        (folder / name).write_bytes(records.tobytes())


def write_pictures(folder, count):
    generator = np.random.default_rng(0)
    for name, level in (("bright", 200), ("dark", 30)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(level, level + 50, (20, 30, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.mark.parametrize(
    ("write", "options", "words"),
    (
        (write_idx, ("--model", "lenet5"), "40 training and 40 test pictures of 1x28x28, 10 classes"),
        (write_cifar, (), "40 training and 40 test pictures of 3x32x32, 10 classes"),
        (
            write_pictures,
            ("--size", 24, "--test-fraction", 0.25),
            "60 training and 20 test pictures of 3x24x24, 2 classes",
        ),
    ),
)
def test_every_kind_of_folder(command, tmp_path, write, options, words):
    write(tmp_path / "set", 40)
    done = command("train", "set", "--epochs", 1, "--no-progress", *options)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert (tmp_path / "fastconv-set/model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (["nowhere"], "nowhere: No such file"),
        (["."], "nothing recognised"),
        (["digits", "--size", "32"], "size"),
        (["digits", "--epochs", "0"], "at least 1"),
        (["digits", "--lr", "-1"], "above 0"),
        (["digits", "--lr", "nan"], "above 0"),
        (["digits", "--model", "resnet"], "resnet"),
        (["digits", "--model", "lenet5"], "12x12"),
        (["digits", "--label-smoothing", "1"], "below 1"),
        (["digits", "--resume"], "no checkpoint"),
        (["digits", "--out", "/dev/null/results"], "Not a directory"),
        (["digits", "--epochs", "1", "--lr", "1e30", "--model", "small", "--no-progress"], "smaller --lr"),
    ),
)
def test_refusals(refused, arguments, words):
    assert words in refused("train", *arguments)


def test_a_malformed_file_is_named(refused, tmp_path):
    write_idx(tmp_path / "set", 10)
    path = tmp_path / "set/t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    assert "t10k-labels-idx1-ubyte" in refused("train", "set")
