r"""Local regression lines: what a univariate network fits in its cell.

Along sorted data the pattern of a univariate two-layer network changes only in the
gaps that hold kinks, at most one gap a neuron. Between them lie groups of neighbouring
data, and on each group the network is a line. Let B have a row a group: which neurons
are on there (and a one for an affine part). If the rows of B are independent, the best
fit of the cell is on every group *the regression line of that group*, and the floor is
the sum of their ½ Σ q r². Otherwise the lines are coupled.

Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import preactivations
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem
from .cells import cell_fit, check_cells


class LocalLines(NamedTuple):
    """Groups of sorted data, their lines, and how neighbouring lines fit together.

    Tables have n + 1 rows for groups, n for the gaps between neighbouring groups.

    Attributes:
        order: The order that sorts the data.
        group: Group of each datum in sorted order, from 0.
        count: Groups in use.
        first: Smallest input of each group; inf in unused rows.
        last: Largest input of each group; −inf in unused rows.
        slope: Of the group's regression line; 0 if the group has one distinct input.
        height: Of the group's regression line at the group's mean.
        center: The group's mean input, with weights.
        rss: Σ q r² of the group about its regression line.
        fitted_slope: Slope of the best fit of the cell on the group, P_A y.
        fitted_height: Its height at the group's mean.
        independent: Whether the rows of B are independent: then fitted and regression
            lines agree wherever a group has two distinct inputs or more.
        neurons: Kinks in the gap after each group; 0 in unused rows.
        meet: Where the fitted lines of the two groups meet; inf if they are parallel.
        consistent: Whether neighbouring fitted lines can be joined inside their gap:
            they meet strictly inside it, or are the same line, or the gap holds two or
            more kinks, which make any jump. A group with one distinct input has no
            line of its own, and the gaps beside it count as consistent. True in unused
            rows. If any is false the cell holds no stationary point with all c_i ≠ 0,
            and a flow whose c_i stay away from 0 has to leave it. If all are true, the
            lines are independent, every group has two distinct inputs and there is an
            affine part, the cell does hold one: a local minimum of the loss.
    """

    order: Int[Array, " K"]
    group: Int[Array, " K"]
    count: Int[Array, ""]
    first: Float[Array, " G"]
    last: Float[Array, " G"]
    slope: Float[Array, " G"]
    height: Float[Array, " G"]
    center: Float[Array, " G"]
    rss: Float[Array, " G"]
    fitted_slope: Float[Array, " G"]
    fitted_height: Float[Array, " G"]
    independent: Bool[Array, ""]
    neurons: Int[Array, " n"]
    meet: Float[Array, " n"]
    consistent: Bool[Array, " n"]


def local_lines(problem: Problem, network: TwoLayer) -> LocalLines:
    r"""Groups of a cell in one dimension, their regression lines and the best fit's.

    Args:
        problem: Univariate data with the squared loss.
        network: A two-layer ReLU network; for many at once use `jax.vmap`.

    Returns:
        The lines.

    Raises:
        ValueError: If there is more than one input, the loss is not squared or the
            activation is not the ReLU.

    Example:
        >>> x = jnp.arange(1.0, 11.0)[:, None] / 10
        >>> problem = Problem(x, x[:, 0] ** 2, normalisation="sum")
        >>> network = TwoLayer(w=[[1.0]], b=[-0.55], c=[1.0], p=[0.0, 0.0])
        >>> lines = local_lines(problem, network)
        >>> print(lines.slope, jnp.round(lines.meet, 6), lines.consistent)
        [0.6 1.6] [0.55] [ True]
    """
    check_cells(problem, network)
    check_univariate(problem)
    return _local_lines(problem, network)


@eqx.filter_jit
def _local_lines(problem: Problem, network: TwoLayer) -> LocalLines:
    num = network.width + 1
    order = jnp.argsort(problem.x[:, 0]).astype(jnp.int32)
    x, y = problem.x[order, 0], problem.y[order]
    q = problem.sample_weights[order]
    (z,) = preactivations(network, problem.x)
    active = z[:, order] > 0
    changes = active[:, 1:] != active[:, :-1]
    edge = jnp.any(changes, axis=0)
    group = jnp.concatenate(
        [jnp.zeros(1, jnp.int32), jnp.cumsum(edge, dtype=jnp.int32)]
    )
    rows = group_moments(x, y, q, group, num)
    members = jax.nn.one_hot(group, num, dtype=bool)
    first = jnp.min(jnp.where(members, x[:, None], jnp.inf), axis=0)
    last = jnp.max(jnp.where(members, x[:, None], -jnp.inf), axis=0)
    used = jnp.any(members, axis=0)
    start = jnp.argmax(members, axis=0)
    on = jnp.where(used[None, :], active[:, start], False)
    eta = cell_fit(problem, network).coefficients.reshape(-1, 2)
    parts = jnp.where(on[:, :, None], eta[: network.width, None, :], 0)
    total = jnp.sum(parts, axis=0)
    columns = on.T.astype(x.dtype)
    if network.p is not None:
        total = total + eta[-1][None, :]
        columns = jnp.concatenate([columns, used[:, None].astype(x.dtype)], axis=1)
    fitted_slope = jnp.where(used, total[:, 0], 0)
    fitted_height = jnp.where(used, total[:, 0] * rows.center + total[:, 1], 0)
    groups = jnp.sum(used, dtype=jnp.int32)
    rank = jnp.linalg.matrix_rank(columns)
    in_gap = jnp.where(edge[None, :], changes, False)
    # The gap after group g is the edge at which the group changes from g to g + 1.
    gap_of = jax.nn.one_hot(group[:-1], num - 1, dtype=jnp.int32)
    neurons = jnp.sum(in_gap, axis=0, dtype=jnp.int32) @ gap_of
    gaps = _Gaps(last[:-1], first[1:], used[1:])
    meet, joined = _meetings(fitted_slope, fitted_height, rows.center, gaps, y)
    alone = first == last
    open_ended = alone[:-1] | alone[1:]
    consistent = joined | (neurons >= 2) | open_ended | ~gaps.used
    return LocalLines(
        order,
        group,
        groups,
        first,
        last,
        rows.slope,
        rows.mean,
        rows.center,
        rows.rss,
        fitted_slope,
        fitted_height,
        rank.astype(jnp.int32) == groups,
        neurons,
        meet,
        consistent,
    )


def check_univariate(problem: Problem) -> None:
    """Refuse data with more than one input."""
    if problem.in_dim != 1:
        raise ValueError(
            "Argument `problem` must have one input to have lines, but has "
            f"{problem.in_dim}."
        )


class Moments(NamedTuple):
    """Weighted moments of every group, about its own means; 0 where it is empty."""

    mass: Float[Array, " G"]
    center: Float[Array, " G"]
    mean: Float[Array, " G"]
    spread: Float[Array, " G"]
    slope: Float[Array, " G"]
    rss: Float[Array, " G"]


def group_moments(x, y, q, group, num: int) -> Moments:
    """Means first, then centred sums, so that nothing cancels. Sorted groups; O(K)."""
    total = lambda values: jax.ops.segment_sum(
        values, group, num, indices_are_sorted=True
    )
    mass = total(q)
    safe = jnp.where(mass > 0, mass, 1)
    center, mean = total(q * x) / safe, total(q * y) / safe
    dx, dy = x - center[group], y - mean[group]
    spread = total(q * dx * dx)
    # Data with one distinct input are not exactly at their mean.
    grain = total(q) * (8 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x))) ** 2
    spread = jnp.where(spread > grain, spread, 0)
    slope = jnp.where(spread > 0, total(q * dx * dy), 0)
    slope = slope / jnp.where(spread > 0, spread, 1)
    rss = total(q * (dy - slope[group] * dx) ** 2)
    return Moments(mass, center, mean, spread, slope, rss)


class _Gaps(NamedTuple):
    left: Float[Array, " n"]
    right: Float[Array, " n"]
    used: Bool[Array, " n"]


def _meetings(slope, height, center, gaps: _Gaps, y):
    """Where neighbouring lines meet, and whether strictly inside the gap."""
    middle = (gaps.left + gaps.right) / 2
    middle = jnp.where(gaps.used, middle, 0)
    left = height[:-1] + slope[:-1] * (middle - center[:-1])
    right = height[1:] + slope[1:] * (middle - center[1:])
    bend, jump = slope[1:] - slope[:-1], right - left
    width = jnp.where(gaps.used, gaps.right - gaps.left, 1)
    grain = 1e3 * jnp.finfo(y.dtype).eps * jnp.max(jnp.abs(y))
    same = (jnp.abs(jump) <= grain) & (jnp.abs(bend) * width <= grain)
    offset = jnp.where(bend == 0, jnp.inf, -jump / jnp.where(bend == 0, 1, bend))
    offset = jnp.where(same, 0, offset)
    meet = jnp.where(gaps.used, middle + offset, jnp.inf)
    # On a datum is not inside: rounding of the offset is that of the jump.
    slack = grain / jnp.where(bend == 0, 1, jnp.abs(bend))
    inside = same | (jnp.abs(offset) + slack < width / 2)
    return meet, inside & gaps.used
