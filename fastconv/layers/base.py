"""Layer: what every layer can do, and how weights are named, counted, saved and loaded.
A layer must never keep anything of a call on itself: what the gradient needs lives in the closure `back`."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .parameter import Parameter

if TYPE_CHECKING:
    from ..data.preprocess import Preprocess

Back = Callable[..., np.ndarray | None]


class Layer:
    """One step of a network, with its gradient.

    `y, back = layer.forward(x)` computes for training and `dx = back(dy)` ADDS the gradients of the weights
    to `Parameter.grad` and returns the gradient of x; called again, it adds again. `back(dy,
    needs_input=False)` returns None and saves the work for dx: the first layer of a network needs none. A
    back returns a new array, or its dy or a view of it, and never writes into dy, unless it is given as `out`
    too.

    `layer(x)` is inference: running statistics, no dropout, nothing kept, safe in many threads at once. It
    does not depend on `training`.

    `training`, set by `train()` and `eval()`, affects `forward` alone: after `eval()` batch norm normalises
    by its running statistics, which are then constants and stay as they are, and dropout does nothing; the
    gradients are those of that function. So a frozen batch norm is `layer.eval()`, a frozen weight
    `layer.requires_grad_(False)`.

    A new kind of layer defines `forward` and `__call__`; attributes that are Parameters or Layers are found
    by themselves, those named in `buffer_names` are arrays saved with the weights, those in `arguments` are
    the constructor's.
    """

    arguments: tuple[str, ...] = ()
    buffer_names: tuple[str, ...] = ()
    training: bool = True
    # Of a whole network for pictures: how they become x, and the names of its classes. Set them and fastconv.save
    # writes them with the weights; fastconv.load brings them back.
    preprocess: "Preprocess | None" = None
    labels: tuple[str, ...] = ()
    # What forward returns: "new" (an array that back never reads, which the next layer may overwrite),
    # "input" (possibly its x, or a view of it), or "kept" (back reads it). The last is always safe.
    result: str = "kept"
    # Whether forward, and whether inference, takes `out=x` to work in place.
    forward_in_place: bool = False
    call_in_place: bool = False
    # Whether back takes `out=dy`, which then nobody else reads, to work in place.
    back_in_place: bool = False
    # Whether forward takes `relu=True`: it then gives the ReLU of its result, and its back is that of both.
    fuses_relu: bool = False
    # How many arrays it takes (None: any number) and gives, for the nodes of a Graph.
    input_count: int | None = 1
    output_count: int = 1

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Back]:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def children(self) -> Iterator[tuple[str, "Layer"]]:
        """(name, layer) of the layers directly inside."""
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, "Layer"]]:
        """(dotted name, layer) of this layer, whose name is "", and of all inside it."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_layers(f"{prefix}.{name}" if prefix else name)

    def named_entries(self) -> Iterator[tuple[str, "Layer", str]]:
        """(dotted name, layer, attribute) of every parameter and buffer, in PyTorch's order."""
        for prefix, layer in self.named_layers():
            names = [name for name, value in vars(layer).items() if isinstance(value, Parameter)]
            names += [name for name in layer.buffer_names if getattr(layer, name) is not None]
            for name in names:
                yield f"{prefix}.{name}" if prefix else name, layer, name

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, Parameter); one that is shared by several layers comes once."""
        seen: set[int] = set()
        for name, layer, attribute in self.named_entries():
            value = getattr(layer, attribute)
            if isinstance(value, Parameter) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> Iterator[Parameter]:
        """The Parameters, for an optimizer."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """(dotted name, array) of what is saved but not trained."""
        for name, layer, attribute in self.named_entries():
            value = getattr(layer, attribute)
            if not isinstance(value, Parameter):
                yield name, value

    def is_trainable(self) -> bool:
        """Whether any weight inside has requires_grad."""
        own = any(isinstance(value, Parameter) and value.requires_grad for value in vars(self).values())
        return own or any(child.is_trainable() for _, child in self.children())

    def state_dict(self, *, copy: bool = True) -> dict[str, np.ndarray]:
        """{dotted name: array} of parameters and buffers; with copy=False the arrays themselves."""
        arrays = {}
        for name, layer, attribute in self.named_entries():
            value = getattr(layer, attribute)
            array = value.data if isinstance(value, Parameter) else value
            arrays[name] = array.copy() if copy else array
        return arrays

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> None:
        """Copy arrays into parameters and buffers by name: all of them, or none and a ValueError.

        The error lists every name that is missing, that is too many, and whose shape or dtype differs. With
        strict=False missing and additional names are passed over. With assign=True the arrays themselves take
        the place of the old ones, which spares their memory; nobody else should write into them then.
        """
        given = self.fitting_entries(state_dict, strict)
        for name, layer, attribute in self.named_entries():
            if name in given:
                _set_entry(layer, attribute, given[name], assign)

    def fitting_entries(self, state_dict: Mapping[str, Any], strict: bool = True) -> dict[str, np.ndarray]:
        """The arrays that `load_state_dict` would take; its errors, and nothing is changed."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a mapping of arrays, got {type(state_dict).__name__}")
        entries = {name: getattr(layer, attribute) for name, layer, attribute in self.named_entries()}
        given = {name: np.asarray(value) for name, value in state_dict.items() if name in entries}
        problems = []
        if strict:
            problems += [f"missing: {name}" for name in entries if name not in given]
            problems += [f"not in the model: {name}" for name in state_dict if name not in entries]
        for name, value in given.items():
            entry = entries[name]
            target = entry.data if isinstance(entry, Parameter) else entry
            if difference := _difference(value, target):
                problems.append(f"{name}: {difference}")
        if problems:
            raise ValueError(
                f"load_state_dict: {type(self).__name__} is unchanged; the state dict does not fit:\n  "
                + "\n  ".join(problems)
            )
        return given

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Switch the gradients of all weights inside on or off; returns the layer."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
            if not requires_grad:
                parameter.grad = None
        return self

    def train(self, mode: bool = True) -> Self:
        """Let `forward` behave as in training, here and in all layers inside; returns the layer."""
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """The opposite of `train`."""
        return self.train(False)

    def astype(self, dtype: Any) -> Self:
        """Convert weights and statistics to float32 or float64 and drop gradients; returns the layer.

        Do it before making an optimizer: the state of an optimizer keeps its dtype.
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"astype: expected float32 or float64, got {dtype}")
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype, copy=False)
            parameter.grad = None
            parameter.version += 1
        for _, layer in self.named_layers():
            for name in layer.buffer_names:
                value = getattr(layer, name)
                if value is not None and value.dtype.kind == "f":
                    setattr(layer, name, value.astype(dtype, copy=False))
        return self

    def flops(self, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> int:
        """Floating-point operations of one call with arrays of these shapes, 2 for a multiply-add.

        Only convolutions and fully connected layers are counted, as in the papers' tables; containers give 0.
        """
        return 0

    def pack(self, *shapes: tuple[int, ...]) -> Self:
        """Prepare the weights of all convolutions inside for inference on inputs of these shapes, batch included:
        `layer(x)` uses them until a weight changes (`Parameter.version`). They take up to 5 times its memory. Without
        shapes, forget them. Returns the layer; ValueError where such inputs do not fit."""
        from .packed import pack

        pack(self, shapes)
        return self

    def summary(self, *shapes: tuple[int, ...]) -> None:
        """Print all layers with their parameters, and for x of these shapes, batch included, their results' and
        FLOPs: `model.summary((1, 3, 224, 224))`. `layers.summarize` gives the same as rows."""
        from .summary import summarize

        print(summarize(self, *shapes))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, which `from_config` takes: plain values, and Layers in containers."""
        values = {name: getattr(self, name) for name in self.arguments}
        # PyTorch names both the argument (a flag) and the parameter "bias".
        return {name: value is not None if name == "bias" else value for name, value in values.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A layer with these constructor arguments and new weights."""
        if unknown := [name for name in config if name not in cls.arguments]:
            raise ValueError(f"{cls.__name__}: unknown arguments {', '.join(map(repr, unknown))}")
        return cls(**config)

    def describe(self) -> str:
        """The arguments as `repr` shows them."""
        return ""

    def __repr__(self) -> str:
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.children()]
        if not lines:
            return f"{type(self).__name__}({self.describe()})"
        return f"{type(self).__name__}(\n" + "\n".join(lines) + "\n)"


def _set_entry(layer: Layer, attribute: str, value: np.ndarray, assign: bool) -> None:
    """Give a parameter or buffer a value of the same shape: copied, or as it is if it can be trained."""
    entry = getattr(layer, attribute)
    target = entry.data if isinstance(entry, Parameter) else entry
    if assign:
        value = np.require(value, target.dtype, ["C", "W"])
    else:
        np.copyto(target, value)
        value = target
    if isinstance(entry, Parameter):
        entry.data = value
        entry.version += 1
    else:
        setattr(layer, attribute, value)


def _difference(value: np.ndarray, target: np.ndarray) -> str:
    """In words why `value` cannot be copied into `target`; empty if it can."""
    integers = value.dtype.kind in "iu" and target.dtype.kind in "iu"
    if value.dtype.newbyteorder("=") != target.dtype and not integers:
        return f"dtype {value.dtype}, expected {target.dtype}"
    if value.shape != target.shape:
        return f"shape {value.shape}, expected {target.shape}"
    return ""
