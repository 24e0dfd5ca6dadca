"""The bootstrap for any statistic of lanes."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
from . import _samples
from ._samples import Interval
from .quantiles import quantiles


def bootstrap_interval(
    values: Any,
    statistic: Callable[[Any], Array],
    *,
    key: Array,
    num_resamples: int = 1000,
    confidence: float = 0.95,
    batch_size: int = 32,
) -> Interval:
    r"""Percentile bootstrap interval of a statistic over lanes.

    Draws resamples of the B lanes with replacement and takes the (1 ∓ confidence)/2
    quantiles of the statistic over them. Whole lanes are drawn, so things of one
    lane stay together (its losses at all times, all its plateaus). Resample i uses
    `fold_in(key, i)`: the result does not depend on `batch_size`. For quantiles
    over lanes `quantile_band` gives the limit of infinitely many resamples.

    Memory: `batch_size` resamples of the values at a time.

    Args:
        values: An array, or a pytree of arrays, with lanes as leading axis.
        statistic: Maps values of B lanes to a float or an array of floats; traced
            by JAX, and compiled once as long as it is the same function object.
        key: A JAX random key.
        num_resamples: How many resamples, at least 2.
        confidence: Two-sided coverage, between 0 and 1.
        batch_size: Resamples held in memory at a time.

    Returns:
        The statistic of all lanes, and its interval, in the statistic's shape.

    Raises:
        ValueError: If lanes are missing or differ in number, a count is too small,
            or the statistic of a resample is NaN.

    Example:
        >>> losses = jnp.array([1.0, 1.0, 1.0, 1.0])
        >>> print(bootstrap_interval(losses, jnp.mean, key=jax.random.key(0)).high)
        1.0

    Reference: Efron & Tibshirani (1993), An Introduction to the Bootstrap, 13.3.
    """
    _checks.count("num_resamples", num_resamples, at_least=2)
    _checks.count("batch_size", batch_size)
    tail = (1 - _samples.confidence_level(confidence)) / 2
    values = jax.tree.map(jnp.asarray, values)
    _num_lanes(values)
    resampled = _resampled(values, statistic, key, num_resamples, batch_size)
    low, high = quantiles(_without_nan(resampled), [tail, 1 - tail])
    return Interval(_samples.host("statistic", statistic(values)), low, high)


@eqx.filter_jit
def _resampled(values, statistic, key, num_resamples: int, batch_size: int) -> Array:
    size = _num_lanes(values)

    def of_resample(i):
        # Bits modulo B favour some lanes by B/2³² at most, and compile twice as fast
        # as `randint`.
        lanes = jax.random.bits(jax.random.fold_in(key, i), (size,)) % size
        return jnp.asarray(statistic(jax.tree.map(lambda leaf: leaf[lanes], values)))

    # Whole batches only: a shorter last one would be compiled a second time.
    num_batches = -(-num_resamples // batch_size)
    numbers = jnp.arange(num_batches * batch_size).reshape(num_batches, batch_size)
    resampled = jax.lax.map(jax.vmap(of_resample), numbers)
    return resampled.reshape(-1, *resampled.shape[2:])[:num_resamples]


def _num_lanes(values: Any) -> int:
    leaves = jax.tree.leaves(values)
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in leaves}
    if len(sizes) != 1 or min(sizes) < 1:
        raise ValueError(
            "Argument `values` must hold arrays with one number of lanes, at least 1, "
            f"as leading axis, but has shapes {[leaf.shape for leaf in leaves]}."
        )
    return sizes.pop()


def _without_nan(resampled: Array) -> Array:
    bad = int(jnp.sum(jnp.isnan(resampled)))
    if bad:
        raise ValueError(
            "Argument `statistic` must not give NaN, but did so in "
            f"{bad} of {resampled.size} resampled values; means of losses that "
            "diverged (inf) are not defined, quantiles are."
        )
    return resampled
