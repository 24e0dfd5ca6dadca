r"""The hypergeometric function of the balanced chain, up to its singularity at z = 1.

₂F₁(1, β; 1+β; z) = 1 + β Σ_{j≥1} z^j/(j + β),    β > 0.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Both series have ratios below 1/2: what is left out is below 2^−60.
_TERMS = 60


def fractions_sum(beta: Any, logit: Any) -> Float[Array, "..."]:
    r"""Σ_{j≥1} z^j/(j + β) with z = 1/(1 + e^{−logit}), for every z between 0 and 1.

    Below z = 1/2 the sum itself; above it the expansion about z = 1, with the rising
    factorial (β)_n,

        −1/β + Σ_n (β)_n/n! [ψ(n+1) − ψ(n+β) − ln(1 − z)] (1 − z)^n,

    in which −1/β − ψ(β) = −ψ(1+β). The logit keeps the digits of z and of 1 − z alike.

    Args:
        beta: β > 0, one number.
        logit: ln(z/(1 − z)), any shape.

    Returns:
        The sums, in the shape of `logit`.

    Example:
        >>> z = jnp.array([0.3, 0.7])
        >>> found = fractions_sum(1.0, jnp.log(z / (1 - z)))
        >>> print(jnp.max(jnp.abs(found + jnp.log1p(-z) / z + 1)) < 1e-6)
        True

    Reference: Abramowitz & Stegun (1964), 15.3.10.
    """
    logit = jnp.asarray(logit, jnp.result_type(float, logit))
    n = jnp.arange(_TERMS, dtype=logit.dtype)
    beta = jnp.asarray(beta, logit.dtype)
    small = logit <= 0
    # Double where: the series that is not taken must have finite derivatives too.
    log_z = -jax.nn.softplus(-jnp.where(small, logit, 0))
    log_rest = -jax.nn.softplus(jnp.where(small, 0, logit))  # ln(1 − z)
    near_zero = _powers(log_z, n + 1) @ (1 / (n + 1 + beta))
    digamma = jax.scipy.special.digamma
    # At n = 0 the −1/β makes ψ(β) to ψ(1+β).
    shift = digamma(n + 1) - digamma(jnp.maximum(n, 1) + beta)
    ratio = (n + beta) / (n + 1)
    factor = jnp.cumprod(jnp.concatenate([jnp.ones_like(ratio[:1]), ratio[:-1]]))
    powers = _powers(log_rest, n)
    near_one = powers @ (factor * shift) - log_rest * (powers @ factor)
    return jnp.where(small, near_zero, near_one)


def _powers(log_base: Array, n: Array) -> Array:
    """All powers of a base, in a new last axis."""
    return jnp.exp(jnp.multiply.outer(log_base, n))
