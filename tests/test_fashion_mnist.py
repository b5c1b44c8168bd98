"""Real pictures in earnest: `fastconv train` on Fashion-MNIST, where Debian's package is installed."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("FASTCONV_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


@pytest.mark.slow
def test_three_epochs_reach_88_5_percent(tmp_path):
    if not (FOLDER / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"Fashion-MNIST is not in {FOLDER}: install dataset-fashion-mnist or set FASTCONV_FASHION_MNIST")
    command = [sys.executable, "-m", "fastconv", "train", str(FOLDER), "--no-progress", "--out", "fashion"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "60,000 training and 10,000 test pictures of 1x28x28" in done.stdout
    assert "small, 105,866 weights" in done.stdout and "3 epochs, batches of 128, adam, rate 0.001" in done.stdout
    accuracy = float(re.search(r"test accuracy: ([\d.]+) %", done.stdout)[1])
    assert accuracy >= 88.5
    with (tmp_path / "fashion/history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
