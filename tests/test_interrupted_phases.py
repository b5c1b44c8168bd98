"""Ctrl-C in every phase of a step, in every call that writes a checkpoint, and in an optimized network:
KeyboardInterrupt, a state that goes on, checkpoints that are whole, and the next call right."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from checkpoint_runs import TRANSFORM, assert_same, data, trainer_and_callbacks

import fastconv
from fastconv import layers as L
from fastconv.callbacks import Callback, Checkpoint
from fastconv.checkpoint import list_checkpoints, load_checkpoint
from fastconv.data import ArrayDataset
from fastconv.formats.atomic import FileLayer

PHASES = ("data", "transform", "forward", "loss", "backward", "optimizer", "callback", "validation")
CALLS = ("create", "write", "sync", "replace", "sync_folder", "remove")


class CtrlC:
    """Counts what a training comes by, and sends SIGINT at the n-th of a phase."""

    def __init__(self, phase="", n=1):
        self.phase, self.left = phase, n

    def passes(self, phase):
        if phase == self.phase:
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)

    def around(self, phase, function):
        def passing(*arguments, **settings):
            self.passes(phase)
            result = function(*arguments, **settings)
            self.passes(f"after {phase}")
            return result

        return passing


class Passing(L.Layer):
    """Comes by in both directions."""

    def __init__(self, ctrl_c):
        self.ctrl_c = ctrl_c

    def __call__(self, x):
        self.ctrl_c.passes("validation")
        return x

    def forward(self, x):
        self.ctrl_c.passes("forward")
        return x, self.ctrl_c.around("backward", lambda dy, needs_input=True: dy)


class Passed(Callback):
    def __init__(self, ctrl_c):
        self.ctrl_c = ctrl_c

    def on_step_end(self, trainer, logs):
        self.ctrl_c.passes("callback")


class Data(ArrayDataset):
    def __init__(self, ctrl_c, *arrays):
        super().__init__(*arrays)
        self.ctrl_c = ctrl_c

    def batch(self, indices, generator=None):
        self.ctrl_c.passes("data")
        return super().batch(indices, generator)


def files_of(ctrl_c):
    files = FileLayer()
    for name in CALLS:
        setattr(files, name, ctrl_c.around(name, getattr(files, name)))
    return files


def train(folder, ctrl_c, seed=3, resume=None):
    """The trainer, and whether it was interrupted."""
    trainer, callbacks = trainer_and_callbacks("Adam", seed)
    trainer.model.append(Passing(ctrl_c))
    trainer.loss.forward = ctrl_c.around("loss", trainer.loss.forward)
    trainer.optimizer.update = ctrl_c.around("optimizer", trainer.optimizer.update)
    x, y = data()
    callbacks = [Passed(ctrl_c), *callbacks, Checkpoint(folder, every_steps=2, files=files_of(ctrl_c))]
    settings = {"validation_data": (x[:10], y[:10]), "transform": ctrl_c.around("transform", TRANSFORM)}
    try:
        trainer.fit(
            Data(ctrl_c, x, y), epochs=2, batch_size=8, callbacks=callbacks, progress=False, resume=resume, **settings
        )
    except KeyboardInterrupt:
        return trainer, True
    return trainer, False


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), CtrlC())[0]


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("phase", [*PHASES, "after loss", "after backward", "after optimizer", "after transform"])
def test_ctrl_c_in_every_phase_of_a_step(phase, n, whole, tmp_path):
    n = n if phase != "validation" else n % 2 + 1
    ctrl_c, handler = CtrlC(phase, n), signal.getsignal(signal.SIGINT)
    trainer, interrupted = train(tmp_path / "run", ctrl_c)
    assert interrupted and ctrl_c.left <= 0  # below where the step was let end
    assert signal.getsignal(signal.SIGINT) is handler
    goes_on(trainer, whole, tmp_path)


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("call", [*CALLS, *(f"after {call}" for call in CALLS)])
def test_ctrl_c_in_every_call_that_writes_a_checkpoint(call, n, whole, tmp_path):
    trainer, interrupted = train(tmp_path / "run", CtrlC(call, n))
    assert interrupted
    assert list_checkpoints(tmp_path / "run")
    goes_on(trainer, whole, tmp_path)


def goes_on(trainer, whole, folder):
    """From what is in memory and, where one was written, from the checkpoints."""
    trainer.save(folder / "saved.safetensors")
    assert_same(train(folder / "other", CtrlC(), 8, folder / "saved.safetensors")[0], whole)
    checkpoints = list_checkpoints(folder / "run")
    assert {path.name for path in (folder / "run").iterdir()} == {os.path.basename(path) for _, path in checkpoints}
    for _, path in checkpoints:
        load_checkpoint(path)
    if checkpoints:
        assert_same(train(folder / "run", CtrlC(), 9, folder / "run")[0], whole)


def test_ctrl_c_in_an_optimized_call():
    """At moments all over a call and the making of its plan: soon, and the next call gives the same bits."""
    g = np.random.default_rng(0)
    model = L.Sequential(*(L.Conv2d(32, 32, 3, padding=1, generator=g) for _ in range(12)), L.BatchNorm2d(32), L.ReLU())
    x = g.normal(size=(8, 32, 48, 48)).astype(np.float32)
    fast, weights = fastconv.optimize(model, x.shape), model.state_dict()
    wanted = fast(x)
    for attempt in range(16):
        timer = threading.Timer(0.002 + 0.007 * attempt, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            end = time.monotonic() + 30
            while time.monotonic() < end:
                if attempt % 2:
                    fastconv.optimize(model, x.shape)
                else:
                    fast(x)
        timer.join()
        np.testing.assert_array_equal(fast(x), wanted)
    np.testing.assert_array_equal(fastconv.optimize(model, x.shape)(x), wanted)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])
