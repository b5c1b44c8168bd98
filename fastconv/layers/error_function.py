"""erf, which NumPy does not have, by the rational approximations of Cody (1969, Mathematics of Computation 23).
It must never be less exact than a few units in the last place of float64."""

import numpy as np

# Numerators and denominators of erf(x) / x in x**2 up to _MIDDLE, and of exp(x**2) * erfc(x) in x beyond.
_MIDDLE, _END = 0.46875, 6.0
_INNER = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_OUTER = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip


def erf(x: np.ndarray) -> np.ndarray:
    """2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x, of x's shape and dtype."""
    t = np.abs(x.astype(np.float64))
    square = np.minimum(t, _MIDDLE) ** 2
    inner = t * np.polyval(_INNER[0], square) / np.polyval(_INNER[1], square)
    # Beyond _END erf is 1 in float64. A NaN is neither below nor above and stays one.
    far = np.clip(t, _MIDDLE, _END)
    outer = 1 - np.exp(-far * far) * np.polyval(_OUTER[0], far) / np.polyval(_OUTER[1], far)
    return np.copysign(np.where(t <= _MIDDLE, inner, outer), x).astype(x.dtype)
