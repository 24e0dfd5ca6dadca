"""Euclidean lengths of vectors of any size: squares neither under- nor overflow."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def lengths(v: Float[Array, "... D"]) -> Float[Array, "..."]:
    """Euclidean lengths of rows of any size; of a zero row 0, with derivative 0."""
    scaled, scale = _scaled(v)
    return scale[..., 0] * _root(jnp.sum(scaled**2, axis=-1))


def unit_rows(v: Float[Array, "... D"]) -> Float[Array, "... D"]:
    """Rows divided by their length; a zero row stays zero, with derivative 0."""
    scaled, _ = _scaled(v)
    return scaled / _root(jnp.sum(scaled**2, axis=-1, keepdims=True))


def _root(square):
    """√square, but 1 for 0: what it multiplies or divides is 0 then."""
    return jnp.sqrt(jnp.where(square == 0, jnp.ones_like(square), square))


def _scaled(v):
    """Rows over their largest entry, which the results do not depend on, and that."""
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(v), axis=-1, keepdims=True))
    return v / jnp.where(scale == 0, jnp.ones_like(scale), scale), scale


def relative(sizes: Float[Array, " n"]) -> Float[Array, " n"]:
    """Sizes over the largest, for what does not depend on their scale; zeros stay."""
    return _scaled(sizes)[0]
