"""`python kills.py N`: a training that is killed with SIGKILL N times at random moments and each time goes on from its
checkpoints ends with the bits of one that never was."""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastconv
from fastconv.checkpoint import list_checkpoints

COMMAND = [sys.executable, "-m", "fastconv", "train", "digits", "--model", "small", "--epochs", "30", "--no-progress"]


def main(kills: int) -> None:
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as room:
        whole, broken = Path(room, "whole"), Path(room, "broken")
        began = time.monotonic()
        subprocess.run([*COMMAND, "--out", str(whole)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        survived = 0
        while True:
            folder = broken / "checkpoints"
            resume = ["--resume"] if folder.is_dir() and list_checkpoints(folder) else ["--overwrite"]
            process = subprocess.Popen([*COMMAND, "--out", str(broken), *resume], stdout=subprocess.DEVNULL)
            try:
                if survived == kills:
                    assert process.wait(timeout=300) == 0
                    break
                process.wait(timeout=generator.uniform(0.3, 0.6 + seconds / kills))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                survived += 1
                continue
            assert process.returncode == 0
            break
        one, two = (fastconv.load(folder / "model.safetensors").state_dict() for folder in (whole, broken))
        for name in one:
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)
        assert (whole / "history.csv").read_bytes() == (broken / "history.csv").read_bytes()
    assert survived, "every training ended before its kill"
    print(f"counts: {survived} kills survived, the same weights and history bit for bit")


if __name__ == "__main__":
    main(int(sys.argv[1]))
