r"""Exact line search of ReLU sums: the best point of a ray, across all patterns.

Along a ray the pre-activations are linear in t, so the squared loss is piecewise
quadratic in t, with a breakpoint wherever a pre-activation changes sign.
"""

import functools as ft
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._sums import sums_from_left

_FEW = 32  # neurons


class Best(NamedTuple):
    """The best point of a ray.

    Attributes:
        t: Where the loss is least.
        value: The loss there, up to the rounding of the sums.
    """

    t: Float[Array, ""]
    value: Float[Array, ""]


def line_search(
    z: Float[Array, "n K"],
    dz: Float[Array, "n K"],
    signs: Float[Array, " n"],
    residual: Float[Array, " K"],
    slope: Float[Array, " K"],
    q: Float[Array, " K"],
    *,
    limit: Any = 4.0,
) -> Best:
    r"""Minimise ½ Σ_k q_k (Σ_i s_i φ(z_ik + t dz_ik) + r_k + t g_k)² over [0, limit].

    The breakpoints t_ik = −z_ik/dz_ik are sorted, the three coefficients of the active
    quadratic kept as running sums, and the vertex of every piece clamped to it. Time
    O(nK log nK).

    Args:
        z: Pre-activations at t = 0; one row is the line search of a single neuron.
        dz: Their derivatives.
        signs: s_i, the outer weights.
        residual: r_k, the rest of the output minus the target.
        slope: g_k, its derivative.
        q: Sample weights.
        limit: Largest t.

    Returns:
        The best t and the loss there.

    Example:
        >>> z, dz = jnp.array([[1.0, -1.0]]), jnp.array([[0.0, 1.0]])
        >>> rest, none = jnp.array([-1.0, -0.5]), jnp.zeros(2)
        >>> best = line_search(z, dz, jnp.ones(1), rest, none, jnp.ones(2))
        >>> print(best.t, best.value)
        1.5 0.0
    """
    return _search(z, dz, signs, residual, slope, q, jnp.asarray(limit, z.dtype))


@ft.partial(jax.jit, inline=True)
def _search(z, dz, signs, residual, slope, q, limit) -> Best:
    crosses = z * dz < 0
    t = jnp.where(crosses, -z / jnp.where(crosses, dz, 1), jnp.inf)
    crosses = t < limit
    t = jnp.where(crosses, t, jnp.inf)
    on = (z > 0) | ((z == 0) & (dz > 0))
    s = signs[:, None]
    r0 = residual + jnp.sum(jnp.where(on, s * z, 0), axis=0)
    g0 = slope + jnp.sum(jnp.where(on, s * dz, 0), axis=0)
    # --- residual and slope of every datum before and after each of its breakpoints ---
    turn = jnp.where(crosses, jnp.where(on, -s, s), 0)
    change_r, change_g = turn * z, turn * dz
    t, change_r, change_g, before_r, before_g = _running(t, change_r, change_g, limit)
    r_before, g_before = r0[None, :] + before_r, g0[None, :] + before_g
    r, g = r_before + change_r, g_before + change_g
    start = jnp.stack([0.5 * q @ r0**2, q @ (r0 * g0), 0.5 * q @ g0**2])
    q = q[None, :]
    changes = jnp.stack(
        [
            0.5 * q * (r**2 - r_before**2),
            q * (r * g - r_before * g_before),
            0.5 * q * (g**2 - g_before**2),
        ]
    )
    # a barrier, or XLA computes them anew at every place they are looked up
    t, changes = jax.lax.optimization_barrier((t, changes))
    return _best_piece(t.reshape(-1), changes.reshape(3, -1), start, limit)


def _running(t, change_r, change_g, limit):
    """The five (n, K) arrays t, changes, and sums of the changes that come earlier.

    For few neurons every pair of breakpoints of a datum is compared, which vectorises;
    for many they are sorted.
    """
    if t.shape[0] <= _FEW:
        place = jnp.arange(t.shape[0])
        first = (place[:, None] > place[None, :])[:, :, None]
        later, earlier = t[:, None, :], t[None, :, :]
        counts = (earlier < later) | ((earlier == later) & first)
        before = lambda change: jnp.sum(jnp.where(counts, change[None], 0), axis=1)
        return t, change_r, change_g, before(change_r), before(change_g)
    order = _order(t.T, limit).T
    t, change_r, change_g = (
        jnp.take_along_axis(array, order, axis=0) for array in (t, change_r, change_g)
    )
    before = lambda change: jnp.cumsum(change, axis=0) - change
    return t, change_r, change_g, before(change_r), before(change_g)


def _best_piece(t, changes, start, limit) -> Best:
    """The least of all pieces a + bt + ct², whose coefficients change at each t."""
    order = _order(t, limit)
    t = t[order]
    sums = start[:, None] + sums_from_left(changes[:, order])
    a, b, c = jnp.concatenate([start[:, None], sums], axis=1)
    ends = jnp.where(jnp.isfinite(t), t, limit)
    left = jnp.concatenate([jnp.zeros_like(limit)[None], ends])
    right = jnp.concatenate([ends, limit[None]])
    curved = c > 0
    vertex = jnp.where(curved, -b / jnp.where(curved, 2 * c, 1), left)
    vertex = jnp.clip(vertex, left, right)
    values = a + vertex * (b + vertex * c)
    best = jnp.argmin(values)
    return Best(vertex[best], values[best])


def _order(t: Float[Array, "*b m"], limit: Any) -> Any:
    """The permutation that sorts the last axis; values beyond the limit come last.

    XLA sorts integers ten times as fast as floats with a companion, so in float64 the
    place stands in the low bits of an integer key.
    """
    size = t.shape[-1]
    if t.dtype != jnp.float64:
        return jnp.argsort(t, axis=-1)
    bits = max(size - 1, 1).bit_length()
    top = jnp.asarray(float(2 ** (62 - bits)), t.dtype)
    share = jnp.where(t < limit, t / limit, 1)
    key = (share * top).astype(jnp.int64)
    place = jnp.arange(size, dtype=jnp.int64)
    shape = (1,) * (t.ndim - 1) + (size,)
    key = jnp.sort(key * 2**bits + place.reshape(shape), axis=-1)
    return key & (2**bits - 1)
