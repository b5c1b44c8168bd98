"""Where a training stands: history, place in the data, random states, and the settings they depend on.
Everything here must go through a checkpoint and come back the same, to the bit."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .layers.base import Layer


class History(dict[str, list[float]]):
    """{"loss": [one number an epoch], "accuracy": ..., "val_loss": ..., "lr": ...}, all of one length."""

    def add(self, logs: Mapping[str, float]) -> None:
        """Append the metrics of an epoch; one that was not measured is NaN."""
        epochs = max(map(len, self.values()), default=0)
        for name in [*self, *(name for name in logs if name not in self)]:
            self.setdefault(name, [math.nan] * epochs).append(logs.get(name, math.nan))


@dataclass(frozen=True)
class Settings:
    """How the data is cut into batches; it must be the same when training is resumed."""

    samples: int
    batch_size: int
    shuffle: bool
    drop_last: bool

    @property
    def batches(self) -> int:
        """Batches an epoch."""
        full, rest = divmod(self.samples, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    @property
    def images(self) -> int:
        """Samples seen an epoch."""
        return min(self.samples, self.batches * self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def require(self, saved: Mapping[str, Any]) -> None:
        """ValueError that lists what differs from the settings of a checkpoint."""
        own = self.state_dict()
        different = [f"{name}={saved.get(name)!r}, not {own[name]!r}" for name in own if saved.get(name) != own[name]]
        if different:
            raise ValueError(f"Trainer.fit: the checkpoint was written with {'; '.join(different)}")


@dataclass
class Position:
    """Epochs and steps done, batches done of the present epoch, its order of samples, its sums so far."""

    epoch: int = 0
    step: int = 0
    batch: int = 0
    seen: int = 0
    loss_sum: float = 0.0
    correct: int | None = 0
    order: np.ndarray | None = field(default=None, repr=False)

    def begin_epoch(self, settings: Settings, generator: np.random.Generator) -> None:
        """Draw the order of the samples."""
        n = settings.samples
        self.batch, self.seen, self.loss_sum, self.correct = 0, 0, 0.0, 0
        self.order = generator.permutation(n) if settings.shuffle else np.arange(n)

    def advance(self, loss: float, samples: int, correct: int | None) -> None:
        """Count a step over so many samples."""
        self.step += 1
        self.batch += 1
        self.seen += samples
        self.loss_sum += loss * samples
        self.correct = None if correct is None or self.correct is None else self.correct + correct

    def end_epoch(self) -> None:
        """Go to the start of the next epoch."""
        self.epoch += 1
        self.batch, self.order = 0, None

    def metrics(self) -> dict[str, float]:
        """Means over the samples seen in this epoch."""
        count = max(self.seen, 1)
        metrics = {"loss": self.loss_sum / count}
        if self.correct is not None:
            metrics["accuracy"] = self.correct / count
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, saved: Mapping[str, Any], settings: Settings) -> None:
        """Take a saved position, checked against the settings."""
        if set(saved) != set(vars(self)):
            raise ValueError(f"not the position of a training: {sorted(saved)}")
        order = saved["order"]
        counts = [saved[name] for name in ("epoch", "step", "batch", "seen")]
        counts.append(0 if saved["correct"] is None else saved["correct"])
        if not all(type(count) is int and count >= 0 for count in counts) or saved["batch"] > settings.batches:
            raise ValueError(f"not the position of a training: {counts}")
        if not isinstance(saved["loss_sum"], (int, float)):
            raise ValueError(f"not the position of a training: loss_sum is {saved['loss_sum']!r}")
        if order is None and saved["batch"]:
            raise ValueError("not the position of a training: the order of the samples is missing")
        if order is not None and not (
            order.dtype == np.int64 and np.array_equal(np.sort(order), np.arange(settings.samples))
        ):
            raise ValueError("not the position of a training: order is not one of the samples")
        vars(self).update(saved)


class RandomStates:
    """All generators of a training: the order of samples, the transforms, and the layers' own (dropout).

    Layers with an attribute `generator` that is None get one here, from the seed and their place in the
    model.
    """

    def __init__(self, model: Layer, seed: int) -> None:
        layers = {name: layer for name, layer in model.named_layers() if hasattr(layer, "generator")}
        seeds = np.random.SeedSequence(seed).spawn(2 + len(layers))
        self.order = np.random.default_rng(seeds[0])
        self.transform = np.random.default_rng(seeds[1])
        for layer, own in zip(layers.values(), seeds[2:], strict=True):
            if layer.generator is None:
                layer.generator = np.random.default_rng(own)
        self._layers = layers

    def _generators(self) -> dict[str, np.random.Generator]:
        layers = {f"layer {name}": layer.generator for name, layer in self._layers.items()}
        return {"order": self.order, "transform": self.transform, **layers}

    def state(self) -> dict[str, Any]:
        """{name: state of the bit generator}, independent of what is drawn later."""
        return {name: generator.bit_generator.state for name, generator in self._generators().items()}

    def begin_step(self, seed: int, step: int, rank: int) -> None:
        """For one of several ranks: what is drawn in a step follows from these three, so that ranks draw different
        numbers and a checkpoint of rank 0 is enough. The order of the samples stays one for all."""
        generators = [generator for name, generator in self._generators().items() if name != "order"]
        seeds = np.random.SeedSequence(seed, spawn_key=(step, rank)).spawn(len(generators))
        for generator, own in zip(generators, seeds, strict=True):
            generator.bit_generator.state = type(generator.bit_generator)(own).state

    def load(self, saved: Mapping[str, Any]) -> None:
        """Set all generators; ValueError if the names or kinds of generators differ."""
        generators = self._generators()
        if set(saved) != set(generators):
            raise ValueError(f"random states of {sorted(saved)}, expected {sorted(generators)}")
        for name, generator in generators.items():
            kind = generator.bit_generator.state["bit_generator"]
            if saved[name].get("bit_generator") != kind:
                raise ValueError(f"random state of {name} is not one of {kind}")
        for name, generator in generators.items():
            generator.bit_generator.state = saved[name]
