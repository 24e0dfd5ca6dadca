"""The consistent modes of one neuron at a boundary, by principal pivoting.

At a boundary, pairs with c_i ε_k > 0 (convex kinks) take the α' that minimise
‖g_i + Σ α'_k ε_k x̃_k‖ over 0 ≤ α' ≤ 1; pairs with c_i ε_k < 0 (concave kinks) cross.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .modes import Data, basis
from .trajectory import EventKind

# α' nearer than this to an end of [0, 1] is at the end: it is a ratio of sums of K
# products, known to about K rounding units.
_BOUND = 1e-11


class Choice(NamedTuple):
    """New modes of one neuron.

    Attributes:
        on: Its row of `Modes.on`.
        slides: Its row of `Modes.slides`.
        data: Data whose mode was in question; −1 in unused places.
        kinds: Their new modes, `EventKind` off, on or slide.
        previous: Their modes before.
        changed: Which of them changed.
        repelling: Whether a datum lies on a boundary that it may leave on either side.
        overflow: Whether it slides along more data than there are places for.
    """

    on: Bool[Array, " K"]
    slides: Int[Array, " m"]
    data: Int[Array, " m+1"]
    kinds: Int[Array, " m+1"]
    previous: Int[Array, " m+1"]
    changed: Bool[Array, " m+1"]
    repelling: Bool[Array, ""]
    overflow: Bool[Array, ""]


def choose_modes(
    data: Data,
    e: Float[Array, " K"],
    c: Float[Array, ""],
    on: Bool[Array, " K"],
    slides: Int[Array, " m"],
    datum: Int[Array, ""],
    target: Int[Array, ""],
    *,
    release: Bool[Array, ""],
) -> Choice:
    r"""The consistent modes of one neuron when a datum's boundary is reached.

    The data in question are those the neuron slides along and `datum`. Their modes are
    found by principal pivoting (Murty's least-index rule): off needs a velocity not
    into the on side, on one not into the off side, sliding 0 < α' < 1. The rule ends
    because the box-constrained problem is strictly convex for independent data.

    Args:
        data: Inputs and slopes.
        e: q_k ∂ℓ_k/∂f at the present parameters.
        c: The neuron's outer weight.
        on: Sides of the neuron's pairs.
        slides: Data it slides along.
        datum: The datum on whose boundary it has come, or one it slides along and
            that has come to an end of its α'; −1 for none.
        target: The mode that datum takes if velocities leave the choice open.
        release: Whether c changes its sign, which makes sliding repelling: every
            sliding pair then leaves to the side it came from.

    Returns:
        The new modes.

    Reference: Murty (1974), "Note on a Bard-type scheme for solving the
    complementarity problem", Opsearch 11, 123-130.
    """
    asked = _question(data, e, c, on, slides, datum, release)
    places, used, before = asked.places, asked.used, asked.before
    mine = used & (places == datum)
    start = jnp.where(asked.convex | (before != EventKind.slide), before, asked.side)
    start = jnp.where(mine & (before == EventKind.slide), target, start)
    kind, d = _pivoted(asked, start)
    # A datum whose velocity vanishes to round-off has nevertheless arrived. Beyond a
    # convex kink it would be sent back, so it slides.
    stuck = ~jnp.any(used & (kind != before))
    held = asked.convex & (before != EventKind.slide) & (asked.bend > asked.slack)
    kind = jnp.where(stuck & mine, jnp.where(held, EventKind.slide, target), kind)
    free = used & (kind == EventKind.slide)
    among = lambda chosen: jnp.any(asked.at & (used & chosen)[:, None], axis=0)
    # Concave, and the velocities of both sides point away from the boundary.
    away = jnp.where(kind == EventKind.on, -1, 1) * d
    torn = used & ~asked.convex & (away > asked.slack)
    torn = torn & (away < asked.bend - asked.slack)
    return Choice(
        on=(on | among(kind == EventKind.on)) & ~among(kind == EventKind.off),
        slides=_packed(places, free)[: slides.size],
        data=places,
        kinds=kind,
        previous=before,
        changed=used & (kind != before),
        repelling=jnp.any(torn) | (release & jnp.any(slides >= 0)),
        overflow=jnp.sum(free, dtype=jnp.int32) > slides.size,
    )


class Question(NamedTuple):
    r"""The data in question, at most one more than a neuron slides along.

    Attributes:
        places: Which data; −1 in unused places.
        used: Which places are in use.
        at: Place by datum.
        before: Their modes.
        side: Their sides, off or on.
        x: x̃ of each, 0 in unused places.
        eps: ε of each.
        bend: ε²‖x̃‖², how much ±½‖g‖² bends in α'.
        convex: c ε > 0, and no release.
        slack: \|derivative of ½‖g‖²\| below this counts as zero: α' within _BOUND of
            its end, or round-off.
        g_off: g with all of them off.
    """

    places: Int[Array, " q"]
    used: Bool[Array, " q"]
    at: Bool[Array, "q K"]
    before: Int[Array, " q"]
    side: Int[Array, " q"]
    x: Float[Array, "q D"]
    eps: Float[Array, " q"]
    bend: Float[Array, " q"]
    convex: Bool[Array, " q"]
    slack: Float[Array, " q"]
    g_off: Float[Array, " D"]


def _question(data: Data, e, c, on, slides, datum, release) -> Question:
    """What is asked of one neuron; arguments as of `choose_modes`."""
    already = jnp.any(slides == datum)
    places = jnp.concatenate([slides, jnp.where(already, -1, datum)[None]])
    used = places >= 0
    x = jnp.where(used[:, None], data.x1[places], 0)
    eps = jnp.where(used, data.jump * e[places], 0)
    side = jnp.where(on[places], EventKind.on, EventKind.off)
    last = jnp.arange(places.size, dtype=jnp.int32) == slides.size
    at = places[:, None] == jnp.arange(on.size, dtype=jnp.int32)[None, :]
    in_question = jnp.any(at & used[:, None], axis=0)
    on_slope = jnp.asarray(data.slope_on, e.dtype)
    slope = jnp.where(on & ~in_question, on_slope, data.slope_off)
    reach = jnp.sum(x**2, axis=1)
    round_off = 8 * jnp.finfo(e.dtype).eps * (jnp.abs(slope * e) @ data.norm)
    return Question(
        places=places,
        used=used,
        at=at,
        before=jnp.where(last, side, EventKind.slide),
        side=side,
        x=x,
        eps=eps,
        bend=eps**2 * reach,
        convex=used & (c * eps > 0) & ~release,
        slack=2 * _BOUND * eps**2 * reach + jnp.abs(eps) * jnp.sqrt(reach) * round_off,
        g_off=jnp.sum((slope * e)[:, None] * data.x1, axis=0),
    )


def _look(asked: Question, kind: Int[Array, " q"]):
    """Which modes are inconsistent, what to make of them, and how z moves."""
    eps, convex, slack = asked.eps, asked.convex, asked.slack
    free = kind == EventKind.slide
    g_high = asked.g_off + jnp.where(kind == EventKind.on, eps, 0) @ asked.x
    beta = basis(jnp.where(free[:, None], asked.x, 0)).multipliers(g_high)
    alpha = jnp.where(free, beta / jnp.where(eps == 0, 1, eps), 0)
    # derivative of ±½‖g‖² in α'; its sign tells which way z moves
    d = jnp.where(convex, 1, -1) * eps * (asked.x @ (g_high + beta @ asked.x))
    to_off = free & ((alpha <= _BOUND) | ~convex)
    to_on = free & (alpha >= 1 - _BOUND) & convex
    up = (kind == EventKind.off) & (d < -slack)
    down = (kind == EventKind.on) & (d > slack)
    new = jnp.where(to_off, EventKind.off, kind)
    new = jnp.where(to_on, EventKind.on, new)
    new = jnp.where(up, jnp.where(convex, EventKind.slide, EventKind.on), new)
    new = jnp.where(down, jnp.where(convex, EventKind.slide, EventKind.off), new)
    return asked.used & (to_off | to_on | up | down), new, d


def _pivoted(asked: Question, start: Int[Array, " q"]):
    """Modes without inconsistency from those of the start, and how z moves in them."""
    index = jnp.arange(start.size, dtype=jnp.int32)

    def unsettled(carry):
        return carry[1] & (carry[2] < 8 * start.size)

    def pivot(carry):
        kind, _, count, _ = carry
        wrong, new, d = _look(asked, kind)
        first = index == jnp.argmax(wrong).astype(jnp.int32)
        return jnp.where(wrong & first, new, kind), jnp.any(wrong), count + 1, d

    carry = (start, jnp.ones((), bool), jnp.int32(0), asked.eps)
    kind, _, _, d = jax.lax.while_loop(unsettled, pivot, carry)
    return kind, d


def _packed(values: Int[Array, " m"], chosen: Bool[Array, " m"]) -> Int[Array, " m"]:
    """The chosen values in front, then −1; a sort of so few costs more."""
    place = jnp.cumsum(chosen, dtype=jnp.int32) - 1
    index = jnp.arange(values.size, dtype=jnp.int32)
    here = chosen[None, :] & (place[None, :] == index[:, None])
    return jnp.max(jnp.where(here, values[None, :], -1), axis=1)
