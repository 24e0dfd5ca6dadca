r"""Modes of a two-layer network with a kinked activation, and how they are chosen.

Every pair (neuron i, datum k) is off, on, or sliding: z_ik = 0 is held, and the
activation's slope is some α_ik between the slopes of the two sides. Inside a mode the
flow of neuron i is

    v̇_i = −c_i P_i g_i,   ċ_i = −v_i·g_i,   g_i = Σ_k s_ik e_k x̃_k,   x̃_k = (x_k, 1),

with e_k = q_k ∂ℓ_k/∂f, s_ik the slope of the pair's side (of *off* while it slides)
and P_i the projector onto the orthogonal complement of the data that neuron i slides
along. With ε_k = (s_on − s_off) e_k the multipliers β = α' ε of the sliding pairs solve
Σ_S β_k x̃_k = −(1 − P_i) g_i, and the mode lasts while 0 < α' = β/ε < 1.

At a boundary, pairs with c_i ε_k > 0 (convex kinks) take the α' that minimise
‖g_i + Σ α'_k ε_k x̃_k‖ over 0 ≤ α' ≤ 1; pairs with c_i ε_k < 0 (concave kinks) cross.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .trajectory import EventKind

# α' nearer than this to an end of [0, 1] is at the end: it is a ratio of sums of K
# products, known to about K rounding units.
_BOUND = 1e-11


class Parameters(NamedTuple):
    """v_i = (w_i, b_i), c_i, and the affine part p or None."""

    v: Float[Array, "n D"]
    c: Float[Array, " n"]
    p: Float[Array, " D"] | None


class Modes(NamedTuple):
    """The mode of every pair.

    Attributes:
        on: Which pairs are on; of a sliding pair, the side it came from.
        slides: Data each neuron slides along, at most as many as there are places; −1
            in the others.
    """

    on: Bool[Array, "n K"]
    slides: Int[Array, "n m"]


class Data(NamedTuple):
    """What the vector field needs of problem and activation.

    Attributes:
        x1: Inputs with a column of ones, x̃.
        norm: ‖x̃_k‖.
        slope_off: Slope of the activation on the off side.
        slope_on: Slope on the on side.
    """

    x1: Float[Array, "K D"]
    norm: Float[Array, " K"]
    slope_off: Any
    slope_on: Any

    @property
    def jump(self) -> Any:
        """s_on − s_off."""
        return self.slope_on - self.slope_off


def sliding_pairs(modes: Modes) -> Bool[Array, "n K"]:
    """Which pairs slide."""
    data = jnp.arange(modes.on.shape[1], dtype=jnp.int32)
    return jnp.any(modes.slides[:, :, None] == data[None, None, :], axis=1)


def slopes(data: Data, modes: Modes) -> Float[Array, "n K"]:
    """s_ik: the slope of the pair's side, of the off side while it slides."""
    on = modes.on & ~sliding_pairs(modes)
    dtype = data.x1.dtype
    return jnp.where(on, jnp.asarray(data.slope_on, dtype), data.slope_off)


class Basis(NamedTuple):
    """Orthonormal rows q spanning the rows r of a short list, r = lower @ q.

    Rows that depend on earlier ones, and empty places, have q = 0.
    """

    q: Float[Array, "... m D"]
    lower: Float[Array, "... m m"]

    def project_out(self, vectors: Float[Array, "... D"]) -> Float[Array, "... D"]:
        """The part of a vector orthogonal to all rows."""
        along = jnp.sum(self.q * vectors[..., None, :], axis=-1)
        return vectors - jnp.sum(along[..., None] * self.q, axis=-2)

    def multipliers(self, vectors: Float[Array, "... D"]) -> Float[Array, "... m"]:
        """β with Σ β_k r_k = −(the part of the vector within the rows' span)."""
        along = jnp.sum(self.q * vectors[..., None, :], axis=-1)
        size = self.q.shape[-2]
        beta: list[Array] = [jnp.zeros_like(along[..., 0])] * size
        for j in reversed(range(size)):
            rest = along[..., j]
            for later in range(j + 1, size):
                rest = rest + self.lower[..., later, j] * beta[later]
            diagonal = self.lower[..., j, j]
            beta[j] = jnp.where(
                diagonal > 0, -rest / jnp.where(diagonal > 0, diagonal, 1), 0
            )
        return jnp.stack(beta, axis=-1)


def basis(rows: Float[Array, "... m D"]) -> Basis:
    """Modified Gram–Schmidt, each row twice; m is small."""
    size = rows.shape[-2]
    zero = jnp.zeros_like(rows[..., 0, 0])
    q: list[Array] = []
    lower: list[Array] = []
    for j in range(size):
        row = rows[..., j, :]
        scale = jnp.sqrt(jnp.sum(row**2, axis=-1))
        entries = [zero] * size
        for _ in range(2):
            for l, unit in enumerate(q):
                along = jnp.sum(unit * row, axis=-1)
                row = row - along[..., None] * unit
                entries[l] = entries[l] + along
        square = jnp.sum(row**2, axis=-1)
        independent = jnp.sqrt(square) > 1e-10 * scale  # else the same boundary
        norm = jnp.sqrt(jnp.where(independent, square, 1))
        q.append(jnp.where(independent[..., None], row / norm[..., None], 0))
        entries[j] = jnp.where(independent, norm, 0)
        lower.append(jnp.stack(entries, axis=-1))
    return Basis(jnp.stack(q, axis=-2), jnp.stack(lower, axis=-2))


def sliding_basis(data: Data, modes: Modes) -> Basis:
    """A basis of the data each neuron slides along."""
    rows = jnp.where((modes.slides >= 0)[..., None], data.x1[modes.slides], 0)
    return basis(rows)


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
    already = jnp.any(slides == datum)
    places = jnp.concatenate([slides, jnp.where(already, -1, datum)[None]])
    used = places >= 0
    x = jnp.where(used[:, None], data.x1[places], 0)
    eps = jnp.where(used, data.jump * e[places], 0)
    side = jnp.where(on[places], EventKind.on, EventKind.off)
    index = jnp.arange(places.size, dtype=jnp.int32)
    last = index == slides.size
    before = jnp.where(last, side, EventKind.slide)
    at = places[:, None] == jnp.arange(on.size, dtype=jnp.int32)[None, :]
    in_question = jnp.any(at & used[:, None], axis=0)
    on_slope = jnp.asarray(data.slope_on, e.dtype)
    slope = jnp.where(on & ~in_question, on_slope, data.slope_off)
    terms = (slope * e)[:, None] * data.x1
    g_off = jnp.sum(terms, axis=0)
    convex = used & (c * eps > 0) & ~release
    # |d| below the slack counts as zero: α' within _BOUND of its end, or round-off.
    reach = jnp.sum(x**2, axis=1)
    round_off = 8 * jnp.finfo(e.dtype).eps * (jnp.abs(slope * e) @ data.norm)
    slack = 2 * _BOUND * eps**2 * reach + jnp.abs(eps) * jnp.sqrt(reach) * round_off

    def look(kind):
        """Which modes are inconsistent, what to make of them, and how z moves."""
        free = kind == EventKind.slide
        g_high = g_off + jnp.where(kind == EventKind.on, eps, 0) @ x
        beta = basis(jnp.where(free[:, None], x, 0)).multipliers(g_high)
        alpha = jnp.where(free, beta / jnp.where(eps == 0, 1, eps), 0)
        # derivative of ±½‖g‖² in α'; its sign tells which way z moves
        d = jnp.where(convex, 1, -1) * eps * (x @ (g_high + beta @ x))
        to_off = free & ((alpha <= _BOUND) | ~convex)
        to_on = free & (alpha >= 1 - _BOUND) & convex
        up = (kind == EventKind.off) & (d < -slack)
        down = (kind == EventKind.on) & (d > slack)
        new = jnp.where(to_off, EventKind.off, kind)
        new = jnp.where(to_on, EventKind.on, new)
        new = jnp.where(up, jnp.where(convex, EventKind.slide, EventKind.on), new)
        new = jnp.where(down, jnp.where(convex, EventKind.slide, EventKind.off), new)
        return used & (to_off | to_on | up | down), new, d

    def unsettled(carry):
        return carry[1] & (carry[2] < 8 * places.size)

    def pivot(carry):
        kind, _, count, _ = carry
        wrong, new, d = look(kind)
        first = index == jnp.argmax(wrong).astype(jnp.int32)
        return jnp.where(wrong & first, new, kind), jnp.any(wrong), count + 1, d

    mine = used & (places == datum)
    start = jnp.where(convex | (before != EventKind.slide), before, side)
    start = jnp.where(mine & (before == EventKind.slide), target, start)
    carry = (start, jnp.ones((), bool), jnp.int32(0), eps)
    kind, _, _, d = jax.lax.while_loop(unsettled, pivot, carry)
    # A datum whose velocity vanishes to round-off has nevertheless arrived. Beyond a
    # convex kink it would be sent back, so it slides.
    stuck = ~jnp.any(used & (kind != before))
    held = convex & (before != EventKind.slide) & (eps**2 * reach > slack)
    kind = jnp.where(stuck & mine, jnp.where(held, EventKind.slide, target), kind)
    free = used & (kind == EventKind.slide)
    among = lambda chosen: jnp.any(at & (used & chosen)[:, None], axis=0)
    # Concave, and the velocities of both sides point away from the boundary.
    away = jnp.where(kind == EventKind.on, -1, 1) * d
    torn = used & ~convex & (away > slack) & (away < eps**2 * reach - slack)
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


def _packed(values: Int[Array, " m"], chosen: Bool[Array, " m"]) -> Int[Array, " m"]:
    """The chosen values in front, then −1; a sort of so few costs more."""
    place = jnp.cumsum(chosen, dtype=jnp.int32) - 1
    index = jnp.arange(values.size, dtype=jnp.int32)
    here = chosen[None, :] & (place[None, :] == index[:, None])
    return jnp.max(jnp.where(here, values[None, :], -1), axis=1)


def replace_row(rows: Array, i: Int[Array, ""], row: Array) -> Array:
    """The rows with one replaced; a scatter compiles and runs much slower."""
    mine = jnp.arange(rows.shape[0], dtype=jnp.int32) == i
    return jnp.where(mine.reshape(-1, *[1] * (rows.ndim - 1)), row, rows)
