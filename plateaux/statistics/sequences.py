"""Confidence sequences: intervals that stay valid however often one looks."""

from typing import Any

import numpy as np

from . import _samples
from ._looks import intersected, looks
from ._samples import Interval
from .proportions import counts

# Scale of the mixing law of `mean_sequence`, in units of the sum of squares: the
# sequence is narrowest, relative to a fixed-n interval, near ten times this.
_MIXING = 1.0
_MOST_STEPS = 100  # of Newton's method; about ten are needed


def bernoulli_sequence(
    successes: Any, trials: Any, *, confidence: float = 0.95
) -> Interval:
    r"""Confidence sequence of a proportion: valid at all sample sizes at once.

    With k successes among the first n trials and the uniform mixture

        M_n(p) = ∫₀¹ θ^k (1−θ)^(n−k) dθ / (p^k (1−p)^(n−k)),

    the interval at n is {p : M_n(p) < 1/α}, α = 1 − confidence, intersected with
    those before. Why: each θ gives a likelihood ratio, a martingale of mean 1 if p
    is true; so is their mixture, and by Ville's inequality it ever reaches 1/α with
    probability at most α. So P[p in the interval at every n] ≥ confidence, for any
    rule of when to look and when to stop. Its half-width is that of a fixed-n
    interval times about √(2 log(1/α) + log n)/z: 1.6 at n = 100, 1.9 at n = 5000.

    Trials must come in an order that their results do not influence (numbers of
    lanes, not the order in which they finish). An intersection that is empty, low
    above high, has probability at most α, or the trials are not alike.

    Args:
        successes: Successes among the first n trials, integers, one number or sample
            sizes along the first axis.
        trials: n ≥ 1 at each look, of the same shape or one that broadcasts.
        confidence: P[the truth is inside at all looks], between 0 and 1.

    Returns:
        Estimate k/n, and the ends of the interval at each look.

    Raises:
        TypeError: If a count is not an integer.
        ValueError: If a count is negative, n is 0, k exceeds n, or counts fall from
            one look to the next.

    Example:
        >>> sequence = bernoulli_sequence([8, 40, 81], [10, 50, 100])
        >>> for low, high in zip(sequence.low, sequence.high):
        ...     print(f"{low:.3f} {high:.3f}")
        0.353 0.990
        0.591 0.935
        0.663 0.914

    References: Robbins (1970), Ann. Math. Stat. 41, 1397-1409; Ville (1939), Étude
    critique de la notion de collectif.
    """
    k, n = np.broadcast_arrays(*counts(successes, trials))
    _running(k, n)
    alpha = 1 - _samples.confidence_level(confidence)
    # Mirrored, the high end is a low end.
    low, high = (_lowest_mean(np.asarray(of), n, alpha) for of in (k, n - k))
    return intersected(k / n, low, 1 - high)


def mean_sequence(
    values: Any, *, bounds: Any, at: Any = None, confidence: float = 0.95
) -> Interval:
    r"""Confidence sequence of the mean of bounded observations.

    For observations x_i scaled to [0, 1], S_n(μ) = Σ (x_i − μ), predictions
    x̂_i = (½ + x_1 + … + x_{i−1})/i and V_n = Σ (x_i − x̂_i)², the process
    exp(λ S_n(μ) − V_n ψ(λ)), ψ(λ) = −log(1−λ) − λ, is for every λ in [0, 1) a
    supermartingale at the true mean μ (Fan's inequality:
    exp(λy − ψ(λ)y²) ≤ 1 + λy for y ≥ −1, at y = x_i − x̂_i). So is its mixture over a
    gamma law of 1 − λ cut to (0, 1], which has a closed form; by Ville's inequality
    it ever reaches 2/α with probability at most α/2, α = 1 − confidence, and the
    same holds from above. The interval adapts to the variance (an *empirical
    Bernstein* one); it is intersected with those before. See `bernoulli_sequence`
    for what it means and what the order must be; observations of 0 and 1 get a
    narrower one there. Its half-width is about twice that of a fixed-n interval once
    V_n is above 10; before, the bounds rather than the variance decide it.

    Args:
        values: Observations in their order along the first axis, shape (m, ...).
        bounds: Two numbers (lowest, highest) known beforehand to bound them.
        at: Sample sizes at which to look, increasing integers between 1 and m, or
            None for all.
        confidence: P[the truth is inside at all looks], between 0 and 1.

    Returns:
        Means and the ends of the interval, one row a look.

    Raises:
        TypeError: If values are not floats or `at` not integers.
        ValueError: If a value lies outside of the bounds, the bounds do not
            increase, or `at` is not as it must be.

    Example:
        >>> import numpy as np
        >>> values = np.random.default_rng(0).uniform(0.4, 0.6, 1000)
        >>> estimate, low, high = mean_sequence(values, bounds=(0, 1), at=[1000])
        >>> print(f"[{low[0]:.3f}, {high[0]:.3f}]")
        [0.495, 0.512]

    References: Howard, Ramdas, McAuliffe & Sekhon (2021), Ann. Stat. 49, 1055-1080,
    theorem 4 and proposition 9; Fan, Grama & Liu (2015), Electron. J. Probab. 20, 1.
    """
    values = _samples.host("values", values)
    values = _samples.floats("values", values, ("m",) + ("...",) * (values.ndim - 1))
    lowest, highest = _bounds(bounds, values)
    n = looks(at, len(values))
    alpha = 1 - _samples.confidence_level(confidence)
    scaled = (values - lowest) / (highest - lowest)
    sums, squares = _running_sums(scaled)
    size = n.reshape(-1, *[1] * (values.ndim - 1))
    mean = sums[n - 1] / size
    radius = _radius(squares[n - 1], size, np.log(2 / alpha)) / size
    ends = (np.maximum(mean - radius, 0.0), np.minimum(mean + radius, 1.0))
    parts = (lowest + (highest - lowest) * part for part in (mean, *ends))
    return intersected(*parts)


def _running(k: np.ndarray, n: np.ndarray) -> None:
    """Refuse counts that fall, or successes that outrun the trials."""
    if k.ndim and not np.all((np.diff(k, axis=0) >= 0) & (np.diff(n - k, axis=0) >= 0)):
        raise ValueError(
            "Arguments `successes` and `trials` must be running counts along the first "
            "axis, but successes or failures become fewer from one look to the next."
        )


def _lowest_mean(k: np.ndarray, n: np.ndarray, alpha: float) -> np.ndarray:
    """Low end of {p : M_n(p) < 1/α}, by Newton's method in log p."""
    from scipy.special import betaln, xlog1py  # heavy, and used only here

    level = betaln(k + 1, n - k + 1) + np.log(alpha)
    some = np.maximum(k, 1)
    # The likelihood is concave in log p: from the left no step goes beyond the end.
    log_p = level / some
    for _ in range(_MOST_STEPS):
        p = np.exp(log_p)
        missing = level - k * log_p - xlog1py(n - k, -p)
        step = np.maximum(missing, 0.0) / np.maximum(some - (n - k) * p / (1 - p), 1e-9)
        log_p = log_p + step
        if np.all(step < 1e-14):
            break
    return np.where(k > 0, np.exp(log_p), 0.0)


def _running_sums(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of x and of (x − x̂)² over the first 1, 2, ..., m observations."""
    sums = np.cumsum(scaled, axis=0)
    size = np.arange(1, len(scaled) + 1).reshape(-1, *[1] * (scaled.ndim - 1))
    predictions = (0.5 + sums - scaled) / size
    return sums, np.cumsum((scaled - predictions) ** 2, axis=0)


def _radius(squares: np.ndarray, size: np.ndarray, log_bound: float) -> np.ndarray:
    """The |S_n| ≤ n at which the mixture reaches the bound, by Newton's method."""
    # Its logarithm is convex: from the right no step goes beyond the root.
    s = np.broadcast_to(size, squares.shape) * 1.0
    for _ in range(_MOST_STEPS):
        value, slope = _log_mixture(s, squares)
        step = np.maximum(value - log_bound, 0.0) / slope
        s = s - step
        if np.all(step < 1e-12 * s):
            break
    return s


def _log_mixture(s: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log ∫ exp(λs − ψ(λ)v) over u = 1 − λ in (0, 1], ∝ u^(ρ−1) e^(−ρu); its slope."""
    shape, rate = v + _MIXING, s + v + _MIXING
    area = _log_lower(shape, rate)
    slope = 1 - np.exp(_log_lower(shape + 1, rate) - area)
    return s + v + area - _log_lower(_MIXING, _MIXING), slope


def _log_lower(shape: Any, rate: Any) -> Any:
    """Logarithm of ∫₀¹ u^(shape−1) e^(−rate u) du."""
    from scipy.special import gammainc, gammaln  # heavy, and used only here

    return gammaln(shape) + np.log(gammainc(shape, rate)) - shape * np.log(rate)


def _bounds(bounds: Any, values: np.ndarray) -> tuple[float, float]:
    ends = _samples.host("bounds", bounds)
    if ends.shape != (2,) or not np.all(np.isfinite(ends)) or not ends[0] < ends[1]:
        raise ValueError(
            "Argument `bounds` must be two increasing finite numbers, but is "
            f"{ends.tolist()}."
        )
    lowest, highest = ends.astype(float).tolist()
    if np.any((values < lowest) | (values > highest)):
        raise ValueError(
            f"Argument `values` must lie within the bounds, {lowest} to {highest}, but "
            f"spans {values.min()} to {values.max()}."
        )
    return lowest, highest
