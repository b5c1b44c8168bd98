"""Real pictures in earnest: `fastconv train` on Fashion-MNIST, where Debian's package is installed."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("FASTCONV_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


# The second row is the recipe that other frameworks are compared by. At a constant rate the result depends on the
# seed: 88.40, 89.21, 88.95, 89.13, 89.08 % with seeds 0 to 4 (PyTorch, its seeds 1 and 2: 88.92, 88.98 %). So it is
# the mean of the first three seeds that counts; the first row, the command's default, takes the default seed.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words", "seeds"),
    (
        ((), "adam, rate 0.004 (one-cycle)", (0,)),
        (("--lr", "1e-3", "--schedule", "constant"), "adam, rate 0.001 (constant)", (0, 1, 2)),
    ),
    ids=("default", "constant rate"),
)
def test_three_epochs_reach_88_5_percent(tmp_path, options, words, seeds):
    if not (FOLDER / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"Fashion-MNIST is not in {FOLDER}: install dataset-fashion-mnist or set FASTCONV_FASHION_MNIST")
    accuracies = []
    for seed in seeds:
        out = f"fashion{seed}"
        line = [sys.executable, "-m", "fastconv", "train", str(FOLDER), "--no-progress", "--out", out, *options]
        line += ["--seed", str(seed)]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        assert "60,000 training and 10,000 test pictures of 1x28x28" in done.stdout
        assert "small, 105,866 weights" in done.stdout and f"3 epochs, batches of 128, {words}" in done.stdout
        accuracies.append(float(re.search(r"test accuracy: ([\d.]+) %", done.stdout)[1]))
        with (tmp_path / out / "history.csv").open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    assert sum(accuracies) / len(accuracies) >= 88.5, accuracies
