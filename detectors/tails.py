"""Probabilities far out, as surprise: without underflow, with numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import MAX_SURPRISE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Coefficients of the Chebyshev fit, highest power first.
_ERFC = (
    0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807,
    -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223,
)  # fmt: skip
_LOG10_E = 0.4342944819032518


def gaussian_surprise(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -log10 of the probability that a standard normal variable lies at least as far from 0 as `z`.

    That probability is erfc(|z| / sqrt(2)). With x = |z| / sqrt(2) and t = 1 / (1 + x / 2),
    ln erfc(x) = ln t - x^2 + P(t), P being the polynomial of degree 9 in W. H. Press et al., *Numerical Recipes in C*,
    2nd edition, 1992, section 6.2 (`erfcc`): relative error of erfc below 1.2e-7 for all x, so the surprise is right
    to 5.3e-8, and the logarithm is never taken of a number that has underflowed. NaN stays NaN; the result is capped
    at `MAX_SURPRISE`.

    >>> gaussian_surprise(np.array([0.0, 1.959964, 5.0, 36.0])).round(3).tolist()
    [0.0, 1.301, 6.242, 283.078]
    """
    # Beyond |z| = 38 the surprise is over the cap anyhow, and the square of a huge number would overflow.
    x = np.minimum(np.abs(z), 40.0) * np.sqrt(0.5)
    t = 1.0 / (1.0 + 0.5 * x)
    polynomial = np.full_like(t, _ERFC[0])
    for coefficient in _ERFC[1:]:
        polynomial *= t
        polynomial += coefficient
    polynomial -= x * x
    polynomial += np.log(t)
    surprise: NDArray[np.float64] = np.clip(polynomial * -_LOG10_E, 0.0, MAX_SURPRISE)
    return surprise
