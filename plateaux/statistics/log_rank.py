"""Do groups last equally long? The log-rank test."""

from typing import Any, Literal, NamedTuple

import numpy as np

from . import _samples


class LogRank(NamedTuple):
    """A log-rank test of G groups.

    Attributes:
        statistic: The χ² statistic.
        degrees_of_freedom: Of its distribution if the groups do not differ, G − 1
            unless groups were never at risk together.
        p_value: Probability of a statistic at least so large if they do not.
        groups: The labels of the groups, in order, shape (G,).
        observed: Events of each group, shape (G,).
        expected: Events of each group expected if they do not differ, shape (G,).
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    groups: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


def log_rank(durations: Any, censored: Any, groups: Any) -> LogRank:
    r"""Log-rank test of equal survival in two or more groups.

    At the distinct event times, with d events among n observations at risk, n_g of
    them in group g, the events of the groups are, if the groups do not differ, a
    draw without replacement: hypergeometric, with mean E_g = d n_g/n and covariance
    d (n−d)/(n−1) [δ_gh n_g/n − n_g n_h/n²]. Summed over times, O − E and V give the
    statistic (O−E)ᵀ V⁺ (O−E), which is χ² with rank V degrees of freedom for many
    observations. Ties are in the (n−d)/(n−1).

    Conventions. An observation censored at the time of an event is still at risk
    there. Without an event while two groups are at risk V is 0, and so are the
    statistic and its degrees of freedom: the p-value is 1. The test looks for
    hazards in a constant ratio; curves that cross may go unnoticed: see
    `restricted_mean` and `difference`. Observations count as independent.

    Args:
        durations: Observed durations, shape (m,), finite and non-negative floats.
        censored: Whether each was still running when observation ended, shape (m,).
        groups: The group of each, words or integers, at least two different ones,
            shape (m,).

    Returns:
        The test.

    Raises:
        TypeError: If durations are not floats, `censored` not Booleans, or `groups`
            neither words nor integers.
        ValueError: If shapes differ, there is only one group, or a duration is
            negative or not finite.

    Example:
        >>> durations = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        >>> test = log_rank(durations, [False] * 6, ["a", "a", "a", "b", "b", "b"])
        >>> print(test.observed, f"{test.expected[0]:.2f}", f"{test.p_value:.4f}")
        [3 3] 1.15 0.0246

    References: Mantel (1966), Cancer Chemother. Rep. 50, 163-170; Kalbfleisch &
    Prentice (2002), The Statistical Analysis of Failure Time Data, 1.5.
    """
    durations = _samples.durations(durations)
    censored = _samples.booleans("censored", censored, durations.shape)
    names, group = _samples.labels("groups", groups, durations.size)
    if names.size < 2:
        raise ValueError(
            "Argument `groups` must hold at least two different groups, but all are "
            f"{names.tolist()[0]!r}."
        )
    member = group[:, None] == np.arange(names.size)
    times = np.unique(durations[~censored])
    ended = member & ~censored[:, None]
    at_risk = _lasting(times, durations, member, "left")
    events = _lasting(times, durations, ended, "left")
    events = events - _lasting(times, durations, ended, "right")
    observed, expected, variance = _moments(at_risk, events)
    return _test(names, observed, expected, variance)


def _lasting(times, durations, member, side: Literal["left", "right"]) -> np.ndarray:
    """Members that last to each time ("left") or longer ("right"), shape (e, G)."""
    columns = [np.sort(durations[inside]) for inside in member.T]
    return np.stack([c.size - np.searchsorted(c, times, side) for c in columns], axis=1)


def _moments(at_risk: np.ndarray, events: np.ndarray):
    """Sums over event times of events, their means and their covariance."""
    n, d = at_risk.sum(1), events.sum(1)
    share = at_risk / n[:, None]
    weight = d * (n - d) / np.maximum(n - 1, 1)
    crossed = (weight[:, None] * share).T @ share
    variance = np.diag(weight @ share) - crossed
    return events.sum(0), d @ share, variance


def _test(names, observed, expected, variance) -> LogRank:
    from scipy.special import chdtrc  # heavy, and used only here

    # V ends as a sum of hundreds of rounded terms: what should be 0 is not quite.
    small = {"rtol": 1e-10, "hermitian": True}
    freedom = int(np.linalg.matrix_rank(variance, **small))
    excess = observed - expected
    statistic = float(excess @ np.linalg.pinv(variance, **small) @ excess)
    return LogRank(
        statistic=statistic if freedom else 0.0,
        degrees_of_freedom=freedom,
        p_value=float(chdtrc(freedom, statistic)) if freedom else 1.0,
        groups=names,
        observed=observed,
        expected=expected,
    )
