"""Learning-rate schedules with PyTorch's names and values, each a formula of the step number.
They must never depend on the path by which a step was reached: that is what makes training resumable."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from .optim import Optimizer

__all__ = [
    "CosineAnnealingLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "Schedule",
    "SequentialLR",
    "StepLR",
]


class Schedule:
    """Sets "lr" of every group of an optimizer: at step 0 when made, then at each `step()`.

    `base_lrs` are the groups' rates when the schedule was made. A new kind defines `settings(step, base_lr)`.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, got {optimizer!r}")
        self.optimizer = optimizer
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0
        self.apply()

    def settings(self, step: int, base_lr: float) -> dict[str, Any]:
        """What a group with that base rate has at that step: {"lr": ...} and perhaps more."""
        raise NotImplementedError

    def apply(self) -> None:
        """Write the settings of the present step into the optimizer's groups."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            wanted = self.settings(self.last_epoch, base)
            if "momentum" in wanted and "betas" in group:
                group["betas"] = (wanted.pop("momentum"), *group["betas"][1:])
            group.update(wanted)

    def step(self) -> None:
        """Go on by one step (or epoch: whichever the caller counts)."""
        self.last_epoch += 1
        self.apply()

    def get_last_lr(self) -> list[float]:
        """The rates of all groups now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """{"last_epoch": ..., "base_lrs": [...]}; the other settings are the constructor's."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go to the step of `state_dict()`; ValueError, and nothing is changed, if it does not fit."""
        step, base_lrs = state_dict.get("last_epoch"), state_dict.get("base_lrs")
        if type(step) is not int or step < 0 or set(state_dict) != {"last_epoch", "base_lrs"}:
            raise ValueError(f"{type(self).__name__}: not the state of a schedule: {state_dict!r}")
        count = len(self.base_lrs)
        if not isinstance(base_lrs, list) or len(base_lrs) != count or not all(map(_is_rate, base_lrs)):
            raise ValueError(f"{type(self).__name__}: base_lrs must be {count} rates, got {base_lrs!r}")
        self.last_epoch, self.base_lrs = step, [float(rate) for rate in base_lrs]
        self.apply()


class StepLR(Schedule):
    """base_lr * gamma ** (step // step_size)."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = _count("StepLR", "step_size", step_size), _real("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def settings(self, step: int, base_lr: float) -> dict[str, Any]:
        return {"lr": base_lr * self.gamma ** (step // self.step_size)}


class MultiStepLR(Schedule):
    """base_lr * gamma ** (how many of the milestones have been reached)."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(_count("MultiStepLR", "milestones", item, 0) for item in milestones)
        self.gamma = _real("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer)

    def settings(self, step: int, base_lr: float) -> dict[str, Any]:
        return {"lr": base_lr * self.gamma ** bisect_right(self.milestones, step)}


class CosineAnnealingLR(Schedule):
    """eta_min + (base_lr - eta_min) * (1 + cos(pi * step / T_max)) / 2 (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = _count("CosineAnnealingLR", "T_max", T_max)
        self.eta_min = _real("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer)

    def settings(self, step: int, base_lr: float) -> dict[str, Any]:
        return {"lr": _cosine(base_lr, self.eta_min, step / self.T_max)}


class LinearLR(Schedule):
    """Warm-up: base_lr times a factor that goes from start_factor to end_factor in total_iters steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = _real("LinearLR", "start_factor", start_factor)
        self.end_factor = _real("LinearLR", "end_factor", end_factor)
        if not (0 < self.start_factor <= 1 and 0 <= self.end_factor <= 1):
            raise ValueError(
                f"LinearLR: expected 0 < start_factor <= 1 and 0 <= end_factor <= 1, "
                f"got {start_factor} and {end_factor}"
            )
        self.total_iters = _count("LinearLR", "total_iters", total_iters)
        super().__init__(optimizer)

    def settings(self, step: int, base_lr: float) -> dict[str, Any]:
        part = min(step, self.total_iters) / self.total_iters
        return {"lr": base_lr * (self.start_factor + (self.end_factor - self.start_factor) * part)}


class SequentialLR(Schedule):
    """One schedule after the other: the next takes over, from its step 0, at each milestone.

    For a warm-up: SequentialLR(optimizer, [LinearLR(optimizer), CosineAnnealingLR(optimizer, 100)], [5]).
    All have the rates that the optimizer had before the first of them was made.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        self.schedulers = list(schedulers)
        self.milestones = [_count("SequentialLR", "milestones", item) for item in milestones]
        if not self.schedulers or len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError("SequentialLR: expected one milestone between each two of the schedulers")
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"SequentialLR: milestones must increase, got {milestones!r}")
        for scheduler in self.schedulers:
            if not isinstance(scheduler, Schedule) or scheduler.optimizer is not optimizer:
                raise ValueError("SequentialLR: all schedulers must be Schedules of the same optimizer")
        for group, base in zip(optimizer.param_groups, self.schedulers[0].base_lrs, strict=True):
            group["lr"] = base
        super().__init__(optimizer)

    def settings(self, step: int, base_lr: float) -> dict[str, Any]:
        position = bisect_right(self.milestones, step)
        start = self.milestones[position - 1] if position else 0
        return self.schedulers[position].settings(step - start, base_lr)


class OneCycleLR(Schedule):
    """From max_lr / div_factor up to max_lr, then down to that start / final_div_factor (Smith 2018).

    Made for one `step()` a batch, `total_steps` in all (or epochs * steps_per_epoch); beyond the end the
    last values stay. `cycle_momentum` moves momentum (SGD) or the first beta (Adam) the other way.
    `three_phase` comes back to the start before the last descent.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        kind = "OneCycleLR"
        if total_steps is None:
            total_steps = _count(kind, "epochs", epochs) * _count(kind, "steps_per_epoch", steps_per_epoch)
        self.total_steps = _count(kind, "total_steps", total_steps)
        if not 0 <= _real(kind, "pct_start", pct_start) <= 1:
            raise ValueError(f"{kind}: pct_start must be from 0 to 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'{kind}: anneal_strategy must be "cos" or "linear", got {anneal_strategy!r}')
        self.anneal = _cosine if anneal_strategy == "cos" else _straight
        self.cycle_momentum = cycle_momentum
        if cycle_momentum and not all("momentum" in g or "betas" in g for g in optimizer.param_groups):
            raise ValueError(f"{kind}: cycle_momentum needs an optimizer with momentum or betas")
        start = _real(kind, "max_lr", max_lr) / _real(kind, "div_factor", div_factor)
        end = start / _real(kind, "final_div_factor", final_div_factor)
        low, high = _real(kind, "base_momentum", base_momentum), _real(kind, "max_momentum", max_momentum)
        self.phases = self._phases(pct_start, three_phase, (start, float(max_lr), end), (low, high))
        super().__init__(optimizer)

    def _phases(
        self, part: float, three: bool, rates: tuple[float, float, float], momenta: tuple[float, float]
    ) -> list[tuple[float, float, float, float, float]]:
        """(last step, rate from, rate to, momentum from, momentum to) of each phase, as PyTorch's."""
        start, top, end = rates
        low, high = momenta
        peak = part * self.total_steps - 1
        phases = [(peak, start, top, high, low)]
        if three:
            phases.append((2 * part * self.total_steps - 2, top, start, low, high))
            phases.append((self.total_steps - 1, start, end, high, high))
        else:
            phases.append((self.total_steps - 1, top, end, low, high))
        return phases

    def settings(self, step: int, base_lr: float) -> dict[str, Any]:
        before = 0.0
        step = min(step, self.total_steps - 1)
        for last, rate, next_rate, momentum, next_momentum in self.phases:
            if step <= last or last == self.phases[-1][0]:
                part = (step - before) / (last - before) if last != before else 1.0
                values = {"lr": self.anneal(rate, next_rate, part)}
                if self.cycle_momentum:
                    values["momentum"] = self.anneal(momentum, next_momentum, part)
                return values
            before = last
        raise AssertionError("unreachable: the last phase takes every step")


def _cosine(start: float, end: float, part: float) -> float:
    """From start (part 0) to end (part 1) along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _straight(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _count(kind: str, name: str, value: Any, minimum: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{kind}: {name} must be an integer, got {value!r}")
    if value < minimum:
        raise ValueError(f"{kind}: {name} must be at least {minimum}, got {value}")
    return value


def _real(kind: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{kind}: {name} must be a finite number, got {value!r}")
    return float(value)


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
