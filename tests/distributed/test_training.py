"""Training on several ranks is that of one process; a job ends when a rank does, and goes on from its checkpoint."""

import json
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import rank_training

import fastconv
from fastconv.checkpoint import list_checkpoints

PROGRAM = Path(__file__).parents[1] / "rank_failures.py"
TRAIN = ("-m", "fastconv", "train", "digits", "--model", "small", "--no-progress", "--batch-size", "64")


@pytest.mark.parametrize(
    ("optimizer", "kind", "numbers"),
    [("sgd", "plain", (2,)), ("adam", "plain", (2, 3)), ("sgd", "norm", (2, 3)), ("adam", "norm", (2,)),
     ("sgd", "twice", (2,))],
)  # fmt: skip
def test_the_weights_are_those_of_one_process(ranks, tmp_path, monkeypatch, optimizer, kind, numbers):
    """53 samples in batches of 13: parts are uneven, and of the last batch, one sample, all ranks but one have none."""
    monkeypatch.chdir(tmp_path)
    rank_training.main(optimizer, kind, "alone")
    wanted, history = np.load("alone.npz"), json.loads(Path("alone.json").read_text())
    begin = rank_training.network(kind).state_dict()
    for n in numbers:
        assert ranks(n, "rank_training.py", optimizer, kind, n) == f"ranks {n}\n"
        found = np.load(f"{n}.npz")
        assert sorted(map(str, Path().glob(f"{n}-rank*"))) == [f"{n}-rank0-checkpoints", f"{n}-rank0.csv"]
        assert list_checkpoints(f"{n}-rank0-checkpoints")
        assert set(found.files) == set(wanted.files)
        for name in wanted.files:
            scale = max(np.abs(wanted[name]).max(), 1e-3)
            assert np.abs(found[name] - wanted[name]).max() <= 5e-6 * scale, name
            assert kind == "norm" or not np.array_equal(wanted[name], begin[name]), "nothing was trained"
        for name, values in json.loads(Path(f"{n}.json").read_text()).items():
            np.testing.assert_allclose(values, history[name], rtol=1e-5, err_msg=name)


def test_the_same_number_of_ranks_gives_the_same_bits(ranks, tmp_path):
    for name in ("one", "two"):
        ranks(2, "rank_training.py", "adam", "norm", name)
    one, two = (np.load(tmp_path / f"{name}.npz") for name in ("one", "two"))
    for name in one.files:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.mark.parametrize("how", ["raise", "kill", "exit"])
def test_a_rank_that_fails_ends_the_job(start, how):
    began = time.monotonic()
    process = start(2, PROGRAM, how)
    output, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert time.monotonic() - began < 15
    if how == "raise":
        assert "LookupError: something is missing here" in errors
        assert "rank 1 of 2 failed, the job ends" in errors
    elif how == "exit":
        assert process.returncode == 7
        assert "rank 1 of 2 exits during training, the job ends: 7" in errors
    else:
        assert re.search("killed|signal 9", output + errors, re.IGNORECASE)  # the launcher says so


def test_ranks_with_different_data_are_told(start):
    """By the rank that differs, once: the other only cannot go on, and leaves it the word."""
    process = start(2, PROGRAM, "differ")
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert errors.count("rank 1 differs from rank 0 in samples") == errors.count("Traceback") == 1


def test_a_rank_waits_for_nobody_whose_error_was_caught(start):
    """The other goes on without the training: then this one ends the job."""
    process = start(2, PROGRAM, "catch")
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "rank 0 of 2 failed, the job ends" in errors and "RankError: rank 1 of 2 failed: ValueError" in errors


def rank_of(number, launcher):
    """The process id of a rank that the launcher with this process id started."""
    parents, waiting = {}, [launcher]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    while waiting:
        pid = waiting.pop()
        waiting += parents.get(pid, [])
        if f"PMI_RANK={number}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return pid
    raise AssertionError(f"no rank {number}")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are found in /proc")
def test_a_killed_job_goes_on_from_its_checkpoint(start, tmp_path):
    """kill -9 of one rank in the middle ends the job; resumed, it ends with the bits of one that was never killed."""
    line = [*TRAIN, "--epochs", "40", "--augment", "shift", "--out"]
    whole = start(2, *line, "whole")
    _, errors = whole.communicate(timeout=60)
    assert whole.returncode == 0, errors
    broken = start(2, *line, "broken")
    folder, end = tmp_path / "broken/checkpoints", time.monotonic() + 30
    while not (folder.is_dir() and list_checkpoints(folder)):
        assert broken.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    os.kill(rank_of(1, broken.pid), signal.SIGKILL)
    killed = time.monotonic()
    broken.communicate(timeout=20)
    assert broken.returncode != 0 and time.monotonic() - killed < 10
    assert not (tmp_path / "broken/model.safetensors").exists()
    again = start(2, *line, "broken", "--resume")
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    one, two = (fastconv.load(tmp_path / name / "model.safetensors").state_dict() for name in ("whole", "broken"))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert (tmp_path / "whole/history.csv").read_text() == (tmp_path / "broken/history.csv").read_text()


def test_ctrl_c_stops_all_ranks_in_one_step(start, tmp_path):
    line = [*TRAIN, "--epochs", "4000", "--out", "here"]
    process = start(2, *line)
    folder, end = tmp_path / "here/checkpoints", time.monotonic() + 30
    while not (folder.is_dir() and list_checkpoints(folder)):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert errors.count("fastconv: interrupted") == 1 and "Traceback" not in errors
    assert re.search(r"stopped; .* holds the training.*\n  mpiexec -n 2 fastconv train digits .* --resume", errors)


def test_one_process_speaks(start):
    process = start(2, *(option for option in TRAIN if option != "--no-progress"), "--epochs", "2")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output.count("test accuracy") == 1 and "processes 2" in output
    assert len(re.findall("epoch 2/2.* 0%", errors)) == 1 and "epoch 2/2: 100%" in errors, errors
    for wrong, code, words in ((("nowhere",), 2, "No such file"), (("digits", "--epochs", "0"), 2, "at least 1")):
        process = start(2, "-m", "fastconv", "train", *wrong)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == code and errors.count("error:") == 1 and words in errors
        assert "Traceback" not in errors and "Abort" not in errors
