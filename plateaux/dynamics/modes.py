r"""Modes of a two-layer network with a kinked activation.

Every pair (neuron i, datum k) is off, on, or sliding: z_ik = 0 is held, and the
activation's slope is some α_ik between the slopes of the two sides. Inside a mode the
flow of neuron i is

    v̇_i = −c_i P_i g_i,   ċ_i = −v_i·g_i,   g_i = Σ_k s_ik e_k x̃_k,   x̃_k = (x_k, 1),

with e_k = q_k ∂ℓ_k/∂f, s_ik the slope of the pair's side (of *off* while it slides)
and P_i the projector onto the orthogonal complement of the data that neuron i slides
along. With ε_k = (s_on − s_off) e_k the multipliers β = α' ε of the sliding pairs solve
Σ_S β_k x̃_k = −(1 − P_i) g_i, and the mode lasts while 0 < α' = β/ε < 1.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


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


def replace_row(rows: Array, i: Int[Array, ""], row: Array) -> Array:
    """The rows with one replaced; a scatter compiles and runs much slower."""
    mine = jnp.arange(rows.shape[0], dtype=jnp.int32) == i
    return jnp.where(mine.reshape(-1, *[1] * (rows.ndim - 1)), row, rows)
