"""Resumed training is the uninterrupted one, to the bit."""

import pytest
from checkpoint_runs import OPTIMIZERS, TRANSFORM, assert_same, data, run, trainer_and_callbacks

from fastconv.callbacks import Callback, Checkpoint, EarlyStopping
from fastconv.checkpoint import list_checkpoints, load_checkpoint
from fastconv.data import ArrayDataset
from fastconv.formats import FormatError


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
