"""Steps that fail or are interrupted have not happened: NaN, Ctrl-C, errors in either pass, bad labels."""

import os
import signal
import threading

import numpy as np
import pytest
from checkpoint_runs import assert_same, run, trainer_and_callbacks
from training_runs import assert_same_state, fit, small_data, small_trainer

from fastconv import layers as L
from fastconv.callbacks import Callback, Checkpoint
from fastconv.optim import Adam


def test_nan_stops_before_the_step_and_leaves_checkpoints_alone(tmp_path):
    x, y = small_data()
    trainer = small_trainer()
    fit(trainer, x, y, 1, 16, callbacks=[Checkpoint(tmp_path)])
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    before, optimizer = trainer.model.state_dict(), trainer.optimizer.state_dict()
    randoms = trainer.random.state()
    x[:] = np.nan
    with pytest.raises(FloatingPointError, match="the loss is nan in epoch 2, step 5"):
        fit(trainer, x, y, 2, 16, callbacks=[Checkpoint(tmp_path)], shuffle=True, resume=tmp_path)
    assert_same_state(trainer.model.state_dict(), before)
    assert_same_state(trainer.optimizer.state_dict()["state"]["0"], optimizer["state"]["0"])
    assert trainer.random.state()["layer 4"] == randoms["layer 4"]
    assert files == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    trainer = small_trainer()
    fit(trainer, *small_data(), 1, 16)
    trainer.model[0].weight.data[0] = np.inf
    with pytest.raises(FloatingPointError, match=r"0\.weight has values that are not finite"):
        trainer.save(tmp_path / "c.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_label_out_of_range_names_its_value_and_leaves_all_as_it_was():
    x, y = small_data()
    y[7] = 3
    trainer = small_trainer()
    before = trainer.model.state_dict()
    with pytest.raises(ValueError, match="labels"):
        fit(trainer, x, y, 1, 50)
    assert_same_state(trainer.model.state_dict(), before)


class FailAt(L.Layer):
    """Raises in the forward or the backward pass of the n-th call."""

    result = "input"

    def __init__(self, place, n, error):
        self.place, self.left, self.error = place, n, error

    def _count(self, place):
        if place == self.place:
            self.left -= 1
            if self.left == 0:
                raise self.error

    def __call__(self, x):
        return x

    def forward(self, x):
        self._count("forward")

        def back(dy, needs_input=True):
            self._count("back")
            return dy if needs_input else None

        return x, back


@pytest.mark.parametrize("place", ["forward", "back"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_step_that_fails_has_not_happened(place, error):
    """Weights, optimizer, batch-norm statistics and dropout states are those after the third step."""
    whole = small_trainer()
    data = small_data()
    fit(whole, *data, 1, 16, callbacks=[StopAfter(3)])
    broken = small_trainer()
    broken.model.append(FailAt(place, 4, error))
    with pytest.raises(error):
        fit(broken, *data, 1, 16)
    assert broken.step == 3
    assert_same_state(broken.model.state_dict(), whole.model.state_dict())
    assert_same_state(broken.optimizer.state_dict()["state"]["1"], whole.optimizer.state_dict()["state"]["1"])
    assert broken.random.state() == whole.random.state()


class StopAfter(Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, trainer, logs):
        if trainer.step == self.steps:
            trainer.position.batch = 10**6  # the epoch is over


class InterruptDuring(Adam):
    """Ctrl-C arrives in the middle of a step: after the first parameter has changed."""

    def update(self, parameter, group):
        super().update(parameter, group)
        if parameter is next(self.parameters()):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_inside_a_step_waits_for_its_end():
    data = small_data()
    whole = small_trainer()
    fit(whole, *data, 1, 16, callbacks=[StopAfter(1)])
    broken = small_trainer(kind=InterruptDuring)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, *data, 1, 16)
    assert signal.getsignal(signal.SIGINT) is handler
    assert broken.step == 1
    assert_same_state(broken.model.state_dict(), whole.model.state_dict())


def test_ctrl_c_at_any_moment_leaves_a_state_that_goes_on(tmp_path):
    """Interrupted by a timer again and again, saved and resumed each time: as if nothing had been."""
    data = small_data(200)
    whole = small_trainer()
    fit(whole, *data, 2, 8)
    trainer, resume = small_trainer(), None
    for attempt in range(200):
        timer = threading.Timer(0.01 + 0.003 * attempt, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            fit(trainer, *data, 2, 8, resume=resume)
            timer.cancel()
            timer.join()
            break
        except KeyboardInterrupt:
            timer.join()
            if trainer._settings is None or trainer.step == 0:
                trainer = small_trainer()
                continue
            resume = tmp_path / f"{attempt}.safetensors"
            trainer.save(resume)
            trainer = small_trainer(seed=99)
    assert trainer.history == whole.history
    assert_same_state(trainer.model.state_dict(), whole.model.state_dict())


class InterruptAt(Callback):
    """Ctrl-C arrives while a callback runs."""

    def __init__(self, moment):
        self.moment = moment

    def on_step_end(self, trainer, logs):
        if self.moment == "step" and trainer.step == 2:
            signal.raise_signal(signal.SIGINT)

    def on_epoch_end(self, trainer, logs):
        if self.moment == "epoch" and trainer.epoch == 1:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("moment", ["step", "epoch"])
def test_ctrl_c_between_a_step_and_its_callbacks_loses_none_of_them(moment, tmp_path):
    """The learning rate was one step behind the weights, and resumed training another one."""
    whole, callbacks = trainer_and_callbacks(per="epoch" if moment == "epoch" else "step")
    run(whole, callbacks, 2)
    part, callbacks = trainer_and_callbacks(per="epoch" if moment == "epoch" else "step")
    with pytest.raises(KeyboardInterrupt):
        run(part, [InterruptAt(moment), *callbacks], 2)
    part.save(tmp_path / "c")
    again, callbacks = trainer_and_callbacks(seed=8, per="epoch" if moment == "epoch" else "step")
    run(again, callbacks, 2, resume=tmp_path / "c")
    assert_same(again, whole)


def test_ctrl_c_while_the_order_of_an_epoch_is_drawn(tmp_path):
    """The generator had drawn it and the position had not: the next order was another."""
    whole, callbacks = trainer_and_callbacks()
    run(whole, callbacks, 2)
    part, callbacks = trainer_and_callbacks()

    class Drawing:
        def __init__(self, generator):
            self.generator, self.bit_generator = generator, generator.bit_generator

        def permutation(self, n):
            order = self.generator.permutation(n)
            signal.raise_signal(signal.SIGINT)
            return order

    part.random.order = Drawing(part.random.order)
    with pytest.raises(KeyboardInterrupt):
        run(part, callbacks, 2)
    part.save(tmp_path / "c")
    again, callbacks = trainer_and_callbacks(seed=8)
    run(again, callbacks, 2, resume=tmp_path / "c")
    assert_same(again, whole)
