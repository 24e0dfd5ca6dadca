"""Random numbers for initialisers: drawn in float32, then cast.

One key must give one network in both precisions, and JAX draws different numbers in
float32 and float64. So every draw is made in float32 and cast; what is computed from
the draws is computed in the dtype asked for, so identities hold to its round-off.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks


def floating_dtype(dtype: Any) -> jnp.dtype:
    """The dtype of the parameters: float64 if x64 is on, else float32, if None."""
    default = jnp.dtype(jnp.result_type(float))
    if dtype is None:
        return default
    try:
        dtype = jnp.dtype(dtype)
    except TypeError:
        pass
    if dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"Argument `dtype` must be float32 or float64, but is {dtype}.")
    if dtype.itemsize > default.itemsize:
        raise ValueError(
            "Argument `dtype` must be float32 while 64-bit mode is off, but is "
            "float64; switch it on with jax.config.update('jax_enable_x64', True)."
        )
    return dtype


def normal(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Standard normal numbers."""
    return jax.random.normal(key, shape, jnp.float32).astype(dtype)


def uniform(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Uniform numbers on [0, 1)."""
    return jax.random.uniform(key, shape, jnp.float32).astype(dtype)


def centred_uniform(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Uniform numbers of mean 0 and variance 1, on [−√3, √3)."""
    draws = jax.random.uniform(key, shape, jnp.float32, minval=-1.0, maxval=1.0)
    return 3**0.5 * draws.astype(dtype)


def signs(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """−1 or +1, each with probability one half."""
    return jax.random.rademacher(key, shape, jnp.float32).astype(dtype)


def directions(key: Array, n: int, d: int, dtype: Any) -> Float[Array, "n d"]:
    """Uniform points of the unit sphere; for d = 1 random signs."""
    if d == 1:
        return signs(key, (n, d), dtype)
    draws = normal(key, (n, d), dtype)
    return draws / jnp.linalg.norm(draws, axis=1, keepdims=True)


def box(lo: Any, hi: Any, in_dim: int, dtype: Any) -> tuple[Array, Array]:
    """The corners of the box [lo, hi], each of shape (in_dim,), else a refusal."""
    corners = []
    for name, value in (("lo", lo), ("hi", hi)):
        corner = _checks.finite(name, jnp.asarray(value, dtype))
        if corner.shape not in ((), (in_dim,)):
            raise ValueError(
                f"Argument `{name}` must be a number or have shape ({in_dim},), but "
                f"has shape {corner.shape}."
            )
        corners.append(jnp.broadcast_to(corner, (in_dim,)))
    if all(map(_checks.is_concrete, corners)) and bool(
        jnp.any(corners[0] >= corners[1])
    ):
        raise ValueError(
            "Argument `lo` must lie below `hi` in every input, but `lo` is "
            f"{lo} and `hi` is {hi}."
        )
    return corners[0], corners[1]


def box_points(key: Array, n: int, lo: Array, hi: Array) -> Float[Array, "n d"]:
    """Uniform points of the box with corners `lo` and `hi`."""
    draws = uniform(key, (n, lo.shape[0]), lo.dtype)
    return lo[None, :] + (hi - lo)[None, :] * draws
