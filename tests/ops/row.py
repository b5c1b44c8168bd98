"""What a row of the registry is: an op, its geometries, its bad inputs, its gradients. It holds no op of its
own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from compare import results

import fastconv
from fastconv import reference

Arrays = dict[str, np.ndarray]
Fill = Callable[..., np.ndarray]


class Bad(NamedTuple):
    """A call that must fail: the case's number in the list of bad inputs, the call, the error and its
    text."""

    number: int
    arguments: dict[str, Any]
    error: type[Exception]
    pattern: str = ""


@dataclass(frozen=True, eq=False)
class Case:
    """One geometry: the shape of each array argument and every other argument."""

    shapes: dict[str, tuple[int, ...]]
    settings: dict[str, Any]
    terms: int = 1  # longest sum behind one output
    exact: bool = True  # small integers give an exact result in float32, whatever the order of the sums
    large: bool = False  # enough work to be shared among threads; too slow for element-by-element checks

    @property
    def empty(self) -> bool:
        return any(0 in shape for shape in self.shapes.values())

    def __str__(self) -> str:
        shapes = " ".join(f"{name}={shape}" for name, shape in self.shapes.items())
        return f"{shapes} {' '.join(f'{k}={v!r}' for k, v in self.settings.items())}".replace(", ", ",")


@dataclass(frozen=True, eq=False)
class Op:
    """One row.

    error how far float results may be from the float64 reference: "none" (only selects or rounds once, bit
    equal), "sum" ((terms + 2) eps times the op on absolute values) or a number of eps relative to the largest
    value of the output fills how arrays that are not plain floats are made sparse most of an output is 0 by
    nature: the exact comparison counts even then linear the arguments in each of which the op is linear
    gradient (functional module, arrays, settings, y, dy) -> {argument: gradient}"""

    name: str
    cases: tuple[Case, ...]
    error: str | float = "sum"
    fills: dict[str, Fill] = field(default_factory=dict)
    linear: tuple[str, ...] = ()
    sparse: bool = False
    loose: tuple[str, ...] = ()
    gradient: Callable[[Any, Arrays, dict, Any, np.ndarray], Arrays] | None = None
    bad: Callable[[], Iterator[Bad]] | None = None

    @property
    def function(self) -> Callable[..., Any]:
        return getattr(fastconv.functional, self.name)

    @property
    def twin(self) -> Callable[..., Any]:
        return getattr(reference, self.name)

    def arrays(self, case: Case, how: str, seed: int, dtype: Any) -> Arrays:
        """The array arguments of a case: `how` is "integers", "normal" or "distinct"."""
        rng = np.random.default_rng((seed, self.cases.index(case)))
        dtype = np.dtype(dtype)
        return {name: self.fills.get(name, floats)(rng, shape, dtype, how, case) for name, shape in case.shapes.items()}

    def samples(self, rng: np.random.Generator, dtype: Any) -> Iterator[tuple[Arrays, dict[str, Any]]]:
        """(array arguments, other arguments) of every case, for those who need no more than arrays."""
        for case in self.cases:
            yield self.arrays(case, "normal", int(rng.integers(1 << 31)), dtype), case.settings

    def repro(self, case: Case, how: str, seed: int, dtype: Any) -> str:
        """One line that runs this case again."""
        target, threads = fastconv.target(), fastconv.get_num_threads()
        where = f"FASTCONV_TARGET={target} FASTCONV_NUM_THREADS={threads} python tests/replay.py"
        return f"{where} {self.name} {self.cases.index(case)} {how} {np.dtype(dtype)} {seed}  # {case}"

    def error_bound(self, case: Case, arrays: Arrays, wide: list[np.ndarray], eps: float) -> list[Any]:
        """For each result of the float64 reference `wide`, how far a result of precision eps may be from
        it."""
        if self.error == "none":
            return [0.0] * len(wide)
        if self.error != "sum":
            return [self.error * eps * max(1.0, _largest(w)) for w in wide]
        absolute = {k: np.abs(v.astype(np.float64)) if v.dtype.kind == "f" else v for k, v in arrays.items()}

        sums = results(self.twin(**absolute, **case.settings))
        return [(case.terms + 2) * eps * s + np.finfo(np.float32).smallest_subnormal for s in sums]


def _largest(w: np.ndarray) -> float:
    finite = np.abs(w[np.isfinite(w)])
    return float(finite.max()) if finite.size else 0.0


def widened(arrays: Arrays) -> Arrays:
    """The same numbers in float64."""
    return {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in arrays.items()}


def floats(rng: np.random.Generator, shape: tuple, dtype: np.dtype, how: str, case: Any) -> np.ndarray:
    """Any numbers: integers of at most 32 in magnitude, N(0, 1), or a permutation with gaps of 4."""
    if how == "integers":
        return rng.integers(-32, 33, shape).astype(dtype)
    if how == "distinct":
        return (4 * rng.permutation(int(np.prod(shape))) + 2).reshape(shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def about_six(rng: np.random.Generator, shape: tuple, dtype: np.dtype, how: str, case: Any) -> np.ndarray:
    """Numbers on all sides of 0 and 6."""
    return (rng.integers(-2, 10, shape) if how == "integers" else rng.uniform(-3, 9, shape)).astype(dtype)


def positive(rng: np.random.Generator, shape: tuple, dtype: np.dtype, how: str, case: Any) -> np.ndarray:
    """Numbers well above 0, such as variances."""
    if how == "normal":
        return rng.uniform(0.5, 2.0, shape).astype(dtype)
    return rng.integers(1, 5, shape).astype(dtype)


def places(rng: np.random.Generator, shape: tuple, dtype: np.dtype, how: str, case: Any) -> np.ndarray:
    """int64 places in the plane or volume of the case's input_shape, such as a max pooling's indices."""
    sizes = case.settings["input_shape"]
    plane = sizes[1:-1] if case.settings.get("layout") == "NHWC" else sizes[2:]
    return rng.integers(0, int(np.prod(plane)), shape)


def labels(rng: np.random.Generator, shape: tuple, dtype: np.dtype, how: str, case: Any) -> np.ndarray:
    """One class a row of the case's logits."""
    return rng.integers(0, case.shapes["logits"][1], shape)
