r"""Exact line search of ReLU sums: the best point of a ray, across all patterns.

Along a ray the pre-activations are linear in t, so the squared loss is piecewise
quadratic in t, with a breakpoint wherever a pre-activation changes sign.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


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
    limit = jnp.asarray(limit, z.dtype)
    crosses = z * dz < 0
    t = jnp.where(crosses, -z / jnp.where(crosses, dz, 1), jnp.inf)
    crosses = t < limit
    t = jnp.where(crosses, t, jnp.inf)
    on = (z > 0) | ((z == 0) & (dz > 0))
    s = signs[:, None]
    r0 = residual + jnp.sum(jnp.where(on, s * z, 0), axis=0)
    g0 = slope + jnp.sum(jnp.where(on, s * dz, 0), axis=0)
    # --- residual and slope of every datum after each of its breakpoints, in order ---
    turn = jnp.where(crosses, jnp.where(on, -s, s), 0)
    # one row a datum
    t, turn = t.T, turn.T
    order = _order(t, limit)
    t, change_r, change_g = (
        jnp.take_along_axis(array, order, axis=1)
        for array in (t, turn * z.T, turn * dz.T)
    )
    r = r0[:, None] + jnp.cumsum(change_r, axis=1)
    g = g0[:, None] + jnp.cumsum(change_g, axis=1)
    r_before, g_before = r - change_r, g - change_g
    changes = (
        0.5 * q[:, None] * (r**2 - r_before**2),
        q[:, None] * (r * g - r_before * g_before),
        0.5 * q[:, None] * (g**2 - g_before**2),
    )
    return _best_piece(
        t.reshape(-1),
        [jnp.reshape(change, -1) for change in changes],
        (0.5 * q @ r0**2, q @ (r0 * g0), 0.5 * q @ g0**2),
        limit,
    )


def _best_piece(t, changes, start, limit) -> Best:
    """The least of all pieces a + bt + ct², whose coefficients change at each t."""
    order = _order(t, limit)
    t, *changes = (array[order] for array in (t, *changes))
    a, b, c = (
        jnp.concatenate([first[None], first + jnp.cumsum(change)])
        for first, change in zip(start, changes, strict=True)
    )
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
