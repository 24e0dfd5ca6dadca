"""Modes, networks and numbers of plateaus by pattern, for their explanation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from ..dynamics.trajectory import EventKind, Events
from ..networks.network import extended
from ..networks.two_layer import TwoLayer, inner_weights
from ..patterns._factors import distance, factorise, least_metric
from ..patterns.cells import design_matrix, held_projectors
from ..patterns.exits import bounds_of, confinement_of, outer_bounds
from ..problems.problem import Problem

# Saved times move the steps of a flow, and so its events by a share of some 1e-9.
_SAME = 1e-7


class Numbers(NamedTuple):
    """Of one plateau; see `Explanation`. `wait`: latest exit, from the start."""

    floor: Any
    excess_start: Any
    excess_end: Any
    rate_start: Any
    rate_end: Any
    slowest: Any
    fastest: Any
    wait: Any
    confined: Any


def look_at(
    problem: Problem, on, slides, start: TwoLayer, end: TwoLayer, flows: bool
) -> Numbers:
    """Everything about one plateau, from its pattern and the networks at its ends."""
    factors = factorise(problem, on, slides, start.p is not None)
    alive = jnp.any(on, axis=1)
    total = jnp.sum(problem.sample_weights * problem.y**2) / 2
    zero = factors.floor <= jnp.finfo(total.dtype).eps * total
    unit = jnp.where(zero, jnp.where(total > 0, total, 1), factors.floor)
    away, rates = [], []
    for network in (start, end):
        residual, speed = _motion(problem, on, slides, network)
        away.append(distance(factors, problem, residual))
        excess = away[-1] ** 2 / 2
        grain = (1e3 * jnp.finfo(total.dtype).eps) ** 2 * total
        rates.append(jnp.where(excess > grain, speed / jnp.maximum(excess, grain), 0))
    outer = start.c**2
    both = outer + jnp.sum(start.w**2, axis=1) + start.b**2
    high = jnp.max(jnp.where(alive, both, 0))
    if start.p is not None:
        high = jnp.maximum(high, 1)
    least = outer_bounds(start)
    bounds = bounds_of(problem, start, factors, on, slides, least, away[0])
    stays = confinement_of(problem, start, factors, on, least, away[0]).holds
    low = least_metric(start, alive, jnp.abs(start.c))
    only = lambda value, other: value if flows else jnp.full_like(value, other)
    return Numbers(
        factors.floor,
        away[0] ** 2 / 2 / unit,
        away[1] ** 2 / 2 / unit,
        only(rates[0], 0),
        only(rates[1], 0),
        only(2 * factors.smallest**2 * low, 0),
        only(2 * factors.values[0] ** 2 * high, 0),
        only(bounds.first, jnp.inf),
        only(stays & ~jnp.any(slides), False),
    )


def _motion(problem: Problem, on, slides, network: TwoLayer):
    """Residual r = Φη − y of a mode, and −L̇ = ‖θ̇‖² of the flow in it."""
    x1 = extended(problem.x)
    v = inner_weights(network)
    projectors = held_projectors(slides, x1)
    v = jnp.einsum("nd,nde->ne", v, projectors)
    eta = jnp.ravel(network.c[:, None] * v)
    if network.p is not None:
        eta = jnp.concatenate([eta, network.p])
    affine = network.p is not None
    phi = design_matrix(on, problem.x, affine=affine, sliding=slides)
    residual = phi @ eta - problem.y
    g = (problem.sample_weights * residual) @ phi
    inner = g[: v.size].reshape(v.shape)
    speed = jnp.sum((network.c[:, None] * inner) ** 2)
    speed = speed + jnp.sum(jnp.sum(v * inner, axis=1) ** 2)
    return residual, speed + jnp.sum(g[v.size :] ** 2)


def modes_at(x, on, events: Events, starts) -> Int[Array, "P n K"]:
    """The mode of every pair at the start of every plateau, an `EventKind`."""
    width = on.shape[0]
    # A flow names one datum of those that are equal; no network tells them apart.
    equal = jnp.all(x[:, None] == x[None], axis=-1)

    def apply(carry):
        modes, e = carry
        collapse = events.kind[e] == EventKind.collapse
        row = jnp.arange(width, dtype=jnp.int32) == events.neuron[e]
        pairs = row[:, None] & (equal[events.datum[e]] | collapse)[None, :]
        mode = jnp.where(collapse, EventKind.off, events.kind[e])
        return jnp.where(pairs, mode, modes), e + 1

    def row(carry, start):
        due = lambda c: (
            (c[1] < events.count)
            & (events.time[jnp.minimum(c[1], events.time.size - 1)] <= start)
        )
        carry = jax.lax.while_loop(due, apply, carry)
        return carry, carry[0]

    begin = (on.astype(events.kind.dtype), jnp.zeros_like(events.count))
    return jax.lax.scan(row, begin, starts)[1]


def network_at(times, networks: TwoLayer, last, time) -> TwoLayer:
    """The network at a time, between the saved ones before and after it."""
    left = jnp.clip(jnp.searchsorted(times, time, side="right") - 1, 0, last)
    right = jnp.minimum(left + 1, last)
    step = times[right] - times[left]
    share = jnp.where(step > 0, (time - times[left]) / jnp.where(step > 0, step, 1), 0)
    share = jnp.clip(share, 0, 1)
    between = lambda leaf: (1 - share) * leaf[left] + share * leaf[right]
    return jax.tree.map(between, networks)


def saved_inside(times, last, start, end):
    """Whether a time was saved within start and end; the first and last, or these."""
    first = jnp.searchsorted(times, start * (1 - _SAME))
    final = jnp.searchsorted(times, end * (1 + _SAME), side="right") - 1
    final = jnp.minimum(final, last)
    inside = first <= final
    take = lambda place, other: jnp.where(
        inside, times[jnp.minimum(place, times.size - 1)], other
    )
    return inside, take(first, start), take(final, end)


def is_saved(times, wanted) -> Bool[Array, " P"]:
    """Whether these times are saved ones, to rounding."""
    right = jnp.clip(jnp.searchsorted(times, wanted), 0, times.size - 1)
    left = jnp.maximum(right - 1, 0)
    gap = jnp.minimum(jnp.abs(times[right] - wanted), jnp.abs(times[left] - wanted))
    return gap <= _SAME * wanted
