r"""Sums of exponentials, and the first time at which one of them turns negative.

The functions of time of a linear flow: with the growth of rate λ ≥ 0,

    E_λ(t) = ∫_0^t e^{−λs} ds = (1 − e^{−λt})/λ   (t for λ = 0),

    h_m(t) = h_m(0) + Σ_j γ_mj E_{λ_j}(t).

E is increasing and e^{−λt} decreasing, so that splitting the γ by sign bounds value,
slope and curvature on a whole interval. The search bisects until these bounds decide;
unlike sampling it misses no root, however close two of them are, down to round-off.
Host-side NumPy in float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

EPS = float(np.finfo(np.float64).eps)
SHORTEST = 1e-290  # only an interval that starts at 0 can become so short


class ExponentialSums(NamedTuple):
    """The functions h_m.

    Attributes:
        start: h_m(0).
        weights: γ_mj.
        rates: λ_j ≥ 0.
    """

    start: Float[np.ndarray, " M"]
    weights: Float[np.ndarray, "M R"]
    rates: Float[np.ndarray, " R"]


def growth(rates: Float[np.ndarray, " R"], t: float) -> Float[np.ndarray, " R"]:
    """E_λ(t) for every rate, without cancellation.

    Args:
        rates: λ ≥ 0.
        t: A time, 0 or later.

    Returns:
        The growths.

    Example:
        >>> print(growth(np.array([0.0, 1e3]), 2.0))
        [2.e+00 1.e-03]
    """
    safe = np.where(rates > 0, rates, 1.0)
    return np.where(rates > 0, -np.expm1(-safe * t) / safe, t)


def values(sums: ExponentialSums, t: float) -> Float[np.ndarray, " M"]:
    """h_m(t).

    Args:
        sums: The functions.
        t: A time, 0 or later.

    Returns:
        The values.

    Example:
        >>> sums = ExponentialSums(*map(np.array, ([1.0], [[-1.0]], [0.0])))
        >>> print(values(sums, 0.25))
        [0.75]
    """
    return sums.start + sums.weights @ growth(sums.rates, t)


def first_negative(
    sums: ExponentialSums, horizon: float, flat: Bool[np.ndarray, " M"]
) -> tuple[float, int] | None:
    """The earliest time in [0, horizon] at which one of the sums turns negative.

    Args:
        sums: The functions, at time 0 not negative (a negative one turns at 0).
        horizon: End of the search.
        flat: Which sums start with slope 0 exactly; their computed slope at 0 is
            round-off, and is not looked at.

    Returns:
        Time and number of the sum, or None if all stay non-negative.

    Example:
        >>> sums = ExponentialSums(*map(np.array, ([1.0], [[-2.0]], [1.0])))
        >>> time, which = first_negative(sums, 5.0, np.array([False]))
        >>> round(time, 6), which
        (0.693147, 0)
    """
    if sums.start.size == 0:
        return None
    waiting = [(0.0, horizon)]
    while waiting:
        left, right = waiting.pop()
        ends = _Ends(sums, left, right, flat)
        begins_below = ends.left < -ends.noise
        if np.any(begins_below):
            return left, int(np.argmin(np.where(begins_below, ends.left, 0.0)))
        safe, single = _safe(ends), _single(ends)
        if np.all(safe | single):
            which = [int(m) for m in np.flatnonzero(~safe)]
            if which:
                return min((_bisected(sums, m, left, right), m) for m in which)
        elif right - left <= max(4 * EPS * right, SHORTEST):
            # Too short to divide: it only touches zero, or it turns negative here.
            below = ~safe & (ends.right < -ends.noise)
            if np.any(below):
                return right, int(np.flatnonzero(below)[0])
        else:
            middle = (left + right) / 2
            waiting += [(middle, right), (left, middle)]
    return None


class _Ends:
    """Values at the ends of an interval, and bounds on what happens between them."""

    def __init__(self, sums: ExponentialSums, left: float, right: float, flat):
        up, down = np.maximum(sums.weights, 0), np.minimum(sums.weights, 0)
        at_left, at_right = (np.exp(-sums.rates * t) for t in (left, right))
        gain = at_left * growth(sums.rates, right - left)
        self.left, self.right = values(sums, left), values(sums, right)
        size = np.abs(sums.start) + (up - down) @ growth(sums.rates, right)
        self.noise = 8 * EPS * size
        self.slope_low = up @ at_right + down @ at_left
        self.slope_high = up @ at_left + down @ at_right
        bend_left, bend_right = sums.rates * at_left, sums.rates * at_right
        self.convex = -(up @ bend_left) - down @ bend_right >= 0
        self.concave = -(up @ bend_right) - down @ bend_left <= 0
        # Sums of many signs: the mixed bound is the sharper one on short intervals.
        lows = (
            self.left + down @ gain,
            self.left + (right - left) * np.minimum(self.slope_low, 0),
            self.right - up @ gain,
        )
        self.low = np.max(lows, axis=0)
        slope_left = sums.weights @ at_left
        self.rises = (slope_left >= 0) | (flat & (left == 0))


def _safe(ends: _Ends) -> Bool[np.ndarray, " M"]:
    """Sums shown to stay non-negative on the interval, non-negative at its start."""
    return (
        (ends.low > 0)
        | (ends.slope_low >= 0)
        | (ends.convex & ends.rises)
        | ((ends.right >= 0) & (ends.concave | (ends.slope_high <= 0)))
    )


def _single(ends: _Ends) -> Bool[np.ndarray, " M"]:
    """Sums shown to turn negative exactly once on the interval."""
    once = ends.concave | (ends.slope_high <= 0) | (ends.convex & (ends.left > 0))
    return (ends.right < 0) & once


def _bisected(sums: ExponentialSums, m: int, left: float, right: float) -> float:
    """Where sum m turns negative in [left, right], to round-off."""
    one = ExponentialSums(sums.start[m : m + 1], sums.weights[m : m + 1], sums.rates)
    while left < (middle := (left + right) / 2) < right:
        if values(one, middle)[0] >= 0:
            left = middle
        else:
            right = middle
    return left
