"""Trainer: learning, reproducibility, data sets, arguments."""

import json
import sys
import threading

import numpy as np
import pytest
from training_runs import assert_same_state, fit, jitter, small_data, small_trainer

import fastconv
from fastconv import layers as L
from fastconv.callbacks import EarlyStopping, LearningRate
from fastconv.data import ArrayDataset, load_digits
from fastconv.losses import CrossEntropyLoss, MSELoss
from fastconv.optim import SGD, Adam
from fastconv.schedules import OneCycleLR, StepLR
from fastconv.trainer import Trainer


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


def test_training_works_in_a_thread():
    trainer = small_trainer()
    thread = threading.Thread(target=fit, args=(trainer, *small_data(), 1, 16))
    thread.start()
    thread.join()
    assert trainer.epoch == 1


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
        (lambda t, x, y: t.fit(x, y, callbacks=[3]), "callbacks must be Callbacks"),
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


def test_the_number_of_threads_changes_no_bit():
    threads = fastconv.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            fastconv.set_num_threads(count)
            trainer = small_trainer()
            history = fit(trainer, *small_data(), 2, 16)
            results.append((history, trainer.model.state_dict()))
    finally:
        fastconv.set_num_threads(threads)
    for history, state in results[1:]:
        assert history == results[0][0]
        assert_same_state(state, results[0][1])
