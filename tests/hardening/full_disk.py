"""`python full_disk.py`: checkpoints on a file system of 1 MB, until it is full: OSError, and the last one is whole.
Where nothing may be mounted it says so: the tests inject the same error at every write."""

import errno
import os
import subprocess
import tempfile

import numpy as np

from fastconv.checkpoint import load_checkpoint, save_checkpoint


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
            print("counts: full disk skipped, no file system can be mounted here")
            return
        try:
            path = os.path.join(folder, "c.safetensors")
            save_checkpoint(path, {"n": 0, "a": np.zeros(50_000)})
            full = 0
            for n in range(1, 20):
                try:
                    save_checkpoint(path, {"n": n, "a": np.full(50_000 + 20_000 * (n % 3), float(n))})
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error
                    full += 1
                state = load_checkpoint(path)
                assert (state["a"] == state["n"]).all()
                assert os.listdir(folder) == ["c.safetensors"], "a temporary file was left behind"
            assert full
            print(f"counts: {full} checkpoints did not fit on a full disk")
        finally:
            subprocess.run(["umount", folder], check=True)


if __name__ == "__main__":
    main()
