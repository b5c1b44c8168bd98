"""Checkpoints: resuming to the bit, crashes at every call to the system, damage, two writers, keeping the last."""

import errno
import json
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

from fastconv import layers as L
from fastconv.callbacks import Callback, Checkpoint, EarlyStopping, LearningRate
from fastconv.checkpoint import checkpoint_path, list_checkpoints, load_checkpoint, save_checkpoint
from fastconv.data import ArrayDataset, Compose, RandomCrop, RandomHorizontalFlip
from fastconv.formats import FormatError
from fastconv.formats.atomic import FileLayer, write_atomically
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import SGD, Adam, AdamW
from fastconv.schedules import CosineAnnealingLR, OneCycleLR
from fastconv.trainer import Trainer

OPTIMIZERS = {
    "SGD": lambda params: SGD(params, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "Adam": lambda params: Adam(params, lr=1e-2, amsgrad=True),
    "AdamW": lambda params: AdamW(params, lr=1e-2),
}
TRANSFORM = Compose([RandomCrop(4, padding=1), RandomHorizontalFlip()])


def data(n=44):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, n)


def trainer_and_callbacks(kind="SGD", seed=3, per="step"):
    g = np.random.default_rng(seed)
    model = L.Sequential(
        L.Conv2d(1, 3, 3, padding=1, generator=g), L.BatchNorm2d(3, momentum=None), L.ReLU(), L.Dropout(0.2),
        L.Flatten(), L.Dropout(0.3, generator=np.random.Generator(np.random.Philox(seed))),
        L.Linear(48, 3, generator=g),
    )  # fmt: skip
    optimizer = OPTIMIZERS[kind](model.parameters())
    schedule = OneCycleLR(optimizer, 0.05, 24) if per == "step" else CosineAnnealingLR(optimizer, 4)
    callbacks = [EarlyStopping("loss", patience=50, restore_best=True), LearningRate(schedule, per)]
    return Trainer(model, optimizer, CrossEntropyLoss(0.1), seed=seed), callbacks


def run(trainer, callbacks, epochs=4, resume=None, **settings):
    x, y = data()
    settings = {"batch_size": 8, "validation_data": (x[:10], y[:10]), "transform": TRANSFORM, **settings}
    return trainer.fit(x, y, epochs, callbacks=callbacks, progress=False, resume=resume, **settings)


def assert_same(one, two):
    """Two trainers are in the same state, to the bit."""
    assert_same_tree(one._state(copy=False), two._state(copy=False))


def assert_same_tree(one, two, path=""):
    assert type(one) is type(two), path
    if isinstance(one, dict):
        assert list(one) == list(two), path
        for key in one:
            assert_same_tree(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), path
        for position, pair in enumerate(zip(one, two, strict=True)):
            assert_same_tree(*pair, f"{path}[{position}]")
    elif isinstance(one, np.ndarray):
        assert one.dtype == two.dtype and one.tobytes() == two.tobytes(), path
    else:
        assert one == two, path


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("per", ["step", "epoch"])
def test_resuming_from_any_step_is_the_uninterrupted_run(kind, per, tmp_path):
    whole, callbacks = trainer_and_callbacks(kind, per=per)
    run(whole, [*callbacks, Checkpoint(tmp_path, every=1, every_steps=1, keep_last=99)])
    found = list_checkpoints(tmp_path)
    assert [step for step, _ in found] == list(range(1, 25))
    for step, path in found:
        if step % 5 in (0, 1) or step == 24:
            again, callbacks = trainer_and_callbacks(kind, seed=77, per=per)  # other weights, other random states
            history = run(again, callbacks, resume=path)
            assert history == whole.history
            assert_same(again, whole)


def test_a_data_sets_own_transform_and_no_shuffle_resume_too(tmp_path):
    x, y = data()
    source = ArrayDataset(x, y, TRANSFORM)
    settings = {"batch_size": 8, "shuffle": False, "drop_last": True, "progress": False}
    whole, callbacks = trainer_and_callbacks()
    whole.fit(source, None, 3, callbacks=[*callbacks, Checkpoint(tmp_path, None, 7, 99)], **settings)
    again, callbacks = trainer_and_callbacks(seed=5)
    again.fit(source, None, 3, callbacks=callbacks, resume=list_checkpoints(tmp_path)[0][1], **settings)
    assert_same(again, whole)


def test_a_folder_resumes_from_the_newest_and_training_can_be_prolonged(tmp_path):
    whole, callbacks = trainer_and_callbacks(per="epoch")
    run(whole, callbacks[1:], 4)
    part, callbacks = trainer_and_callbacks(per="epoch")
    run(part, [*callbacks[1:], Checkpoint(tmp_path)], 2)
    rest, callbacks = trainer_and_callbacks(per="epoch", seed=1)
    run(rest, [*callbacks[1:], Checkpoint(tmp_path)], 4, resume=tmp_path)
    assert_same(rest, whole)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [18, 24]


def test_a_stopped_training_stays_stopped(tmp_path):
    trainer, _ = trainer_and_callbacks()
    stopping = EarlyStopping("loss", patience=1, min_delta=100.0)
    run(trainer, [stopping, Checkpoint(tmp_path)], 9)
    again, _ = trainer_and_callbacks()
    run(again, [EarlyStopping("loss", patience=1, min_delta=100.0)], 9, resume=tmp_path)
    assert again.epoch == trainer.epoch == 2
    assert_same(again, trainer)


class DamageAt(Callback):
    """Ends the process's training by an error after a step, as a crash would."""

    priority = 200

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer, logs):
        if trainer.step == self.step:
            raise KeyboardInterrupt


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(tmp_path):
    whole, callbacks = trainer_and_callbacks()
    run(whole, callbacks)
    part, callbacks = trainer_and_callbacks()
    with pytest.raises(KeyboardInterrupt):
        run(part, [*callbacks, Checkpoint(tmp_path, every_steps=2), DamageAt(9)])
    (_, older), (step, newest) = list_checkpoints(tmp_path)
    assert step == 8
    damage(newest, lambda content: content[:-1])
    with pytest.raises(FormatError):
        load_checkpoint(newest)
    again, callbacks = trainer_and_callbacks(seed=8)
    with pytest.warns(RuntimeWarning, match="damaged checkpoint is passed over"):
        run(again, callbacks, resume=tmp_path)
    assert_same(again, whole)
    damage(older, lambda content: b"")
    with pytest.raises(FormatError), pytest.warns(RuntimeWarning):
        run(trainer_and_callbacks()[0], [], resume=tmp_path)


def damage(path, change):
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(change(content))


# What a checkpoint refuses


@pytest.fixture
def written(tmp_path):
    trainer, callbacks = trainer_and_callbacks()
    run(trainer, [*callbacks, Checkpoint(tmp_path / "run")], 1)
    return trainer, list_checkpoints(tmp_path / "run")[-1][1]


def other_model():
    model = L.Sequential(L.Flatten(), L.Linear(16, 3))
    return Trainer(model, SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True), CrossEntropyLoss())


@pytest.mark.parametrize(
    ("build", "settings", "error"),
    [
        (lambda: (other_model(), trainer_and_callbacks()[1]), {}, r"not in the model: 0\.weight"),
        (lambda: trainer_and_callbacks("Adam"), {}, "the checkpoint is of SGD, not Adam"),
        (lambda: (trainer_and_callbacks()[0], []), {}, "with the callbacks: EarlyStopping, LearningRate"),
        (trainer_and_callbacks, {"batch_size": 9}, "batch_size=8, not 9"),
        (trainer_and_callbacks, {"shuffle": False, "drop_last": True}, "shuffle=True, not False; drop_last=False"),
    ],
)
def test_a_checkpoint_of_another_training_changes_nothing(written, build, settings, error):
    trainer, callbacks = build()
    model, optimizer, randoms = trainer.model.state_dict(), trainer.optimizer.state_dict(), trainer.random.state()
    with pytest.raises(ValueError, match=error):
        run(trainer, callbacks, resume=written[1], **settings)
    assert_same_tree(trainer.model.state_dict(), model)
    assert_same_tree(trainer.optimizer.state_dict(), optimizer)
    assert_same_tree(trainer.random.state(), randoms)


def test_every_prefix_and_every_changed_bit_is_a_format_error(tmp_path):
    path = tmp_path / "c.safetensors"
    tree = {"a": np.arange(3.0), "b": {"c": [1, 2.5, None, "x", True, float("inf")]}, "empty": np.zeros((0, 2))}
    save_checkpoint(path, tree)
    assert_same_tree(load_checkpoint(path), tree)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError):
            load_checkpoint(path)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        try:
            assert_same_tree(load_checkpoint(path), tree)  # a space in the header's padding says nothing
        except FormatError as error:
            assert str(path) in str(error)
    path.write_bytes(content + b"\0")
    with pytest.raises(FormatError):
        load_checkpoint(path)


def forge(path, change):
    """A checkpoint whose hash is right and whose state is not."""
    tree = load_checkpoint(path)
    change(tree)
    save_checkpoint(path, tree)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("model"),
        lambda t: t.update(position=3),
        lambda t: t["position"].pop("order"),
        lambda t: t["position"].update(batch=-1),
        lambda t: t["position"].update(batch=2, order=None),
        lambda t: t["position"].update(order=np.arange(3)),
        lambda t: t["position"].update(order=np.zeros(44, np.int64)),
        lambda t: t["position"].update(step=1.5),
        lambda t: t["position"].update(loss_sum="x"),
        lambda t: t.update(random={}),
        lambda t: t["random"].update(order={}),
        lambda t: t["random"]["order"].update(state={"state": -1, "inc": 1}),
        lambda t: t["random"]["order"].update(state=None),
        lambda t: t["random"]["order"].update(bit_generator="MT19937"),
        lambda t: t.update(optimizer=[]),
        lambda t: t.update(optimizer=["SGD", {}]),
        lambda t: t.update(callbacks=3),
        lambda t: t["callbacks"][1].append(3),
        lambda t: t["callbacks"][1][1].update(last_epoch=-3),
        lambda t: t["callbacks"][0][1].pop("best"),
        lambda t: t.update(history=[1]),
        lambda t: t.update(history={"loss": 3}),
        lambda t: t.update(settings=None),
        lambda t: t["model"].pop("0.weight"),
    ],
)
def test_a_forged_state_changes_nothing(written, change):
    trainer, callbacks = trainer_and_callbacks(seed=8)
    before = [trainer.model.state_dict(), trainer.optimizer.state_dict(), trainer.random.state()]
    forge(written[1], change)
    with pytest.raises(ValueError):
        run(trainer, callbacks, resume=written[1])
    after = [trainer.model.state_dict(), trainer.optimizer.state_dict(), trainer.random.state()]
    assert_same_tree(after, before)


def test_other_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "weights.safetensors"
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(FormatError, match=r"fastconv\.checkpoint '1'"):
        load_checkpoint(path)
    with pytest.raises(FormatError, match="a directory"):
        load_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        run(*trainer_and_callbacks(), resume=tmp_path)


@pytest.mark.parametrize("tree", [{"a": object()}, {1: 2}, {"$tensor": 1}, {"a": np.array(["x"])}])
def test_what_cannot_be_saved_is_a_type_error(tree, tmp_path):
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path / "c", tree)
    assert not list(tmp_path.iterdir())


# Crashes


class Killed(BaseException):
    """The process is gone: nothing after it takes effect."""


class FailingFiles(FileLayer):
    """The n-th call fails with `error`; after Killed all later calls do nothing either."""

    def __init__(self, n, error=Killed, half=False):
        self.left, self.error, self.half, self.dead = n, error, half, False

    def _pass(self, name, *arguments):
        if self.dead:
            raise self.error()
        self.left -= 1
        if self.left == 0:
            if self.half and name == "write":
                descriptor, piece = arguments
                super().write(descriptor, memoryview(piece)[: len(piece) // 2])
            elif self.half:
                result = getattr(super(), name)(*arguments)
                if name == "create":
                    os.close(result)
            self.dead = self.error is Killed
            raise self.error(errno.ENOSPC, "no space left") if self.error is OSError else self.error()
        return getattr(super(), name)(*arguments)


for _name in ("create", "write", "set_mode", "sync", "replace", "sync_folder", "remove"):
    setattr(FailingFiles, _name, lambda self, *a, _name=_name: self._pass(_name, *a))


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


# The callback


def test_only_the_last_stay_and_strangers_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    trainer, callbacks = trainer_and_callbacks()
    run(trainer, [*callbacks, Checkpoint(tmp_path, every=1, keep_last=3)])
    assert [step for step, _ in list_checkpoints(tmp_path)] == [12, 18, 24]
    assert (tmp_path / "notes.txt").exists()
    assert checkpoint_path(tmp_path, 24) == list_checkpoints(tmp_path)[-1][1]


def test_a_folder_of_another_training_is_refused(tmp_path):
    trainer, callbacks = trainer_and_callbacks()
    run(trainer, [*callbacks, Checkpoint(tmp_path)], 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    trainer, callbacks = trainer_and_callbacks()
    with pytest.raises(ValueError, match="holds the checkpoints of another training"):
        run(trainer, [*callbacks, Checkpoint(tmp_path)], 1)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "settings", [{"every": 0}, {"every_steps": 0}, {"keep_last": 0}, {"keep_last": None}, {"every": True}]
)
def test_wrong_arguments(settings, tmp_path):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Checkpoint(tmp_path, **settings)


def test_weights_can_be_read_by_any_reader_of_safetensors(written):
    from safetensors import safe_open

    trainer, path = written
    with safe_open(path, "np") as file:
        np.testing.assert_array_equal(file.get_tensor("model.0.weight"), trainer.model[0].weight.data)
        assert json.loads(file.metadata()["fastconv.state"])["position"]["epoch"] == 1
