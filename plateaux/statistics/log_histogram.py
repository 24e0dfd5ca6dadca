"""Quantiles of a stream too long to keep: counts in bins of one ratio."""

import functools as ft
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from . import _samples
from .quantiles import probabilities_between, rank_of

# Losses below are as good as exact fits, losses above belong to runs that diverge.
LOWEST, HIGHEST = 1e-25, 1e10


def log_bins(accuracy: Any) -> np.ndarray:
    r"""Upper ends of bins in which a value is known to a relative accuracy.

    All bins (γ^{i-1}, γ^i] have the ratio γ = (1 + α)/(1 − α), so that the point
    2γ^i/(1 + γ) of a bin is no farther than a share α from each of its values. They
    go from 1e-25 to 1e10; the first one holds everything below, and beyond the last
    end is one more bin for what is larger or not finite.

    Args:
        accuracy: Relative accuracy α, above 0 and below 1.

    Returns:
        The ends, increasing, shape (m,); there are m + 1 bins.

    Raises:
        ValueError: If the accuracy is out of range.

    Example:
        >>> ends = log_bins(0.01)
        >>> len(ends), round(float(ends[1] / ends[0]), 6)
        (4031, 1.020202)

    Reference: Masson, Rim & Lee (2019), DDSketch, arXiv:1908.10693.
    """
    log_ratio = _log_ratio(accuracy)
    number = math.ceil(math.log(HIGHEST / LOWEST) / log_ratio)
    return LOWEST * np.exp(log_ratio * np.arange(number + 1))


def log_histogram(
    values: Any, accuracy: Any, *, where: Any = None
) -> Int[Array, " bins"]:
    """How many values lie in each bin of `log_bins`; counts of two samples add up.

    Args:
        values: Values of any shape; what is not finite goes into the last bin.
        accuracy: Relative accuracy α, above 0 and below 1.
        where: Which of the values count; all if None.

    Returns:
        Counts, one more than there are ends of bins. The function can be compiled.

    Raises:
        ValueError: If the accuracy is out of range.

    Example:
        >>> counts = log_histogram(jnp.array([1.0, 2.0, jnp.nan]), 0.01)
        >>> int(counts.sum()), int(counts[-1])
        (3, 1)
    """
    last = len(log_bins(accuracy))
    where = None if where is None else jnp.ravel(where)
    return _counts(jnp.ravel(jnp.asarray(values)), where, last, _log_ratio(accuracy))


@ft.partial(jax.jit, static_argnames="last")
def _counts(values, where, last: int, log_ratio) -> Int[Array, " m"]:
    steps = jnp.log(jnp.maximum(values, LOWEST) / LOWEST) / log_ratio
    known = jnp.isfinite(values) & (values <= HIGHEST)
    place = jnp.where(known, jnp.ceil(steps), last).astype(jnp.int32)
    number = jnp.ones(values.shape, jnp.int32)
    if where is not None:
        number = jnp.where(where, number, 0)
    return jnp.zeros(last + 1, jnp.int32).at[place].add(number)


def histogram_quantiles(
    counts: Any, accuracy: Any, probabilities: Any
) -> Float[np.ndarray, "q ..."]:
    """Quantiles of the values that were counted, to the accuracy of the bins.

    The ⌈pB⌉-th of B values in order, as in `quantiles`.

    Args:
        counts: From `log_histogram`, or a sum of those, shape (..., m + 1).
        accuracy: That of the bins.
        probabilities: Between 0 and 1, shape (q,).

    Returns:
        Quantiles, shape (q, ...): the first end for what lies below it, inf for what
        is beyond the last, and NaN where nothing was counted.

    Raises:
        ValueError: If shapes disagree or a probability is outside of (0, 1).

    Example:
        >>> counts = log_histogram(jnp.arange(1.0, 101.0), 0.01)
        >>> bool(abs(histogram_quantiles(counts, 0.01, [0.5])[0] - 50) <= 0.5)
        True
    """
    counts, ends = _samples.host("counts", counts), log_bins(accuracy)
    if counts.ndim == 0 or counts.shape[-1] != len(ends) + 1:
        raise ValueError(
            f"Argument `counts` must have {len(ends) + 1} bins in its last axis for "
            f"an accuracy of {accuracy}, but has shape {counts.shape}."
        )
    p = probabilities_between(probabilities)
    below = np.cumsum(counts, axis=-1, dtype=np.int64)
    total = below[..., -1:]
    wanted = np.moveaxis(rank_of(p, total), -1, 0)
    place = np.sum(below[None] < wanted[..., None], axis=-1)
    middle = 2 * ends[1:] * ends[:-1] / (ends[1:] + ends[:-1])
    points = np.concatenate([ends[:1], middle, [np.inf]])
    return np.where(total[None, ..., 0] > 0, points[place], np.nan)


def _log_ratio(accuracy: Any) -> float:
    """Logarithm of the ratio of a bin's ends, for an accuracy in range."""
    if not 0 < accuracy < 1:
        raise ValueError(
            f"Argument `accuracy` must be above 0 and below 1, but is {accuracy}."
        )
    return math.log1p(accuracy) - math.log1p(-accuracy)
