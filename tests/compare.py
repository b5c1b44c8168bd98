"""The comparisons that every numerical test uses. A comparison fails by raising MismatchError; it never
accepts a result of another shape or dtype, a number for a NaN, or an infinity of the other sign."""

import numpy as np

ZERO_SHARE = 0.7  # an output with more zeros than this proves nothing


class MismatchError(AssertionError):
    """Two results that should agree do not; the text says how and how to see it again."""


def results(value) -> list[np.ndarray]:
    """What an op returned as a list of arrays: tuples flattened, None left out, a plain float as a 0-d
    float64."""
    parts = value if isinstance(value, tuple) else (value,)
    return [np.asarray(part) for part in parts if part is not None]


def _refuse(reason: str, got: np.ndarray, want: np.ndarray, bad: np.ndarray, repro: str) -> None:
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    raise MismatchError(
        f"{reason} at {where}: got {got[where]!r}, expected {want[where]!r}; "
        f"{int(bad.sum())} of {bad.size} differ\nreproduce: {repro}"
    )


def same_form(got: np.ndarray, want: np.ndarray, repro: str) -> None:
    """Equal shape and dtype."""
    if got.shape != want.shape or got.dtype != want.dtype:
        raise MismatchError(f"got {got.dtype} {got.shape}, expected {want.dtype} {want.shape}\nreproduce: {repro}")


def same_values(got: np.ndarray, want: np.ndarray, repro: str) -> None:
    """Equal numbers; NaN equals NaN, and -0 equals 0."""
    same_form(got, want, repro)
    bad = ~((got == want) | ((got != got) & (want != want)))
    if bad.any():
        _refuse("values differ", got, want, bad, repro)


def same_bits(got: np.ndarray, want: np.ndarray, repro: str) -> None:
    """Equal bit for bit, NaN payloads and signs of zero included."""
    same_form(got, want, repro)
    as_bytes = [np.ascontiguousarray(a).reshape(-1).view(np.uint8).reshape(a.size, a.itemsize) for a in (got, want)]
    bad = (as_bytes[0] != as_bytes[1]).any(axis=1).reshape(got.shape)
    if bad.any():
        _refuse("bits differ", got, want, bad, repro)


def within(got: np.ndarray, want: np.ndarray, bound: np.ndarray | float, repro: str) -> None:
    """|got - want| <= bound where both are finite, equal elsewhere. `want` may be of higher precision than
    `got`."""
    if got.shape != want.shape:
        raise MismatchError(f"got shape {got.shape}, expected {want.shape}\nreproduce: {repro}")
    finite = np.isfinite(got) & np.isfinite(want)
    with np.errstate(invalid="ignore"):
        close = np.abs(got.astype(want.dtype) - want) <= bound
    alike = (got == want) | ((got != got) & (want != want))
    bad = ~np.where(finite, close, alike)
    if bad.any():
        excess = "" if not finite.any() else f" (largest error {np.abs(got[finite] - want[finite]).max():.3g})"
        _refuse(f"error above {np.max(bound):.3g}{excess}", got, want, bad, repro)


def trusted(y: np.ndarray) -> bool:
    """Whether an output is varied enough for an equality to mean something."""
    return y.size == 0 or np.count_nonzero(y == 0) <= ZERO_SHARE * y.size
