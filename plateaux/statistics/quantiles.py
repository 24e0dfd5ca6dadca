"""Quantiles over lanes, and their exact bootstrap intervals."""

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
    places = ranks(probabilities_between(probabilities), len(values))
    return np.sort(values, axis=0)[places - 1]


def quantile_band(
    values: Any, probabilities: Any, *, confidence: float = 0.95
) -> Interval:
    r"""Quantiles over lanes with bootstrap percentile intervals, for every column.

    Resampling B lanes with replacement, the bootstrap quantile (the k-th in order
    of a resample, k = ⌈pB⌉) is at most the j-th value in order with probability
    P[Binomial(B, j/B) ≥ k]: at least k draws must fall on the first j lanes. So the
    percentile interval, the α/2 and 1 − α/2 quantiles of the bootstrap
    distribution, needs no random numbers: it is the limit of infinitely many
    resamples. It covers each column (saved time) by itself. Near the ends of the
    sample (pB or (1−p)B below about 5) it covers less than it says.

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

    References: Efron (1979), Ann. Stat. 7, 1-26, section 3; Maritz & Jarrett
    (1978), J. Am. Stat. Assoc. 73, 194-196.
    """
    values = _values(values)
    tail = (1 - _samples.confidence_level(confidence)) / 2
    places = ranks(probabilities_between(probabilities), len(values))
    low, high = (
        np.array([_bootstrap_rank(len(values), k, level) for k in places.tolist()])
        for level in (tail, 1 - tail)
    )
    ordered = np.sort(values, axis=0)
    return Interval(ordered[places - 1], ordered[low - 1], ordered[high - 1])


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


def ranks(probabilities: np.ndarray, num_values: Any) -> np.ndarray:
    """Places ⌈pB⌉, from 1, of quantiles among B values in order."""
    # 0.07·100 is 7.000000000000001: rounding must not move a rank up.
    places = np.ceil(probabilities * num_values - 1e-9).astype(int)
    return np.clip(places, 1, num_values)


def _bootstrap_rank(num_values: int, rank: int, probability: float) -> int:
    """Smallest j with P[Binomial(B, j/B) ≥ rank] ≥ probability, by bisection."""
    below, enough = 0, num_values
    while enough - below > 1:
        middle = (below + enough) // 2
        if _binomial_tail(num_values, middle / num_values, rank) >= probability:
            enough = middle
        else:
            below = middle
    return enough


def _binomial_tail(n: int, p: float, k: int) -> float:
    """P[Binomial(n, p) ≥ k] for 0 < p < 1, summed in logarithms."""
    i = np.arange(k, n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    choose = log_factorial[n] - log_factorial[i] - log_factorial[n - i]
    return float(np.sum(np.exp(choose + i * np.log(p) + (n - i) * np.log1p(-p))))
