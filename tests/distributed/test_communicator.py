"""The communicator of one process, the environment of launchers, the division of cores, buckets of gradients."""

import sys

import numpy as np
import processes
import pytest
from training_runs import assert_same_state, fit, small_data, small_trainer

from fastconv import distributed
from fastconv.distributed import Communicator, RankError, gradients, launched, world
from fastconv.distributed.gradients import GradientBuffer
from fastconv.distributed.launch import cores_of_rank
from fastconv.layers import BatchNorm2d
from fastconv.layers._synchronised import synchronised
from fastconv.layers.base import Parameter
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import SGD
from fastconv.trainer import Trainer

VARIABLES = ("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_alone_everything_is_complete_at_once():
    communicator, array = world(), np.arange(3.0)
    assert type(communicator) is Communicator and (communicator.rank, communicator.size) == (0, 1)
    assert communicator.allreduce(array) is array and communicator.broadcast(array) is array
    assert communicator.share("x") == "x" and communicator.gather(2) == [2]
    assert communicator.any(True) and not communicator.any(False)
    request = communicator.start_allreduce(array)
    request.wait()
    assert request.test() and communicator.all_arrive(0)
    communicator.barrier()
    with pytest.raises(KeyError, match="here"), communicator.together():
        raise KeyError("here")
    np.testing.assert_array_equal(array, np.arange(3.0))


def test_another_ranks_failure_is_told():
    class Second(Communicator):
        rank, size = 1, 2

        def gather(self, value):
            return ["OSError: disk full", value]

    with pytest.raises(RankError, match="rank 0 of 2 failed: OSError: disk full"), Second().together():
        pass


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, (1, 4)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, (0, 2)),
        ({"PMIX_RANK": "3"}, (3, None)),
        ({"PMI_RANK": "", "PMI_SIZE": "4"}, None),
    ],
)
def test_launchers_are_known_by_their_environment(monkeypatch, environment, found):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched() == found


def test_a_missing_mpi4py_names_the_extra():
    code = (
        "import sys; sys.modules['mpi4py'] = None\n"
        "from fastconv.distributed import world\n"
        "try: world()\n"
        "except ImportError as error: print(error)"
    )
    done = processes.run(code, PMI_RANK="0", PMI_SIZE="2")
    assert 'pip install "fastconv[mpi]"' in done.stdout
    command = "import sys; sys.modules['mpi4py'] = None\nfrom fastconv.cli import main; sys.exit(main(sys.argv[1:]))"
    done = processes.run(command, "train", "digits", "--no-progress", expect=2, PMI_RANK="0", PMI_SIZE="2")
    assert done.stderr.count("\n") == 1 and 'pip install "fastconv[mpi]"' in done.stderr


def test_mpi_is_not_touched_without_a_launcher():
    processes.run("import sys, fastconv.distributed as d; d.world(); assert 'mpi4py' not in sys.modules")


@pytest.mark.parametrize(
    ("own", "of_all", "quota", "threads"),
    [
        ([0, 1], [[0, 1], [0, 1]], None, 1),
        ([0, 1, 2, 3], [[0, 1, 2, 3]] * 2, None, 2),
        ([0, 1, 2], [[0, 1, 2]] * 2, None, 1),
        ([4, 5, 6, 7], [[0, 1, 2, 3], [4, 5, 6, 7]], None, 4),  # bound by the launcher: they share nothing
        ([0], [[0], [0]], None, 1),
        (list(range(8)), [list(range(8))] * 2, 4, 2),  # a container's quota for all of them
        (list(range(9)), [list(range(9))] * 3, None, 3),
    ],
)
def test_cores_are_divided(own, of_all, quota, threads):
    assert cores_of_rank(own, of_all, quota) == threads


class Doubling(Communicator):
    """Two ranks of which the other always has the same."""

    size = 2

    def __init__(self):
        self.sent = []

    def allreduce(self, array):
        array *= 2
        return array

    def start_allreduce(self, array):
        self.sent.append(array.nbytes)
        self.allreduce(array)
        return super().start_allreduce(array)


def test_buckets_go_while_others_are_still_missing(monkeypatch):
    monkeypatch.setattr(gradients, "_BUCKET_BYTES", 4000)
    shapes = (30, 30), (7,), (), (40, 30), (3,)
    parameters = [Parameter(np.zeros(shape, np.float32 if shape else np.float64)) for shape in shapes]
    communicator = Doubling()
    buffer = GradientBuffer(communicator, parameters)
    rng = np.random.default_rng(0)
    for step in range(3):
        given = [rng.standard_normal(p.data.shape).astype(p.data.dtype) for p in parameters]
        communicator.sent.clear()
        with buffer.receiving():
            large = given[3].copy()
            parameters[4].add_gradient(given[4].copy())
            parameters[3].add_gradient(large)
            # What fills a bucket goes first, then the others, but not before all parts that a step has shown.
            assert communicator.sent == ([] if step == 2 else [4800, 64])
            parameters[0].add_gradient(given[0].copy())
            if step == 1:  # a second part of one whose bucket has gone
                parameters[3].add_gradient(given[3].copy())
            parameters[2].add_gradient(given[2].copy())
            totals = buffer.finish(np.array([1.5, 2.0]))
        assert communicator.sent == [4800, 64, 64, 64 + 3648]
        np.testing.assert_array_equal(totals, [3, 4])
        for place, factor in ((4, 2), (3, 4 if step == 1 else 2), (2, 2), (0, 2)):
            np.testing.assert_allclose(parameters[place].grad, factor * given[place], rtol=1e-6)
        assert np.shares_memory(parameters[3].grad, large), "summed where it is"
        assert parameters[1].grad is None and parameters[1].receiver is None


def test_synchronised_batch_norm_is_that_of_both_halves():
    """Two ranks with the same x: statistics, results and gradients of a batch that holds it twice."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((3, 2, 4, 5)) for _ in range(2))
    for relu in (False, True):
        one, two = BatchNorm2d(2).astype(np.float64), BatchNorm2d(2).astype(np.float64)
        for norm in (one, two):
            norm.weight.data[:], norm.bias.data[:] = (0.5, -2), (0.1, 0.3)
        with synchronised(Doubling().allreduce):
            y, back = one.forward(x, relu=relu)
            dx = back(dy.copy())
        wanted, whole = two.forward(np.concatenate([x, x]), relu=relu)
        wanted_dx = whole(np.concatenate([dy, dy]))
        np.testing.assert_allclose(y, wanted[:3], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(dx, wanted_dx[:3], rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(2 * one.weight.grad, two.weight.grad, rtol=1e-12)
        np.testing.assert_allclose(one.running_var, two.running_var, rtol=1e-12)


def test_a_trainer_with_a_communicator_of_one_is_one_without():
    results = []
    for more in ({}, {"communicator": world(), "synchronise_batch_norm": True}):
        trainer = small_trainer()
        trainer = Trainer(trainer.model, trainer.optimizer, trainer.loss, **more)
        fit(trainer, *small_data(), 2, 16)
        results.append(trainer.model.state_dict())
    assert_same_state(*results)


def test_wrong_communicators_and_batches():
    trainer = small_trainer()
    with pytest.raises(TypeError, match=r"communicator must be a fastconv\.distributed\.Communicator, got 3"):
        Trainer(trainer.model, trainer.optimizer, trainer.loss, communicator=3)
    trainer = Trainer(trainer.model, SGD(trainer.model.parameters()), CrossEntropyLoss(), communicator=Doubling())
    with pytest.raises(ValueError, match="no batch of 1 for 2 ranks"):
        fit(trainer, *small_data(), 1, 1)


def test_names():
    assert set(distributed.__all__) <= set(dir(distributed)) and "fastconv.distributed" in sys.modules
