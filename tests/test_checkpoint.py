"""Checkpoint files: what is refused, damage, forgery, and the callback that keeps the last ones."""

import json

import numpy as np
import pytest
from checkpoint_runs import assert_same_tree, run, trainer_and_callbacks

from fastconv import layers as L
from fastconv.callbacks import Checkpoint
from fastconv.checkpoint import checkpoint_path, list_checkpoints, load_checkpoint, save_checkpoint
from fastconv.formats import FormatError
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import SGD
from fastconv.trainer import Trainer


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
        lambda t: t["callbacks"][0][1].update(best="x"),
        lambda t: t["callbacks"][0][1].update(waited=None),
        lambda t: t["callbacks"][0][1].update(best_weights=3),
        # Once refused only when training had ended, which was then lost.
        lambda t: t["callbacks"][0][1]["best_weights"].pop("0.weight"),
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
    "settings",
    [{"every": 0}, {"every_steps": 0}, {"keep_last": 0}, {"keep_last": None}, {"every": True}, {"every": None}],
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
