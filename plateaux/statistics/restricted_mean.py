"""Means that exist under censoring: up to a horizon. Differences of groups."""

from typing import Any

import numpy as np

from .. import _checks
from . import _samples
from ._samples import Interval
from .survival import SurvivalCurve, kaplan_meier


def restricted_mean(
    durations: Any, censored: Any, *, horizon: Any, confidence: float = 0.95
) -> Interval:
    r"""Restricted mean duration, E[min(duration, τ)] up to a horizon τ.

    The area ∫₀^τ S(t) dt under the Kaplan-Meier curve. By the delta method, with
    d_i events among n_i at risk at the event times t_i ≤ τ,

        Var = Σ_i A_i² d_i / (n_i (n_i − d_i)),   A_i = ∫_{t_i}^τ S(t) dt,

    because a relative error of the factor 1 − d_i/n_i multiplies all area beyond
    t_i, and the factors are uncorrelated, each with Greenwood's variance. Without
    censoring Var m/(m−1), with m the number at risk at the first event, is the
    squared standard error of the mean of min(duration, τ). The interval uses that,
    Student's t with m − 1 degrees of freedom, and the logarithm of mean/(τ − mean):
    it stays inside [0, τ], and holds its level where few events are seen, at which
    the symmetric interval covers too little.

    Conventions. With no event before τ the estimate is τ and Var is 0; the low end
    is then τ (α/2)^(1/n), with n the observations that lasted to τ and
    α = 1 − confidence: a smaller S(τ) would have shown an event with probability
    1 − α/2. With one observation at risk it is all of [0, τ]; where no spread is
    seen (all ended at once) it has no length. Observations count as independent.

    Args:
        durations: Observed durations, shape (m,), finite and non-negative floats.
        censored: Whether each was still running when observation ended, shape (m,).
        horizon: τ > 0, in units of the durations; at most the longest of them if
            that one is censored, because nothing is known beyond.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        The restricted mean and its interval, in units of the durations.

    Raises:
        TypeError: If durations are not floats or `censored` not Booleans.
        ValueError: If shapes differ, a duration is negative or not finite, or
            nothing is known up to the horizon.

    Example:
        >>> mean = restricted_mean([1.0, 2.0, 9.0], [False, False, True], horizon=6.0)
        >>> print(mean.estimate)
        3.0

    References: Irwin (1949), J. Hyg. 47, 188-189; Kaplan & Meier (1958), J. Am.
    Stat. Assoc. 53, 457-481, section 2; Royston & Parmar (2013), BMC Med. Res.
    Methodol. 13, 152.
    """
    _checks.positive("horizon", horizon)
    horizon = float(horizon)
    curve = kaplan_meier(durations, censored, confidence=confidence)
    alive = not curve.times.size or curve.survival[-1] > 0
    if horizon > curve.end and alive:
        raise ValueError(
            "Argument `horizon` must not exceed the longest observation, "
            f"{curve.end}, which is censored, but is {horizon}."
        )
    if not np.any(curve.times < horizon):
        lasted = int(np.sum(np.asarray(durations) >= horizon))
        low = horizon * ((1 - confidence) / 2) ** (1 / lasted)
        return Interval(horizon, low, horizon)
    mean, variance, size = _area(curve, horizon)
    if size == 1:
        return Interval(mean, 0.0, horizon)
    t = _samples.student_quantile(confidence, size - 1)
    half = t * np.sqrt(variance * size / (size - 1))
    return Interval(mean, *_logit_ends(mean, half, horizon))


def difference(first: Any, second: Any) -> Interval:
    r"""Difference of two independent estimates, first − second, with its interval.

    With estimates a, b and intervals [l, u] of each at one confidence, the ends are

        a − b − √((a − l_a)² + (u_b − b)²),   a − b + √((u_a − a)² + (b − l_b)²):

    the distances to the ends that a small (large) difference would need are added
    as standard errors would be. It keeps the asymmetry of the two intervals, and
    works for whatever has an interval: restricted means, proportions (where it is
    Newcombe's method), medians, coefficients. Differences of estimates on the same
    lanes are not independent; for those see `bootstrap_interval`.

    Args:
        first: An `Interval`, of any shape.
        second: An `Interval` at the same confidence, of a shape that broadcasts.

    Returns:
        The difference and its interval.

    Raises:
        TypeError: If one of them has no interval.
        ValueError: If an estimate lies outside of its interval, or is not finite.

    Example:
        >>> from plateaux.statistics import wilson
        >>> estimate, low, high = difference(wilson(56, 70), wilson(48, 80))
        >>> print(f"{estimate:.2f} [{low:.4f}, {high:.4f}]")
        0.20 [0.0524, 0.3339]

    References: Newcombe (1998), Stat. Med. 17, 873-890, method 10; Zou & Donner
    (2008), Stat. Med. 27, 1693-1702.
    """
    a, low_a, high_a = _parts("first", first)
    b, low_b, high_b = _parts("second", second)
    down, up = np.hypot(a - low_a, high_b - b), np.hypot(high_a - a, b - low_b)
    return Interval(a - b, a - b - down, a - b + up)


def _area(curve: SurvivalCurve, horizon: float) -> tuple[float, float, int]:
    """Area up to the horizon, its variance, and the number at risk first."""
    used = curve.times < horizon
    edges = np.concatenate([curve.times[used], [horizon]])
    steps = curve.survival[used] * np.diff(edges)
    beyond = np.cumsum(steps[::-1])[::-1]  # A_i
    n, d = curve.at_risk[used], curve.events[used]
    # Where the last one dies (n = d) nothing lies beyond.
    terms = np.where(n > d, d / (n * np.maximum(n - d, 1)), 0.0)
    area = edges[0] + beyond[0]
    return float(area), float(np.sum(beyond**2 * terms)), int(curve.at_risk[0])


def _logit_ends(mean: float, half: float, horizon: float) -> tuple[float, float]:
    """The ends ± half after the map log(mean/(τ − mean)), mapped back."""
    from scipy.special import expit, logit  # heavy, and used only here

    if half == 0:
        return mean, mean
    shift = half * horizon / (mean * (horizon - mean))
    low, high = horizon * expit(logit(mean / horizon) + np.array([-shift, shift]))
    return float(low), float(high)


def _parts(name: str, of: Any) -> tuple[np.ndarray, ...]:
    if not isinstance(of, Interval):
        raise TypeError(
            f"Argument `{name}` must be an `Interval`, but is a {type(of).__name__}."
        )
    estimate, low, high = (np.asarray(part) for part in of)
    if not np.all(np.isfinite(estimate) & (low <= estimate) & (estimate <= high)):
        raise ValueError(
            f"Argument `{name}` must hold finite estimates within their intervals, "
            f"but is {estimate} with {low} to {high}."
        )
    return estimate, low, high
