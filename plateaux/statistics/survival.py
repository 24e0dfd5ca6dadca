"""How long things last when some were still running at the end: Kaplan-Meier."""

from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from . import _samples
from ._samples import Interval

TRANSFORMS = ("log-log", "plain")

# The product of factors (n - d)/n may miss an exact fraction by rounding.
_ROUNDING = 1e-12


class SurvivalCurve(NamedTuple):
    """A Kaplan-Meier curve: S(t) is 1 before the first event, constant between events.

    Attributes:
        times: Distinct event times, increasing, shape (e,).
        survival: S just after each event time.
        standard_error: Greenwood's standard error of S.
        low: Lower end of the pointwise interval of S.
        high: Upper end of the pointwise interval of S.
        at_risk: Observations that lasted at least to each event time.
        events: Events at each event time.
        censored_times: Distinct times at which observations were censored.
        censored_survival: S at these times, where a figure puts its ticks.
        end: Longest observation; the curve says nothing beyond it.
        confidence: Two-sided coverage of the interval.
    """

    times: np.ndarray
    survival: np.ndarray
    standard_error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    censored_times: np.ndarray
    censored_survival: np.ndarray
    end: float
    confidence: float


def kaplan_meier(
    durations: Any,
    censored: Any,
    *,
    confidence: float = 0.95,
    transform: str = "log-log",
) -> SurvivalCurve:
    r"""Kaplan-Meier estimate of S(t) = P[duration > t], censoring respected.

    At the distinct event times t_i, with d_i events among n_i observations of at
    least t_i, S(t) = Π_{t_i ≤ t} (1 − d_i/n_i), and Greenwood's formula gives
    Var S = S² V with V = Σ_{t_i ≤ t} d_i/(n_i(n_i − d_i)). The interval is S^exp(±z
    √V/log S) for `transform="log-log"`, which stays inside [0, 1], and S ± z S √V,
    cut to [0, 1], for `"plain"`.

    Conventions. An observation censored at the time of an event is still at risk
    there. Where S reaches 0 Greenwood's V is infinite: the standard error is its
    limit 0, the low end 0, and the high end that of the event before (1 if there
    is none), which stays valid because S cannot rise. With no event at all `times`
    is empty and S is 1 up to `end`. The interval takes observations for
    independent: several plateaus of one lane are not quite, and
    `bootstrap_interval` over lanes checks how much that matters.

    The observations are a ragged set, so this runs in NumPy, in float64.

    Args:
        durations: Observed durations, shape (m,), finite and non-negative floats.
        censored: Whether each was still running when observation ended, shape (m,).
        confidence: Two-sided coverage of the pointwise interval.
        transform: "log-log" or "plain".

    Returns:
        The curve.

    Raises:
        TypeError: If durations are not floats or `censored` not Booleans.
        ValueError: If there is no observation, shapes differ, or a duration is
            negative or not finite.

    Example:
        >>> curve = kaplan_meier([1.0, 2.0, 2.0, 3.0], [False, False, True, True])
        >>> print(curve.times, curve.at_risk, curve.survival)
        [1. 2.] [4 3] [0.75 0.5 ]

    References: Kaplan & Meier (1958), J. Am. Stat. Assoc. 53, 457-481; Kalbfleisch
    & Prentice (2002), The Statistical Analysis of Failure Time Data, 1.4.
    """
    durations = _samples.durations(durations)
    censored = _samples.booleans("censored", censored, durations.shape)
    _checks.known("transform", transform, TRANSFORMS)
    z = _samples.normal_quantile(confidence)

    times, events = np.unique(durations[~censored], return_counts=True)
    at_risk = durations.size - np.searchsorted(np.sort(durations), times)
    survival = np.cumprod((at_risk - events) / at_risk)
    variance = _greenwood_sum(at_risk, events)
    low, high = _interval(survival, variance, z, transform)
    censored_times = np.unique(durations[censored])
    return SurvivalCurve(
        times=times,
        survival=survival,
        standard_error=survival * np.sqrt(variance),
        low=low,
        high=high,
        at_risk=at_risk,
        events=events,
        censored_times=censored_times,
        censored_survival=_steps(times, survival, censored_times),
        end=float(durations.max()),
        confidence=float(confidence),
    )


def survival_at(curve: SurvivalCurve, times: Any) -> np.ndarray:
    """S at given times: right-continuous, 1 before the first event.

    Beyond `curve.end` nothing was observed; the last value is carried on, which
    bounds S from above.

    Args:
        curve: A curve of `kaplan_meier`.
        times: Times, any shape.

    Returns:
        S at the times, in their shape.

    Example:
        >>> curve = kaplan_meier([1.0, 2.0], [False, False])
        >>> print(survival_at(curve, [0.5, 1.0, 2.0]))
        [1.  0.5 0. ]

    Reference: Kaplan & Meier (1958), J. Am. Stat. Assoc. 53, 457-481.
    """
    return _steps(curve.times, curve.survival, _samples.host("times", times))


def median_survival(curve: SurvivalCurve) -> Interval:
    """Median duration: the first event time at which S(t) ≤ 1/2.

    Its interval holds the times at which the interval of S straddles 1/2
    (Brookmeyer & Crowley 1982): from the first event with low(t) ≤ 1/2 to the first
    with high(t) ≤ 1/2. Conventions: the median and its high end are inf when they
    are not reached; the low end is then the longest observation, and 0 if no event
    was seen, because Greenwood's formula is silent without events.

    Args:
        curve: A curve of `kaplan_meier`.

    Returns:
        The median and its interval at the curve's confidence, in units of time.

    Example:
        >>> print(median_survival(kaplan_meier([1.0, 2.0, 4.0], [False] * 3)).estimate)
        2.0
        >>> print(median_survival(kaplan_meier([1.0, 2.0], [True, True])).estimate)
        inf

    Reference: Kaplan & Meier (1958), J. Am. Stat. Assoc. 53, 457-481.
    """
    unreached = curve.end if curve.times.size else 0.0
    return Interval(
        _first_time(curve.times, curve.survival, np.inf),
        _first_time(curve.times, curve.low, unreached),
        _first_time(curve.times, curve.high, np.inf),
    )


def _greenwood_sum(at_risk: np.ndarray, events: np.ndarray) -> np.ndarray:
    """V = Σ d/(n(n − d)), the term of the last death (n = d) left out: S is 0 there."""
    left = at_risk - events
    return np.cumsum(np.where(left > 0, events / (at_risk * np.maximum(left, 1)), 0.0))


def _interval(survival, variance, z, transform):
    alive = survival > 0
    safe = np.where(alive, survival, 0.5)
    if transform == "plain":
        half = z * safe * np.sqrt(variance)
        low, high = np.maximum(safe - half, 0.0), np.minimum(safe + half, 1.0)
    else:
        exponent = z * np.sqrt(variance) / np.log(safe)
        low, high = safe ** np.exp(-exponent), safe ** np.exp(exponent)
    before = np.concatenate([[1.0], high])[:-1]
    return np.where(alive, low, 0.0), np.where(alive, high, before)


def _steps(times: np.ndarray, survival: np.ndarray, at: np.ndarray) -> np.ndarray:
    values = np.concatenate([[1.0], survival])
    return np.asarray(values[np.searchsorted(times, at, side="right")])


def _first_time(times: np.ndarray, values: np.ndarray, otherwise: float) -> float:
    reached = np.flatnonzero(values <= 0.5 * (1 + _ROUNDING))
    return float(times[reached[0]]) if reached.size else float(otherwise)
