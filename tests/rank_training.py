"""Run alone or under mpiexec: trains as the arguments say (optimizer, batch norm, epochs) and rank 0 saves weights and
history. It asserts nothing: test_training.py compares what different numbers of ranks wrote."""

import json
import sys

import numpy as np

from fastconv import layers as L
from fastconv.callbacks import Checkpoint, CSVLogger
from fastconv.distributed import world
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import SGD, Adam
from fastconv.trainer import Trainer

OPTIMIZERS = {
    "sgd": lambda parameters: SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "adam": lambda parameters: Adam(parameters, lr=3e-3),
}


class Twice(L.Layer):
    """A layer used once in the odd forwards and twice in the even: the parts of its gradient are not known before."""

    def __init__(self, layer):
        self.layer, self.calls = layer, 0

    def __call__(self, x):
        return self.layer(self.layer(x))

    def forward(self, x):
        self.calls += 1
        first, back_first = self.layer.forward(x)
        if self.calls % 2:
            return first, back_first
        second, back_second = self.layer.forward(first)
        return second, lambda dy, needs_input=True: back_first(back_second(dy), needs_input=needs_input)


def network(kind):
    g = np.random.default_rng(2)
    shared = L.Conv2d(6, 6, 3, padding=1, generator=g)
    norms = [L.BatchNorm2d(6), L.BatchNorm2d(6, affine=False)] if kind == "norm" else []
    again = [Twice(L.Conv2d(6, 6, 1, generator=g))] if kind == "twice" else []
    # The gradient of a bias before batch norm is nothing but rounding, which Adam would make steps of.
    return L.Sequential(
        L.Conv2d(1, 6, 3, padding=1, bias=kind != "norm", generator=g), *norms[:1], L.ReLU(),
        shared, *norms[1:], L.ReLU(), shared, *again, L.Flatten(), L.Linear(96, 3, generator=g),
    )  # fmt: skip


def data(n=53):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, n)


def main(optimizer, kind, out, batch_size="13"):
    communicator = world()
    model = network(kind)
    if communicator.rank:  # begins with the weights of rank 0, whatever its own were
        model[0].weight.data += 1
    x, y = data()
    trainer = Trainer(
        model, OPTIMIZERS[optimizer](model.parameters()), CrossEntropyLoss(),
        communicator=communicator, synchronise_batch_norm=True,
    )  # fmt: skip
    own = f"{out}-rank{communicator.rank}"  # of which only rank 0's may come to be
    callbacks = [CSVLogger(f"{own}.csv"), Checkpoint(f"{own}-checkpoints", every_steps=2)]
    history = trainer.fit(x, y, 3, int(batch_size), (x[:11], y[:11]), callbacks, progress=False)
    state = model.state_dict()
    for other in communicator.gather(state):
        assert all(np.array_equal(state[name], other[name]) for name in state), "ranks differ"
    if communicator.rank == 0:
        np.savez(f"{out}.npz", **state)
        with open(f"{out}.json", "w") as file:
            json.dump(history, file)
        print("ranks", communicator.size)


if __name__ == "__main__":
    main(*sys.argv[1:])
