"""Crashes at every call to the system while a file is written, two writers, kill -9, odd targets."""

import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from checkpoint_runs import assert_same, assert_same_tree, run, trainer_and_callbacks
from failing_files import FailingFiles, Killed

from fastconv.callbacks import Checkpoint
from fastconv.checkpoint import load_checkpoint, save_checkpoint
from fastconv.formats.atomic import write_atomically


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("error", [Killed, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("existing", [False, True])
def test_a_crash_at_every_call_leaves_the_old_or_the_new(tmp_path, error, half, existing):
    path = tmp_path / "c.safetensors"
    old, new = {"a": np.zeros(1000)}, {"a": np.ones(2000), "b": 3}
    calls = 0
    while True:
        calls += 1
        if existing:
            save_checkpoint(path, old)
        files = FailingFiles(calls, error, half)
        try:
            save_checkpoint(path, new, files)
            done = True
        except (error, OSError):
            done = False
        if existing or done:
            state = load_checkpoint(path)
            assert_same_tree(state, new if state.get("b") else old)
        elif path.exists():
            assert_same_tree(load_checkpoint(path), new)
        if error is not Killed:
            assert {entry.name for entry in tmp_path.iterdir()} <= {path.name}
        if files.left > 0:
            break
        for entry in tmp_path.iterdir():
            entry.unlink()
    assert calls >= 5 and done


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("error", [Killed, OSError])
def test_a_crash_while_training_and_rotating_leaves_something_to_resume(tmp_path, error, half):
    whole, callbacks = trainer_and_callbacks()
    run(whole, callbacks, 2)
    n = 7  # the first checkpoint is complete: create, write, sync, replace, sync_folder
    while True:
        folder = tmp_path / str(n)
        files = FailingFiles(n, error, half)
        trainer, callbacks = trainer_and_callbacks()
        with suppress(error, OSError):
            run(trainer, [*callbacks, Checkpoint(folder, every_steps=3, files=files)], 2)
        again, callbacks = trainer_and_callbacks(seed=9)
        run(again, callbacks, 2, resume=folder)
        assert_same(again, whole)
        if files.left > 0:
            break
        n += 3


def test_permissions_links_and_odd_targets(tmp_path):
    path = tmp_path / "c"
    write_atomically(path, [b"old"])
    default = stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    assert default == 0o666 & ~umask
    path.chmod(0o640)
    write_atomically(path, [b"ne", bytearray(b"w")])
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    link = tmp_path / "link"
    link.symlink_to(path)
    write_atomically(link, [b"through"])
    assert link.is_symlink() and path.read_bytes() == b"through"
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, [b"x"])
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "c", [b"x"])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["c", "link"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            write_atomically(tmp_path / "c", [b"x"])
    finally:
        tmp_path.chmod(0o700)


def test_two_writers_leave_one_whole_file(tmp_path):
    path = tmp_path / "c.safetensors"
    trees = [{"who": who, "a": np.full(5000, float(who))} for who in range(2)]
    stop = threading.Event()

    def write(tree):
        while not stop.is_set():
            save_checkpoint(path, tree)

    threads = [threading.Thread(target=write, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            if path.exists():
                state = load_checkpoint(path)
                assert_same_tree(state, trees[state["who"]])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_kill_at_random_moments(tmp_path):
    path = tmp_path / "c.safetensors"
    code = """
        import sys
        import numpy as np
        from fastconv.checkpoint import save_checkpoint
        n = 0
        while True:
            n += 1
            save_checkpoint(sys.argv[1], {"n": n, "a": np.full(20000, float(n))})
            if n == 1:
                print("ready", flush=True)
    """
    for pause in (0.0, 0.013, 0.041):
        command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(pause)
            process.kill()
        state = load_checkpoint(path)
        assert (state["a"] == state["n"]).all()
