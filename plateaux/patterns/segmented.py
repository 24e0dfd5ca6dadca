r"""The best fit by lines on pieces of the data: a proven lower bound in one dimension.

A univariate two-layer ReLU network with an affine part and n neurons is a line on each
of at most n + 1 groups of neighbouring data. So with DP_k the least ½ Σ q r² of k
lines, free to jump between groups,

    DP_{n+1} ≤ inf L ≤ DP_{⌊n/2⌋+1}.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import _checks
from ..problems.losses import SquaredError
from ..problems.problem import Problem, check_data


class SegmentedFit(NamedTuple):
    """The best fits by 1, 2, … lines.

    Attributes:
        values: DP_k, k = 1 … pieces: ½ Σ_k q_k r_k² of the best k lines.
        starts: Row k − 1: the first datum of each of the k groups in sorted order, K in
            unused places.
        order: The order that sorts the data.
    """

    values: Float[Array, " k"]
    starts: Int[Array, "k k"]
    order: Int[Array, " K"]


def segmented_fit(problem: Problem, pieces: Any) -> SegmentedFit:
    r"""Best least-squares fits by k = 1 … `pieces` lines on groups of sorted data.

    D_1[j] = RSS(0..j), D_k[j] = min_i D_{k−1}[i] + RSS(i+1..j), DP_k = ½ D_k[K]; data
    with equal x stay in one group, as no network can tell them apart.

    Args:
        problem: Univariate data with the squared loss.
        pieces: Most lines; DP_k of more lines than distinct inputs is that of as many.

    Returns:
        The fits. Time O(pieces · K²), memory O(K²).

    Raises:
        ValueError: If the inputs are not univariate or the loss is not squared.

    Example:
        >>> x = jnp.arange(1.0, 11.0)[:, None] / 10
        >>> fit = segmented_fit(Problem(x, x[:, 0] ** 2, normalisation="sum"), 2)
        >>> print(jnp.round(fit.values, 6), fit.starts[1])
        [0.0264 0.0014] [0 5]

    Reference: Bellman & Roth (1969), "Curve fitting by segmented straight lines",
    J. Amer. Statist. Assoc. 64.
    """
    check_data(problem)
    pieces = _checks.count("pieces", pieces)
    if problem.in_dim != 1 or not isinstance(problem.loss, SquaredError):
        raise ValueError(
            "Argument `problem` must have one input and the squared loss, but has "
            f"{problem.in_dim} inputs and the loss {type(problem.loss).__name__}."
        )
    return _fit(problem.x[:, 0], problem.y, problem.sample_weights, pieces)


@eqx.filter_jit
def _fit(x, y, q, pieces: int) -> SegmentedFit:
    order = jnp.argsort(x).astype(jnp.int32)
    x, y, q = x[order], y[order], q[order]
    rss = _line_residuals(x, y, q)
    num = x.shape[0]
    # A group may not begin at a datum whose left neighbour has the same x.
    allowed = jnp.concatenate([jnp.ones(1, bool), x[1:] != x[:-1]])
    cost = jnp.where(allowed[:, None], rss, jnp.inf)

    def one_more(best, _):
        # best[j]: least cost of the data before j; a group i..j ends at j.
        options = best[:-1, None] + cost
        start = jnp.argmin(options, axis=0).astype(jnp.int32)
        least = jnp.min(options, axis=0)
        # Fewer lines are allowed too: only strictly better ones are new.
        better = least < best[1:]
        new = jnp.concatenate([best[:1], jnp.where(better, least, best[1:])])
        return new, (new, jnp.where(better, start, -1))

    none = jnp.full(num + 1, jnp.inf, x.dtype).at[0].set(0)
    _, (tables, choices) = jax.lax.scan(one_more, none, None, pieces)
    starts = _trace_back(choices, pieces, num)
    return SegmentedFit(0.5 * tables[:, -1], starts, order)


def _line_residuals(x, y, q) -> Float[Array, "K K"]:
    """Weighted residual sum of squares of the line through data i..j; inf for j < i.

    By recursion in j with running means (West 1979): prefix sums would cancel.
    """
    zero = jnp.zeros_like(x)
    index = jnp.arange(x.shape[0], dtype=jnp.int32)

    def add(carry, datum):
        total, mx, my, sxx, sxy, syy = carry
        j, xj, yj, qj = datum
        begun = index <= j
        weight = jnp.where(begun, qj, 0)
        new = total + weight
        share = weight / jnp.where(new > 0, new, 1)
        dx, dy = xj - mx, yj - my
        factor = total * share
        mx, my = mx + share * dx, my + share * dy
        sxx, sxy = sxx + factor * dx * dx, sxy + factor * dx * dy
        syy = syy + factor * dy * dy
        along = jnp.where(sxx > 0, sxy**2 / jnp.where(sxx > 0, sxx, 1), 0)
        value = jnp.where(begun, jnp.maximum(syy - along, 0), jnp.inf)
        return (new, mx, my, sxx, sxy, syy), value

    _, rows = jax.lax.scan(add, (zero,) * 6, (index, x, y, q))
    return rows.T


def _trace_back(choices, pieces: int, num: int) -> Int[Array, "k k"]:
    """Starts of the groups of every best fit, from the last datum back."""

    def of(k):
        def back(level, carry):
            end, starts = carry
            row = choices[jnp.maximum(k - level, 0), jnp.maximum(end - 1, 0)]
            use = (level <= k) & (end > 0) & (row >= 0)
            starts = jnp.where(use, starts.at[k - level].set(row), starts)
            return jnp.where(use, row, end), starts

        empty = jnp.full(pieces, num, jnp.int32)
        _, starts = jax.lax.fori_loop(0, pieces, back, (jnp.int32(num), empty))
        return jnp.sort(starts)

    return jax.vmap(of)(jnp.arange(pieces, dtype=jnp.int32))
