"""Quantiles over lanes, and their distribution-free intervals."""

from typing import Any

import numpy as np

from . import _samples
from ._samples import Interval


def quantiles(values: Any, probabilities: Any) -> np.ndarray:
    """Sample quantiles along the first axis, without interpolation.

    The quantile of probability p of B values is the smallest that at least a share
    p of them does not exceed: the ⌈pB⌉-th in order (the inverse of the empirical
    distribution function). So it is always one of the values, and inf (a loss that
    diverged) is ordered last and never becomes NaN.

    Args:
        values: Values, shape (B, ...), floats without NaN.
        probabilities: Probabilities between 0 and 1, shape (q,).

    Returns:
        Quantiles, shape (q, ...).

    Raises:
        ValueError: If there are no values, one is NaN, or a probability is outside
            of (0, 1).

    Example:
        >>> print(quantiles([1.0, 5.0, 2.0, float("inf")], [0.5, 0.9]))
        [ 2. inf]
    """
    values = _values(values)
    ranks = rank_of(probabilities_between(probabilities), len(values))
    return np.sort(values, axis=0)[ranks - 1]


def quantile_band(
    values: Any, probabilities: Any, *, confidence: float = 0.95
) -> Interval:
    r"""Quantiles over lanes with distribution-free intervals, for every column.

    The number of B values that lie below the quantile of probability p is
    Binomial(B, p), whatever their continuous distribution; so the i-th and the j-th
    value in order have the quantile between them with probability
    P[i ≤ Binomial(B, p) < j]. The interval starts from the ranks that leave at most
    α/2 at either end, α = 1 − confidence, and moves each end inwards by one if that
    brings this coverage nearer to the confidence: from 50 lanes on it misses it by
    at most 0.01. Ties only raise it. It covers each column (saved time) by itself.
    Near the ends of the sample (pB or (1−p)B below about 5) there may be no such
    ranks; then it ends at the smallest or largest value and covers less than it
    says. Bootstrap percentile intervals, also between two values in order, cover
    less: 0.88 instead of 0.95 for p = 0.9 of 50 lanes.

    Cost: one sort, O(Bt log B); no memory beyond a copy of the values.

    Args:
        values: For example losses, shape (B, t) or (B,): lanes first. Floats
            without NaN; inf is allowed and ordered last.
        probabilities: Probabilities of the quantiles, between 0 and 1, shape (q,).
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        Quantiles (see `quantiles`) and interval ends, each of shape (q, t).

    Raises:
        ValueError: If there are no values, one is NaN, or a probability or the
            confidence is outside of (0, 1).

    Example:
        >>> import numpy as np
        >>> band = quantile_band(np.arange(100.0)[:, None], [0.5])
        >>> print(band.estimate, band.low, band.high)
        [[49.]] [[39.]] [[59.]]

    Reference: David & Nagaraja (2003), Order Statistics, 7.1.
    """
    values = _values(values)
    level = _samples.confidence_level(confidence)
    p = probabilities_between(probabilities)
    ranks = rank_of(p, len(values))
    ends = [
        _interval_ranks(len(values), *each, level)
        for each in zip(p.tolist(), ranks.tolist(), strict=True)
    ]
    low, high = np.array(ends).T
    ordered = np.sort(values, axis=0)
    return Interval(ordered[ranks - 1], ordered[low - 1], ordered[high - 1])


def _values(values: Any) -> np.ndarray:
    array = _samples.host("values", values)
    names = ("B",) + ("t",) * (array.ndim - 1) if array.ndim else ("B", "t")
    return _samples.floats("values", array, names)


def probabilities_between(probabilities: Any) -> np.ndarray:
    """Probabilities strictly between 0 and 1, else a refusal."""
    p = _samples.floats("probabilities", probabilities, ("q",))
    if np.any((p <= 0) | (p >= 1)):
        raise ValueError(
            "Argument `probabilities` must lie strictly between 0 and 1, but is "
            f"{p.tolist()}."
        )
    return p


def rank_of(probabilities: np.ndarray, num_values: Any) -> np.ndarray:
    """Rank ⌈pB⌉ of the quantile of probability p among B values."""
    # 0.07·100 is 7.000000000000001: rounding must not move a rank up.
    ranks = np.ceil(probabilities * num_values - 1e-9).astype(int)
    return np.clip(ranks, 1, num_values)


def _interval_ranks(num_values: int, probability: float, rank: int, confidence: float):
    """Ranks around the quantile's whose coverage is nearest to the confidence."""
    from scipy.special import bdtr  # heavy, and used only here

    # below[j] = P[fewer than j of B values lie below the quantile].
    below = np.concatenate(
        [[0.0], bdtr(np.arange(num_values), num_values, probability)]
    )
    tail = (1 - confidence) / 2
    low = int(np.sum(below <= tail)) - 1
    high = int(np.sum(below < 1 - tail))
    pairs = [
        (min(max(i, 1), rank), max(min(j, num_values), rank))
        for i in (low, low + 1)
        for j in (high, high - 1)
        if i < j
    ]
    # Rounded, so that pairs of equal coverage are told apart by order alone.
    return min(pairs, key=lambda pair: _miss(below, *pair, confidence))


def _miss(below: np.ndarray, low: int, high: int, confidence: float) -> float:
    return round(abs(float(below[high] - below[low]) - confidence), 12)
