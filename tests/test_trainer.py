"""Trainer: learning, reproducibility, callbacks, and what is left behind when a step fails."""

import json
import os
import signal
import sys
import threading

import numpy as np
import pytest

from fastconv import layers as L
from fastconv.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, LearningRate
from fastconv.data import ArrayDataset, load_digits
from fastconv.losses import CrossEntropyLoss, MSELoss
from fastconv.optim import SGD, Adam
from fastconv.schedules import OneCycleLR, StepLR
from fastconv.trainer import Trainer


def small_data(n=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, n)


def small_trainer(seed=0, kind=Adam, **settings):
    g = np.random.default_rng(1)
    model = L.Sequential(
        L.Conv2d(1, 3, 3, padding=1, generator=g), L.BatchNorm2d(3), L.ReLU(), L.Flatten(), L.Dropout(0.3),
        L.Linear(48, 3, generator=g),
    )  # fmt: skip
    return Trainer(model, kind(model.parameters(), **settings), CrossEntropyLoss(), seed=seed)


def fit(trainer, *arguments, **settings):
    return trainer.fit(*arguments, progress=False, **settings)


def assert_same_state(one, two):
    for (name, value), other in zip(one.items(), two.values(), strict=True):
        np.testing.assert_array_equal(value, other, err_msg=name)


def test_a_small_net_learns_the_digits():
    (x, y), (x_test, y_test) = load_digits()
    g = np.random.default_rng(0)
    model = L.Sequential(
        L.Conv2d(1, 8, 3, padding=1, generator=g), L.BatchNorm2d(8), L.ReLU(), L.MaxPool2d(2),
        L.Conv2d(8, 16, 3, padding=1, generator=g), L.BatchNorm2d(16), L.ReLU(), L.MaxPool2d(2),
        L.Flatten(), L.Linear(64, 10, generator=g),
    )  # fmt: skip
    optimizer = Adam(model.parameters(), lr=1e-2)
    trainer = Trainer(model, optimizer, CrossEntropyLoss(label_smoothing=0.05))
    schedule = LearningRate(OneCycleLR(optimizer, 1e-2, epochs=5, steps_per_epoch=23), per="step")
    history = fit(trainer, x, y, 5, 64, (x_test, y_test), [schedule])
    assert history["val_accuracy"][-1] > 0.95
    measured = trainer.evaluate(x_test, y_test, 100)
    assert measured["accuracy"] == history["val_accuracy"][-1]
    scores = trainer.predict(x_test, 100)
    assert scores.shape == (len(x_test), 10)
    assert (scores.argmax(axis=1) == y_test).mean() == pytest.approx(measured["accuracy"])
    assert json.loads(json.dumps(history)) == history


def test_regression_has_no_accuracy():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [-2.0], [0.5]], np.float32)
    model = L.Linear(3, 1)
    trainer = Trainer(model, SGD(model.parameters(), lr=0.1, momentum=0.5), MSELoss())
    history = fit(trainer, x, y, 20, 10)
    assert set(history) == {"loss", "lr"} and history["loss"][-1] < 1e-3
    np.testing.assert_allclose(model.weight.data, [[1.0, -2.0, 0.5]], atol=0.05)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    results = []
    for seed in (3, 3, 4):
        trainer = small_trainer(seed)
        history = fit(trainer, *small_data(), 3, 16, transform=jitter)
        results.append((history, trainer.model.state_dict()))
    assert results[0][0] == results[1][0] != results[2][0]
    assert_same_state(results[0][1], results[1][1])


def jitter(x, generator):
    return x + generator.normal(size=x.shape).astype(x.dtype) * np.float32(0.1)


def test_the_global_random_state_has_no_part():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    fit(small_trainer(), *small_data(), 1, 16)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_a_dropout_keeps_the_generator_it_was_given():
    generator = np.random.default_rng(5)
    model = L.Sequential(L.Dropout(generator=generator), L.Dropout(), L.Linear(2, 2))
    Trainer(model, SGD(model.parameters()), CrossEntropyLoss(), seed=1)
    assert model[0].generator is generator and model[1].generator is not None


class Recorder(Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, trainer):
        self.calls.append("begin")

    def on_step_end(self, trainer, logs):
        self.calls.append(trainer.step)

    def on_epoch_end(self, trainer, logs):
        self.calls.append(f"epoch {trainer.epoch}")

    def on_train_end(self, trainer):
        self.calls.append("end")


def test_callbacks_are_called_in_order():
    recorder = Recorder()
    fit(small_trainer(), *small_data(), 2, 20, callbacks=[recorder])
    assert recorder.calls == ["begin", 1, 2, 3, "epoch 1", 4, 5, 6, "epoch 2", "end"]


class Dataset:
    """The least that the trainer asks of a data set."""

    def __init__(self, x, y):
        self.x, self.y, self.asked = x, y, []

    def __len__(self):
        return len(self.x)

    def batch(self, indices):
        self.asked.append(indices)
        return self.x[indices], self.y[indices]


def test_data_sets_give_the_same_as_arrays():
    x, y = small_data()
    plain, wrapped, own = small_trainer(), small_trainer(), small_trainer()
    fit(plain, x, y, 2, 16, (x, y))
    dataset = Dataset(x, y)
    fit(wrapped, dataset, epochs=2, batch_size=16, validation_data=ArrayDataset(x, y))
    fit(own, ArrayDataset(x, y), None, 2, 16, (x, y))
    assert plain.history == wrapped.history == own.history
    np.testing.assert_array_equal(np.sort(np.concatenate(dataset.asked[:4])), np.arange(len(x)))
    np.testing.assert_array_equal(plain.predict(dataset, 16), plain.predict(x, 16))
    assert plain.evaluate(dataset, batch_size=16) == plain.evaluate(x, y, 16)


def test_order_without_shuffle_and_drop_last():
    x, y = small_data(10)
    dataset = Dataset(x, y)
    fit(small_trainer(), dataset, epochs=1, batch_size=4, shuffle=False, drop_last=True)
    np.testing.assert_array_equal(np.concatenate(dataset.asked), np.arange(8))


def test_a_data_sets_transform_gets_the_trainers_generator():
    x, y = small_data()
    histories = [fit(small_trainer(2), ArrayDataset(x, y, jitter), epochs=2, batch_size=16) for _ in range(2)]
    assert histories[0] == histories[1]


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


def test_training_works_in_a_thread():
    trainer = small_trainer()
    thread = threading.Thread(target=fit, args=(trainer, *small_data(), 1, 16))
    thread.start()
    thread.join()
    assert trainer.epoch == 1


def test_early_stopping_counts_epochs_without_gain():
    trainer = small_trainer(lr=1e-12)
    stopping = EarlyStopping("loss", patience=2, min_delta=10.0)
    history = fit(trainer, *small_data(), 10, 16, callbacks=[stopping])
    assert len(history["loss"]) == 3 and stopping.waited == 2


class Scripted(Callback):
    """Puts numbers of its own into the logs."""

    priority = -1

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, trainer, logs):
        logs["score"] = self.values[trainer.epoch - 1]


@pytest.mark.parametrize(
    ("mode", "values", "epochs", "best"),
    [
        ("max", [1.0, 2.0, 1.5, 1.9, 9.0], 4, 2.0),
        ("min", [3.0, 2.0, 2.0, 5.0, 0.0], 4, 2.0),
        ("max", [float("nan"), float("nan"), 1.0], 2, None),
        ("max", [1.0, float("nan"), 2.0, 3.0, 4.0], 5, 4.0),
        ("min", [1.0, float("inf"), float("nan"), 0.0], 3, 1.0),
    ],
)
def test_early_stopping_by_hand(mode, values, epochs, best):
    trainer = small_trainer()
    stopping = EarlyStopping("score", patience=2, mode=mode)
    fit(trainer, *small_data(20), 5, 20, callbacks=[stopping, Scripted(values)])
    assert trainer.epoch == epochs and stopping.best == best


def test_early_stopping_gives_the_best_weights_back():
    trainer = small_trainer()
    states = []

    class Keep(Callback):
        def on_epoch_end(self, trainer, logs):
            states.append(trainer.model.state_dict())

    stopping = EarlyStopping("score", patience=2, mode="max", restore_best=True)
    fit(trainer, *small_data(), 9, 16, callbacks=[Scripted([1, 5, 2, 3]), stopping, Keep()])
    assert trainer.epoch == 4
    assert_same_state(trainer.model.state_dict(), states[1])


def test_early_stopping_names_what_there_is():
    with pytest.raises(ValueError, match="'val_loss' is not one of loss, accuracy, lr"):
        fit(small_trainer(), *small_data(), 1, 16, callbacks=[EarlyStopping()])


def test_csv_log(tmp_path):
    trainer = small_trainer()
    path = tmp_path / "log.csv"
    history = fit(trainer, *small_data(), 2, 16, callbacks=[CSVLogger(path)])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,accuracy,lr" and len(lines) == 3
    assert lines[2].split(",")[:2] == ["2", repr(history["loss"][1])]


def test_learning_rate_per_epoch():
    trainer = small_trainer(lr=1.0)
    history = fit(trainer, *small_data(), 3, 16, callbacks=[LearningRate(StepLR(trainer.optimizer, 1, 0.5))])
    assert history["lr"] == [1.0, 0.5, 0.25]
    other = StepLR(small_trainer().optimizer, 1)
    with pytest.raises(ValueError, match="another optimizer"):
        fit(trainer, *small_data(), 3, 16, callbacks=[LearningRate(other)])


def test_frozen_layers_stay_as_they_are():
    trainer = small_trainer()
    trainer.model[0].requires_grad_(False)
    trainer.model[1].requires_grad_(False).eval()
    before = trainer.model.state_dict()
    fit(trainer, *small_data(), 1, 16)
    after = trainer.model.state_dict()
    for name in before:
        assert np.array_equal(before[name], after[name]) == (name[0] in "01"), name


@pytest.mark.parametrize("tqdm", [True, False])
def test_progress_is_shown_with_and_without_tqdm(tqdm, capsys, monkeypatch):
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    x, y = small_data()
    small_trainer().fit(x, y, 2, 16, (x, y))
    shown = capsys.readouterr().err
    assert "epoch 2/2" in shown and "val_accuracy" in shown and "images/s" in shown and "loss" in shown


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda t, x, y: t.fit(x), "y is missing"),
        (lambda t, x, y: t.fit(ArrayDataset(x, y), y), "y must be None"),
        (lambda t, x, y: t.fit(x, y[:-1]), "same first dimension"),
        (lambda t, x, y: t.fit(x, y, batch_size=0), "batch_size must be at least 1"),
        (lambda t, x, y: t.fit(x, y, batch_size=2.0), "batch_size must be an integer"),
        (lambda t, x, y: t.fit(x, y, epochs=-1), "epochs must be at least 0"),
        (lambda t, x, y: t.fit(x[:0], y[:0]), "no samples"),
        (lambda t, x, y: t.fit(x, y, batch_size=99, drop_last=True), "no batch of 99"),
        (lambda t, x, y: t.fit(x, y, transform=3), "transform must be callable"),
        (lambda t, x, y: t.fit(x, y, validation_data=x), "validation_data must be"),
        (lambda t, x, y: t.evaluate(x[:0], y[:0]), "no samples"),
        (lambda t, x, y: t.save("x"), "nothing was trained"),
        (lambda t, x, y: Trainer(3, t.optimizer, t.loss), "model must be a Layer"),
        (lambda t, x, y: Trainer(t.model, 3, t.loss), "optimizer must be"),
        (lambda t, x, y: Trainer(t.model, t.optimizer, 3), "loss must have forward"),
        (lambda t, x, y: CrossEntropyLoss(2.0), "label_smoothing"),
        (lambda t, x, y: CrossEntropyLoss("x"), "label_smoothing"),
        (lambda t, x, y: LearningRate(3), "schedule"),
        (lambda t, x, y: LearningRate(StepLR(t.optimizer, 1), "batch"), "per"),
        (lambda t, x, y: EarlyStopping(patience=0), "patience"),
        (lambda t, x, y: EarlyStopping(mode="up"), "mode"),
        (lambda t, x, y: EarlyStopping(min_delta=-1), "min_delta"),
    ],
)
def test_wrong_arguments(call, error):
    with pytest.raises((TypeError, ValueError), match=error):
        call(small_trainer(), *small_data())


def test_zero_epochs_do_nothing():
    assert fit(small_trainer(), *small_data(), 0, 16) == {}


def test_predict_of_nothing_and_of_less_than_a_batch():
    trainer = small_trainer()
    x, _ = small_data(5)
    assert trainer.predict(x[:0]).shape == (0, 3)
    np.testing.assert_array_equal(trainer.predict(x), trainer.model(x))
    np.testing.assert_allclose(trainer.predict(x, 2), trainer.model(x), rtol=1e-5, atol=1e-6)
