r"""The exact solve of one neuron in one dimension, over all its kinks.

For data in order the suffix behind a kink is one of K, and in its gap the best hinge is
a least-squares line whose root is the kink, if the root lies in the gap, and otherwise
a hinge at the gap's end. All K suffixes cost O(K) by sums from the right. The sums are
taken about the datum where the suffix begins,

    M_k = Σ_{j≥k} q_j (x_j − x_k) ρ_j = M_{k+1} + (x_{k+1} − x_k) T_{k+1},

so that nothing cancels far from the origin. Prefixes are suffixes of −x.
"""

import functools as ft
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._sums import sums_from_right


class Hinge(NamedTuple):
    """The hinge c φ(side·(x − kink)).

    Attributes:
        kink: ξ.
        side: 1 if it rises to the right, −1 to the left.
        c: The outer weight; 0 if no hinge lowers the loss.
        decrease: By how much ½ Σ_k q_k ρ_k² falls.
    """

    kink: Float[Array, ""]
    side: Float[Array, ""]
    c: Float[Array, ""]
    decrease: Float[Array, ""]


class Sorted(NamedTuple):
    """Data in order, read from the left (row 0) and, mirrored, from the right (row 1).

    Attributes:
        order: The order that sorts the data.
        x: Inputs, increasing along each row.
        q: Weights.
        gap: x_k − x_{k−1}; for k = 0 the range of the data, or 1 if it is 0.
        s0: Σ_{j≥k} q_j.
        s1: Σ_{j≥k} q_j (x_j − x_k).
        s2: Σ_{j≥k} q_j (x_j − x_k)².
        over_s2: 1/s2, 0 where s2 is.
        over_determinant: 1/(s0 s2 − s1²), 0 where it is 0 up to rounding.
    """

    order: Int[Array, " K"]
    x: Float[Array, "2 K"]
    q: Float[Array, "2 K"]
    gap: Float[Array, "2 K"]
    s0: Float[Array, "2 K"]
    s1: Float[Array, "2 K"]
    s2: Float[Array, "2 K"]
    over_s2: Float[Array, "2 K"]
    over_determinant: Float[Array, "2 K"]


@ft.partial(jax.jit, inline=True)
def sort_data(x: Float[Array, " K"], q: Float[Array, " K"]) -> Sorted:
    """What all solves on one set of inputs share: one sort and the sums of x.

    Args:
        x: Inputs, in any order; equal ones stay on one side of every kink.
        q: Weights, not negative.

    Returns:
        Both directions, for `best_hinge`.

    Example:
        >>> print(sort_data(jnp.array([2.0, 1.0]), jnp.ones(2)).order)
        [1 0]
    """
    order = jnp.argsort(x)
    x, q = x[order], q[order]
    x, q = jnp.stack([x, -x[::-1]]), jnp.stack([q, q[::-1]])
    reach = x[:, -1:] - x[:, :1]
    first = jnp.where(reach > 0, reach, 1)
    gap = jnp.concatenate([first, jnp.diff(x, axis=1)], axis=1)
    step = _next(gap)
    s0 = sums_from_right(q)
    s1 = sums_from_right(step * _next(s0))
    s2 = sums_from_right(step * (2 * _next(s1) + step * _next(s0)))
    determinant = s0 * s2 - s1**2
    rounding = x.shape[1] * float(jnp.finfo(x.dtype).eps)
    solvable = determinant > rounding * s0 * s2
    inverse = lambda where, value: jnp.where(where, 1 / jnp.where(where, value, 1), 0)
    return Sorted(
        order,
        x,
        q,
        gap,
        s0,
        s1,
        s2,
        inverse(s2 > 0, s2),
        inverse(solvable, determinant),
    )


@ft.partial(jax.jit, inline=True)
def best_hinge(data: Sorted, rho: Float[Array, " K"]) -> Hinge:
    r"""Minimise ½ Σ_k q_k (c φ(±(x_k − ξ)) − ρ_k)² over c, ξ and both orientations.

    The minimum is global. If all data are active the kink is free outside of them; it
    stays within one range of the data beyond their end.

    Args:
        data: The sorted inputs, from `sort_data`.
        rho: What the hinge is to fit, in the original order of the data.

    Returns:
        The hinge; time O(K).

    Example:
        >>> x = jnp.array([0.0, 1.0, 2.0, 3.0])
        >>> target = jnp.array([0.0, 0.0, 1.0, 3.0])
        >>> hinge = best_hinge(sort_data(x, jnp.ones(4)), target)
        >>> print(hinge.kink, hinge.side, hinge.c)
        1.5 1.0 2.0
    """
    return best_hinge_in_order(data, rho[data.order])


def best_hinge_in_order(data: Sorted, rho: Float[Array, " K"]) -> Hinge:
    """As `best_hinge`, for ρ in the order of the inputs."""
    t = sums_from_right(data.q * jnp.stack([rho, rho[::-1]]))
    m = sums_from_right(_next(data.gap) * _next(t))
    # --- in every gap the least-squares line α u + β, u = x − x_k, if its root fits ---
    slope = (data.s0 * m - data.s1 * t) * data.over_determinant
    value = (data.s2 * t - data.s1 * m) * data.over_determinant
    fits = (slope * value >= 0) & (jnp.abs(value) < data.gap * jnp.abs(slope))
    line = jnp.where(fits, slope * m + value * t, 0)
    # --- at every datum, where a line whose root does not fit is clamped ---
    at = m**2 * data.over_s2
    best = jnp.argmax(jnp.maximum(line, at).reshape(-1))
    pick = lambda array: array.reshape(-1)[best]
    lines = pick(line) > pick(at)
    alpha = jnp.where(lines, pick(slope), pick(m) * pick(data.over_s2))
    back = jnp.where(lines, pick(value) / jnp.where(lines, pick(slope), 1), 0)
    inner = (pick(data.x) - back, alpha, jnp.maximum(pick(line), pick(at)))
    kinks, slopes, twice = (
        jnp.concatenate([one[None], box])
        for one, box in zip(inner, _at_the_box(data, t, m), strict=True)
    )
    last = jnp.argmax(twice)
    right = jnp.where(last == 0, best < rho.shape[0], last == 1)
    side = jnp.where(right, 1, -1).astype(rho.dtype)
    return Hinge(side * kinks[last], side, slopes[last], 0.5 * twice[last])


def _at_the_box(data: Sorted, t: Array, m: Array) -> tuple[Array, Array, Array]:
    """Kinks, slopes and twice the decreases, one range beyond each end of the data."""
    reach = data.gap[:, 0]
    moment = m[:, 0] + reach * t[:, 0]
    square = data.s2[:, 0] + reach * (2 * data.s1[:, 0] + reach * data.s0[:, 0])
    slope = moment / jnp.where(square > 0, square, 1)
    return data.x[:, 0] - reach, slope, slope * moment


def _next(values: Array) -> Array:
    """The value one place to the right, 0 at the end."""
    return jnp.concatenate([values[:, 1:], jnp.zeros_like(values[:, :1])], axis=1)


def hinge_values(hinge: Hinge, x: Any) -> Array:
    """φ(side·(x − kink)) without the outer weight."""
    z = hinge.side * (x - hinge.kink)
    return jnp.where(z > 0, z, 0)
