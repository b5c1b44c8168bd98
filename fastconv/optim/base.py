"""What all optimizers share: groups of parameters, their state, state dicts.
A step must never write into a gradient, nor make a temporary."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from ..layers.parameter import Parameter

Group = dict[str, Any]


class Optimizer:
    """Parameters in groups, each with its own settings, and the arrays that go with each parameter.

    `params` is an iterable of Parameters (`model.parameters()`), or a list of dicts {"params": [...], "lr":
    ..., ...} whose settings override the defaults, as in PyTorch. State is made in the dtype of the
    parameter at its first step; parameters without a gradient are passed over.
    """

    defaults: Group
    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Parameter] | Iterable[Group], defaults: Group) -> None:
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Parameter, dict[str, Any]] = {}
        self._room: dict[Parameter, dict[str, np.ndarray]] = {}
        items = list(params)
        if not items:
            raise ValueError(f"{type(self).__name__}: params is empty")
        for group in items if isinstance(items[0], dict) else [{"params": items}]:
            self.add_param_group(group)

    def add_param_group(self, group: Group) -> None:
        """Add {"params": ..., settings}; a setting that is not given takes the default."""
        kind = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f'{kind}: a group must be a dict with "params", got {group!r}')
        if unknown := set(group) - {"params"} - set(self.defaults):
            raise ValueError(f"{kind}: unknown settings in a group: {', '.join(sorted(unknown))}")
        params = group["params"]
        params = [params] if isinstance(params, Parameter) else list(params)
        known = set(self.parameters())
        for parameter in params:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"{kind}: expected Parameters, got {parameter!r}")
            if parameter in known:
                raise ValueError(f"{kind}: {parameter!r} is given more than once")
            known.add(parameter)
        full = {**self.defaults, **group, "params": params}
        self.check(full)
        self.param_groups.append(full)

    def check(self, group: Group) -> None:
        """Raise for settings that make no sense."""
        require_number(type(self).__name__, group, "lr", 0)
        require_number(type(self).__name__, group, "weight_decay", 0)

    def parameters(self) -> Iterator[Parameter]:
        """The parameters of all groups, in order."""
        return (parameter for group in self.param_groups for parameter in group["params"])

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient; ValueError before any change if a gradient is odd, MemoryError
        if there is no room for the state."""
        work = [
            (parameter, group)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None and parameter.requires_grad
        ]
        for parameter, _ in work:
            data, grad = parameter.data, parameter.grad
            if grad.shape != data.shape or grad.dtype != data.dtype:
                raise ValueError(
                    f"{type(self).__name__}: a gradient of shape {grad.shape} and dtype {grad.dtype} "
                    f"does not fit its parameter of shape {data.shape} and dtype {data.dtype}"
                )
            if not (data.flags.c_contiguous and data.flags.aligned):
                parameter.data = np.require(data, requirements=("C", "A", "O"))  # the kernels see runs of numbers
            parameter.grad = np.require(grad, requirements=("C", "A"))
        # All memory that the step takes is had before it changes anything: it must not stop in the middle.
        self._room = {parameter: self._missing_arrays(parameter, group) for parameter, group in work}
        for parameter, group in work:
            self.update(parameter, group)
            parameter.version += 1

    def array_names(self, group: Group) -> tuple[str, ...]:
        """The arrays of the state that a parameter of this group has after its first step."""
        return ()

    def _missing_arrays(self, parameter: Parameter, group: Group) -> dict[str, np.ndarray]:
        present = self.state.get(parameter, {})
        return {name: np.zeros_like(parameter.data) for name in self.array_names(group) if name not in present}

    def update(self, parameter: Parameter, group: Group) -> None:
        """One step of one parameter, which needs no memory: `add_arrays` gives it what its state lacks."""
        raise NotImplementedError

    def add_arrays(self, parameter: Parameter) -> bool:
        """Put the arrays of zeros that the parameter's state lacks for this step there; whether there were any."""
        missing = self._room.pop(parameter)
        self.state.setdefault(parameter, {}).update(missing)
        return bool(missing)

    def state_dict(self, *, copy: bool = True) -> dict[str, Any]:
        """{"state": {index: {...}}, "param_groups": [...]}, parameters numbered in order, as PyTorch's."""
        order = {parameter: index for index, parameter in enumerate(self.parameters())}
        state = {
            str(order[parameter]): {
                name: value.copy() if copy and isinstance(value, np.ndarray) else value
                for name, value in values.items()
            }
            for parameter, values in self.state.items()
        }
        groups = [
            {**group, "params": [order[parameter] for parameter in group["params"]]} for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items(), key=lambda item: int(item[0]))), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take state and settings from `state_dict()` of an optimizer of the same kind over parameters of the
        same shapes; ValueError, and nothing is changed, if it does not fit."""
        parameters = list(self.parameters())
        try:
            groups = [self._read_group(*pair) for pair in self._paired_groups(state_dict["param_groups"])]
            state = {
                parameters[_position(key, len(parameters))]: dict(values) for key, values in state_dict["state"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(self).__name__}: not the state of an optimizer: {error!r}") from None
        state = {parameter: self._read_state(parameter, values) for parameter, values in state.items()}
        for group, settings in zip(self.param_groups, groups, strict=True):
            group.update(settings)
        self.state = state

    def _paired_groups(self, groups: list[Group]) -> Iterator[tuple[Group, Group, list[int]]]:
        """(own group, given group, its parameters' numbers) of each group."""
        if len(groups) != len(self.param_groups):
            raise ValueError(f"{type(self).__name__}: expected {len(self.param_groups)} groups, got {len(groups)}")
        start = 0
        for own, given in zip(self.param_groups, groups, strict=True):
            yield own, given, list(range(start, start + len(own["params"])))
            start += len(own["params"])

    def _read_group(self, own: Group, given: Group, numbers: list[int]) -> Group:
        """The settings of a given group, checked."""
        kind = type(self).__name__
        if set(given) != set(own) or list(given["params"]) != numbers:
            raise ValueError(f"{kind}: a group does not fit: its settings or its number of parameters differ")
        settings = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        del settings["params"]
        for name, value in settings.items():
            if isinstance(value, bool) != isinstance(own[name], bool):
                raise ValueError(f"{kind}: {name} must be like {own[name]!r}, got {value!r}")
        self.check(settings)
        return settings

    def _read_state(self, parameter: Parameter, values: Mapping[str, Any]) -> dict[str, Any]:
        """The state of one parameter, checked, as copies."""
        kind, data, state = type(self).__name__, parameter.data, {}
        for name, value in values.items():
            if name not in self.state_names:
                raise ValueError(f"{kind}: unknown state {name!r}")
            if name == "step":
                if type(value) is not int or value < 1:
                    raise ValueError(f"{kind}: step must be a positive integer, got {value!r}")
                state[name] = value
                continue
            array = np.array(value, order="C")
            if array.shape != data.shape or array.dtype != data.dtype:
                raise ValueError(
                    f"{kind}: {name} has shape {array.shape} and dtype {array.dtype}, "
                    f"its parameter {data.shape} and {data.dtype}"
                )
            state[name] = array
        return state


def require_number(kind: str, group: Group, name: str, low: float) -> None:
    """group[name] must be a finite number of at least `low`."""
    value = group[name]
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{kind}: {name} must be a number, got {value!r}")
    if not (math.isfinite(value) and value >= low):
        raise ValueError(f"{kind}: {name} must be finite and at least {low:g}, got {value!r}")


def _position(key: Any, count: int) -> int:
    """The number of a parameter from the key of its state."""
    if not str(key).isdecimal() or int(key) >= count:
        raise ValueError(f"state: expected numbers of parameters from 0 to {count - 1}, got {key!r}")
    return int(key)
