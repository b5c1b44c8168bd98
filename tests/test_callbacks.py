"""Callbacks: order of calls, early stopping, CSV log, learning rates."""

import pytest
from training_runs import assert_same_state, fit, small_data, small_trainer

from fastconv.callbacks import Callback, CSVLogger, EarlyStopping, LearningRate
from fastconv.schedules import StepLR


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
