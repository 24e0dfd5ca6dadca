"""Proportions of lanes, with Wilson intervals."""

from typing import Any

import numpy as np

from . import _samples
from ._samples import Interval


def wilson(successes: Any, trials: Any, *, confidence: float = 0.95) -> Interval:
    r"""Wilson score interval of a proportion.

    With p̂ = k/N and z the normal quantile of the confidence, the interval is
    (p̂ + z²/2N ± z √(p̂(1−p̂)/N + z²/4N²)) / (1 + z²/N). It stays inside [0, 1], and
    keeps a positive length at k = 0 and k = N, where its low end is exactly 0 and
    its high end exactly 1.

    Args:
        successes: Number of successes k, integers of any shape.
        trials: Number of trials N ≥ 1, of a shape that broadcasts against k.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        Estimate p̂ and the ends of the interval, in the broadcast shape.

    Raises:
        TypeError: If a count is not an integer.
        ValueError: If a count is negative, N is 0, or k exceeds N.

    Example:
        >>> estimate, low, high = wilson(8, 10)
        >>> print(f"{estimate:.3f} [{low:.3f}, {high:.3f}]")
        0.800 [0.490, 0.943]

    Reference: Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.
    """
    k, n = counts(successes, trials)
    z = _samples.normal_quantile(confidence)
    p = k / n
    centre = p + z**2 / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low = np.where(k == 0, 0.0, (centre - half) / (1 + z**2 / n))
    high = np.where(k == n, 1.0, (centre + half) / (1 + z**2 / n))
    return Interval(p, low, high)


def counts(successes: Any, trials: Any) -> tuple[np.ndarray, np.ndarray]:
    """Successes k and trials N as integers with 0 ≤ k ≤ N, N ≥ 1, else a refusal."""
    k = _samples.integers("successes", successes)
    n = _samples.integers("trials", trials)
    if np.any(n < 1):
        raise ValueError(
            "Argument `trials` must be at least 1, but holds 0: a proportion of "
            "nothing is undefined; leave empty groups out."
        )
    if np.any(k > n):
        raise ValueError(
            "Argument `successes` must not exceed `trials`, but is "
            f"{successes} of {trials}."
        )
    return k, n
