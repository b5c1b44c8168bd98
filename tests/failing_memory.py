"""What must survive when memory runs out in it: every layer, a step of training, a network optimized and run.
`survived` tries each with the n-th allocation failing, for n = 1, 2, ... until none fails."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
from layer_cases import CASES, Case, inputs
from training_runs import fit

import fastconv
from fastconv import layers as L
from fastconv.layers import Layer
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import SGD, Adam
from fastconv.trainer import Trainer

# Images of a batch: results are then large enough to come from the kernels' own memory.
MANY = 96


@dataclass(frozen=True)
class Scenario:
    """`begin()` sets the stage, `call()` gives results, which are the same at every try, `state()` is what a failure
    must leave as it was before, or as it is after a call."""

    name: str
    begin: Callable[[], object]
    call: Callable[[], list[np.ndarray]]
    state: Callable[[], bytes]

    def __str__(self) -> str:
        return self.name


def bits(arrays: dict[str, np.ndarray]) -> bytes:
    return b"".join(name.encode() + array.tobytes() for name, array in arrays.items())


def survived(scenario: Scenario, fail: Callable[[int], int]) -> int:
    """How many allocations failed. `fail(n)` makes the n-th from now fail and gives what was left to count before."""
    scenario.begin()
    before, wanted = scenario.state(), bits_of(scenario.call())
    after = scenario.state()
    for n in count(1):
        scenario.begin()
        fail(n)
        try:
            got = scenario.call()
        except MemoryError:
            got = None
        finally:
            left = fail(0)
        now = scenario.state()
        if now not in (before, after):
            raise AssertionError(f"{scenario}: allocation {n} failed, and the state is neither that before nor after")
        if got is None and now == before:
            got = scenario.call()
        if got is not None and bits_of(got) != wanted:
            raise AssertionError(f"{scenario}: other results after allocation {n} failed")
        if left > 0:
            return n - 1
    raise AssertionError("unreachable")


def bits_of(arrays: list[np.ndarray]) -> bytes:
    return bits({str(number): array for number, array in enumerate(arrays)})


def of_layer(case: Case) -> Scenario:
    """Forward and backward for training, and inference."""
    layer = case.build()
    x = np.repeat(inputs(case, np.float32), MANY, axis=0)
    for parameter in layer.parameters():
        parameter.data = parameter.data.astype(np.float32)
    for _, own, name in layer.named_entries():
        if name in own.buffer_names and getattr(own, name).dtype.kind == "f":
            setattr(own, name, getattr(own, name).astype(np.float32))
    first, given = layer.state_dict(), x.tobytes()
    drawing = [own.generator for _, own in layer.named_layers() if getattr(own, "generator", None) is not None]
    states = [generator.bit_generator.state for generator in drawing]

    def call() -> list[np.ndarray]:
        layer.load_state_dict(first)
        for generator, state in zip(drawing, states, strict=True):
            generator.bit_generator.state = state
        for parameter in layer.parameters():
            parameter.grad = None
        y, back = layer.forward(x)
        dx = back(np.ones_like(y))
        return [y.copy(), dx, layer(x), *(parameter.grad for parameter in layer.parameters())]

    def state() -> bytes:
        if x.tobytes() != given:
            raise AssertionError(f"{case}: the input was changed")
        return bits(layer.state_dict())

    return Scenario(f"layer {case}", lambda: layer.load_state_dict(first), call, state)


def network() -> Layer:
    """Each kind of convolution, with what goes between them."""
    g = np.random.default_rng(1)
    return L.Sequential(
        L.Conv2d(3, 32, 3, padding=1, generator=g), L.BatchNorm2d(32), L.ReLU(),
        L.Conv2d(32, 32, 3, padding=1, generator=g), L.MaxPool2d(2),
        L.Conv2d(32, 32, 3, padding=1, groups=32, generator=g), L.BatchNorm2d(32), L.SiLU(),
        L.Conv2d(32, 48, 1, generator=g), L.Conv2d(48, 16, 3, 2, 1, generator=g), L.Dropout(0.3), L.AvgPool2d(2),
        L.Flatten(), L.Linear(64, 10, generator=g),
    )  # fmt: skip


def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 3, 16, 16)).astype(np.float32), rng.integers(0, 10, 6)


def of_training(kind: type, earlier: int, **settings: object) -> Scenario:
    """One step: data, forward, loss, backward, optimizer; `earlier` steps came before it."""
    x, y = pictures()
    trainers: list[Trainer] = []

    def begin() -> None:
        model = network()
        trainers[:] = [Trainer(model, kind(model.parameters(), lr=0.01, **settings), CrossEntropyLoss(), seed=0)]
        if earlier:
            fit(trainers[0], x, y, earlier, len(x), shuffle=False)

    def call() -> list[np.ndarray]:
        history = fit(trainers[0], x, y, 1, len(x), shuffle=False)
        return [np.array(history["loss"]), *trainers[0].model.state_dict().values()]

    def state() -> bytes:
        optimizer = trainers[0].optimizer.state_dict()["state"]
        numbers = [(key, name, value) for key, own in optimizer.items() for name, value in own.items()]
        arrays = {f"{key}.{name}": np.asarray(value) for key, name, value in numbers}
        randoms = {"random": np.frombuffer(repr(trainers[0].random.state()).encode(), np.uint8)}
        return bits(trainers[0].model.state_dict() | arrays | randoms)

    return Scenario(f"{kind.__name__}, step {earlier + 1}", begin, call, state)


def of_optimizing(built_before: bool) -> Scenario:
    """`fastconv.optimize` and a call of what it gives, or that call alone."""
    model, (x, _) = network(), pictures()
    fast = fastconv.optimize(model, x.shape) if built_before else None
    name = "optimized call" if built_before else "optimize"
    return Scenario(
        name,
        lambda: None,
        lambda: [(fast or fastconv.optimize(model, x.shape))(x)],
        lambda: bits(model.state_dict()) + x.tobytes(),
    )


def scenarios() -> list[Scenario]:
    return [
        *map(of_layer, CASES),
        of_training(SGD, 0, momentum=0.9),
        of_training(SGD, 1, momentum=0.9),
        of_training(Adam, 0, amsgrad=True),
        of_training(Adam, 1, amsgrad=True),
        of_optimizing(False),
        of_optimizing(True),
    ]
