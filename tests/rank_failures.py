"""Run under mpiexec: rank 1 fails in the way that the argument names while the others wait for it in a training."""

import os
import signal
import sys
from contextlib import nullcontext, suppress

from rank_training import data, network

from fastconv.callbacks import Callback
from fastconv.distributed import world
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import SGD
from fastconv.trainer import Trainer


class Fail(Callback):
    """After the third step."""

    def on_step_end(self, trainer, logs):
        if trainer.step == 3 and trainer.communicator.rank == 1:
            if sys.argv[1] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if sys.argv[1] == "exit":
                sys.exit(7)
            raise LookupError("something is missing here")


if __name__ == "__main__":
    model, communicator = network("plain"), world()
    x, y = data(40 + (sys.argv[1] in ("differ", "catch")) * communicator.rank)
    trainer = Trainer(model, SGD(model.parameters()), CrossEntropyLoss(), communicator=communicator)
    with suppress(ValueError) if sys.argv[1] == "catch" else nullcontext():
        trainer.fit(x, y, 1000, 13, callbacks=[Fail()], progress=False)
