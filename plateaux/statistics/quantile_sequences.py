"""Confidence sequences of quantiles, whatever the law, censored or not."""

from typing import Any

import numpy as np

from . import _samples
from ._looks import intersected, looks
from ._samples import Interval
from .quantiles import rank_of


def quantile_sequence(
    values: Any,
    probability: Any,
    *,
    censored: Any = None,
    at: Any = None,
    confidence: float = 0.95,
) -> Interval:
    r"""Confidence sequence of a quantile of independent observations, any law.

    Of the first n observations at most a share F(q) ≥ p, and at least F(q−) ≤ p,
    lies at or below (below) the true quantile q. Both numbers are Bernoulli sums,
    for which a confidence sequence knows the bounds: as in `bernoulli_sequence`,
    with the mixture cut to θ < p,

        M_n(k) = ∫₀^p (θ/p)^k ((1−θ)/(1−p))^(n−k) dθ / p

    is a supermartingale whenever the mean is at least p, and reaches 2/α with
    probability at most α/2, α = 1 − confidence. So with a_n the smallest k where it
    does not, the a_n-th value in order is below q at all n; and likewise from above.
    The ends are values that occurred, −inf and inf before there are enough.

    Censoring. The true value of a censored observation is at least the one seen:
    the low end takes it as it is, the high end (and the estimate) as inf. Both
    are valid for *any* censoring, even a dependent one, and lose nothing where all
    runs end at one horizon.

    Args:
        values: Observations in their order, shape (m,), floats; inf is allowed.
        probability: p of the quantile, between 0 and 1; 0.5 is the median.
        censored: Whether each was still running when observation ended, shape (m,),
            or None if none was.
        at: Sample sizes at which to look, increasing integers between 1 and m, or
            None for all.
        confidence: P[the truth is inside at all looks], between 0 and 1.

    Returns:
        Quantiles (see `quantiles`) and the ends of the interval, one a look.

    Raises:
        TypeError: If values are not floats, `censored` not Booleans, or `at` not
            integers.
        ValueError: If there is no value, one is NaN, shapes differ, or `probability`
            or `at` is not as it must be.

    Example:
        >>> import numpy as np
        >>> values = np.random.default_rng(0).exponential(1.0, 1000)
        >>> median = quantile_sequence(values, 0.5, at=[10, 100, 1000])
        >>> print(median.low.round(2), median.high.round(2))
        [0.   0.52 0.64] [6.06 1.23 0.84]

    Reference: Howard & Ramdas (2022), Bernoulli 28, 1704-1728, theorem 1.
    """
    values = _samples.floats("values", values, ("m",))
    p = _samples.open_unit("probability", probability)
    if censored is None:
        censored = np.zeros(values.shape, bool)
    censored = _samples.booleans("censored", censored, values.shape)
    n = looks(at, values.size)
    alpha = 1 - _samples.confidence_level(confidence)
    fewest = _fewest(n, p, np.log(2 / alpha))
    most = n - _fewest(n, 1 - p, np.log(2 / alpha))
    latest = np.where(censored, np.inf, values)
    estimate = _order_statistics(latest, n, rank_of(np.array(p), n))
    low = _order_statistics(values, n, fewest)
    high = _order_statistics(latest, n, most + 1)
    return intersected(estimate, low, high)


def _fewest(n: np.ndarray, p: float, log_bound: float) -> np.ndarray:
    """Smallest k at which the mixture over θ < p is below the bound, by bisection."""
    from scipy.special import betainc, betaln  # heavy, and used only here

    def excluded(k):
        with np.errstate(divide="ignore"):  # log 0 far above p: not excluded
            part = np.log(betainc(k + 1, n - k + 1, p))
        likelihood = k * np.log(p) + (n - k) * np.log1p(-p)
        return betaln(k + 1, n - k + 1) + part - np.log(p) - likelihood >= log_bound

    # k = n is never excluded, and -1 always counts as excluded.
    below, enough = np.full(n.shape, -1), n
    while np.any(enough - below > 1):
        middle = (below + enough) // 2
        out = (middle < 0) | excluded(np.maximum(middle, 0))
        below, enough = np.where(out, middle, below), np.where(out, enough, middle)
    return enough


def _order_statistics(values: np.ndarray, n: np.ndarray, ranks: np.ndarray):
    """The value of that rank among the first n, at each look; ±inf outside of 1..n."""
    found = np.empty(n.size)
    for i, (size, rank) in enumerate(zip(n.tolist(), ranks.tolist(), strict=True)):
        if rank < 1 or rank > size:
            found[i] = -np.inf if rank < 1 else np.inf
        else:
            found[i] = np.partition(values[:size], rank - 1)[rank - 1]
    return found
