"""How dwell depends on width, scale, ...: regression under censoring."""

from typing import Any, NamedTuple

import numpy as np

from . import _samples
from ._samples import Interval


class LogDurationRegression(NamedTuple):
    """A fit log T = intercept + coefficients · x + scale · ε.

    Attributes:
        intercept: The intercept with its interval.
        coefficients: One a covariate with its interval, shape (q,). For a covariate
            log x it is the exponent of x in the median duration.
        scale: Standard deviation σ of log T about its mean, with its interval.
        covariance: Covariance of intercept and coefficients, shape (q + 1, q + 1).
        log_likelihood: Of the durations, at the maximum.
        num_observations: Number of observations m.
        num_censored: How many of them are censored.
        degrees_of_freedom: Of Student's t in the intervals.
    """

    intercept: Interval
    coefficients: Interval
    scale: Interval
    covariance: np.ndarray
    log_likelihood: float
    num_observations: int
    num_censored: int
    degrees_of_freedom: int


def accelerated_failure_time(
    durations: Any,
    censored: Any,
    covariates: Any,
    *,
    clusters: Any = None,
    confidence: float = 0.95,
) -> LogDurationRegression:
    r"""Regression of log duration on covariates, censoring respected.

    The log-normal accelerated failure time model, log T = β₀ + β·x + σ ε with ε
    standard normal: an observation that ended at t contributes the density of T
    there, one censored at t the probability P[T > t] = Φ(−r), with
    r = (log t − β₀ − β·x)/σ. In the parameters (β/σ, 1/σ) the log-likelihood is
    concave, and Newton's method finds its maximum; it is unique, because the
    observations that ended determine all parameters (or are refused).

    Covariances come from the observed information there, times m/(m − k), k = q + 1,
    and intervals from Student's t with m − k degrees of freedom; that of σ is taken
    on the log scale. `scale` is the maximum-likelihood σ times √(m/(m − k)). So
    without censoring everything is ordinary least squares, exactly.

    What it assumes. If the spread of log T depends on x, the information gives wrong
    intervals: pass `clusters`, which sums the scores within each (say, of one lane)
    and takes the sandwich estimate instead; `clusters=range(m)` is White's for
    independent observations. Under censoring that repairs the intervals only: the
    coefficients themselves are biased where the normal law or the constant σ fails,
    because the censored part is filled in from them. Check against
    `median_survival` or `restricted_mean` by group, which assume no law.

    Args:
        durations: Observed durations, shape (m,), positive floats.
        censored: Whether each was still running when observation ended, shape (m,).
        covariates: One row an observation, shape (m, q), floats without the constant
            column; for example log width and log scale.
        clusters: The cluster of each observation, words or integers, shape (m,), or
            None for independent observations with one σ.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        The fit.

    Raises:
        TypeError: If durations or covariates are not floats, or `censored` not
            Booleans.
        ValueError: If shapes differ, a duration is not positive, a covariate not
            finite, or the observations that ended do not determine the parameters.

    Example:
        >>> import numpy as np
        >>> width = np.array([5.0, 5.0, 10.0, 10.0, 20.0, 20.0])
        >>> dwell = np.array([9.0, 11.0, 4.0, 6.0, 2.0, 3.0])
        >>> fit = accelerated_failure_time(dwell, [False] * 6, np.log(width)[:, None])
        >>> print(f"{fit.coefficients.estimate[0]:.3f}")
        -1.011

    References: Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure
    Time Data, 3.6; Olsen (1978), Econometrica 46, 1211-1215; White (1982),
    Econometrica 50, 1-25.
    """
    durations, ended, x = _data(durations, censored, covariates)
    m, k = x.shape
    log_durations = np.log(durations)
    _determined(log_durations, ended, x)
    # Orthonormal columns keep Newton's system well conditioned.
    q, r = np.linalg.qr(x)
    rows = np.column_stack([-q, log_durations])
    optimum = _maximise(rows, ended)
    scores, _, information = _derivatives(optimum, rows, ended)
    covariance, freedom = np.linalg.inv(information) * m / (m - k), m - k
    if clusters is not None:
        covariance, groups = _sandwich(information, scores, clusters, k)
        freedom = min(freedom, groups - 1)
    # From (γ, h) to (β, log σ) with β = R⁻¹ γ/h, σ = 1/h.
    slopes, h = optimum[:-1] / optimum[-1], optimum[-1]
    inverse = np.linalg.inv(r)
    jacobian = np.block(
        [[inverse / h, -(inverse @ slopes / h)[:, None]], [np.zeros((1, k)), -1 / h]]
    )
    covariance = jacobian @ covariance @ jacobian.T
    t = _samples.student_quantile(confidence, freedom)
    half = t * np.sqrt(np.diag(covariance))
    beta, scale = inverse @ slopes, np.sqrt(m / (m - k)) / h
    value = _log_likelihood(optimum, rows, ended) - np.sum(log_durations[ended])
    return LogDurationRegression(
        intercept=Interval(beta[0], beta[0] - half[0], beta[0] + half[0]),
        coefficients=Interval(beta[1:], beta[1:] - half[1:k], beta[1:] + half[1:k]),
        scale=Interval(scale, scale * np.exp(-half[k]), scale * np.exp(half[k])),
        covariance=covariance[:k, :k],
        log_likelihood=float(value),
        num_observations=m,
        num_censored=int(m - ended.sum()),
        degrees_of_freedom=freedom,
    )


def _data(durations, censored, covariates):
    durations = _samples.durations(durations)
    if np.any(durations == 0):
        raise ValueError(
            "Argument `durations` must be positive, as their logarithms are regressed, "
            f"but {np.sum(durations == 0)} of its {durations.size} entries are 0."
        )
    ended = ~_samples.booleans("censored", censored, durations.shape)
    x = _samples.floats("covariates", covariates, ("m", "q"))
    if len(x) != durations.size or not np.all(np.isfinite(x)):
        raise ValueError(
            "Argument `covariates` must hold one row of finite numbers for each of the "
            f"{durations.size} durations, but has shape {x.shape} and "
            f"{np.sum(~np.isfinite(x))} infinite entries."
        )
    return durations, ended, np.column_stack([np.ones(len(x)), x])


def _determined(log_durations: np.ndarray, ended: np.ndarray, x: np.ndarray) -> None:
    """Refuse data for which the likelihood may have no single maximum."""
    columns = np.column_stack([x, log_durations])[ended]
    size = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(size > 0, size, 1)
    rank = np.linalg.matrix_rank(scaled) if len(scaled) else 0  # NumPy 2.0 needs rows
    if rank < columns.shape[1]:
        raise ValueError(
            f"The {ended.sum()} durations that ended must determine {x.shape[1]} "
            "coefficients and the scale, but do not; leave out covariates that are "
            "constant or combinations of others, and groups without an end."
        )


def _maximise(rows: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """The maximum over (γ, h), by Newton's method from least squares."""
    least_squares = -rows[:, :-1].T @ rows[:, -1]
    residuals = rows[:, -1] + rows[:, :-1] @ least_squares
    h = np.sqrt(len(rows)) / np.linalg.norm(residuals)
    point = np.append(least_squares * h, h)
    value = _log_likelihood(point, rows, ended)
    for _ in range(100):
        _, gradient, information = _derivatives(point, rows, ended)
        step = np.linalg.solve(information, gradient)
        gain = gradient @ step
        point, value = _line_search(point, step, gain, value, rows, ended)
        if gain < 1e-16 * len(rows):
            break
    return point


def _line_search(point, step, gain, value, rows, ended):
    """The first of the steps 1, 1/2, 1/4, ... that raises the likelihood enough."""
    length = 1.0
    while length > 1e-10:
        trial = point + length * step
        if trial[-1] > 0:
            found = _log_likelihood(trial, rows, ended)
            if found >= value + 1e-4 * length * gain - 1e-12 * abs(value):
                return trial, found
        length /= 2
    return point, value


def _log_likelihood(point, rows, ended) -> float:
    """Of log T, at (γ, h): log h − r²/2 − log(2π)/2 where it ended, else log Φ(−r)."""
    from scipy.special import log_ndtr  # heavy, and used only here

    r = rows @ point
    density = np.log(point[-1]) - r**2 / 2 - np.log(2 * np.pi) / 2
    return float(np.sum(np.where(ended, density, log_ndtr(-r))))


def _derivatives(point, rows, ended):
    """Scores of the observations, their sum, and the observed information."""
    from scipy.special import log_ndtr  # heavy, and used only here

    r = rows @ point
    hazard = np.exp(-(r**2) / 2 - np.log(2 * np.pi) / 2 - log_ndtr(-r))
    slope = np.where(ended, r, hazard)
    curvature = np.where(ended, 1.0, np.maximum(hazard * (hazard - r), 0.0))
    scores = -slope[:, None] * rows
    scores[:, -1] += ended / point[-1]
    information = rows.T @ (curvature[:, None] * rows)
    information[-1, -1] += ended.sum() / point[-1] ** 2
    return scores, scores.sum(0), information


def _sandwich(information, scores, clusters, k: int):
    """I⁻¹ (Σ s sᵀ) I⁻¹ over clusters with its factor for few, and their number."""
    m = len(scores)
    names, cluster = _samples.labels("clusters", clusters, m)
    groups = names.size
    if groups <= k:
        raise ValueError(
            f"Argument `clusters` must hold more clusters than the {k} coefficients, "
            f"but holds {groups}."
        )
    sums = np.zeros((groups, scores.shape[1]))
    np.add.at(sums, cluster, scores)
    half = np.linalg.solve(information, sums.T)
    return half @ half.T * groups / (groups - 1) * (m - 1) / (m - k), groups
