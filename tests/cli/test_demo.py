"""`fastconv demo` from end to end, as the README gives it."""

import re

import numpy as np
import pytest
from PIL import Image

import fastconv


@pytest.mark.slow
def test_demo(command, tmp_path):
    done = command("demo", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout
    assert fastconv.target() in text and "thread" in text
    rows = re.findall(r"^(\w+) +64x32x32x32.*?([\d.]+)x .*?([\d.]+)x", text, re.M)
    assert [name for name, _, _ in rows] == [
        "conv2d",
        "conv2d_backward",
        "max_pool2d",
        "max_pool2d_backward",
        "avg_pool2d",
        "avg_pool2d_backward",
    ]
    assert float(re.search(r"test accuracy: ([\d.]+) %", text)[1]) >= 98
    assert "98 % is reached" in text and "equal, bit for bit" in text
    assert "epoch 10/10: 100%" in done.stderr and "images/s" in done.stderr
    with Image.open(tmp_path / "fastconv-demo.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 500
    model = fastconv.load(tmp_path / "fastconv-demo.safetensors")
    x, y = fastconv.data.load_digits()[1]
    assert np.mean(model(x).argmax(axis=1) == y) >= 0.98
