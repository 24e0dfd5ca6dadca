"""The functions that must keep their sign for the modes of a step to last."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .kinked_state import ON_BOUNDARY, Field, boundary_width
from .modes import Basis, Data, Modes, Parameters, sliding_pairs, slopes
from .polynomials import FirstRoot, bernstein_matrix, evaluate_polynomial, first_root
from .series import Series, inner_products


class ModeFunctions(NamedTuple):
    """All that must stay positive for the modes to last.

    They are σ_ik z_ik of the pairs that do not slide; β and ε − β, times the sign of
    ε, of those that do; and c_i, times its sign, of a neuron that slides. Functions in
    unused places are 1.

    Attributes:
        v, c, beta, epsilon: Power coefficients on the step.
        side: ±1, on or off; 0 for a pair that slides.
        used: Which places hold a sliding datum.
        noise: Error of the multipliers that the tolerance leaves: a kink that comes
            to rest with α' at an end of [0, 1] must not chatter within it.
        data: Inputs.
    """

    v: Float[Array, "j n D"]
    c: Float[Array, "j n"]
    beta: Float[Array, "j n m"]
    epsilon: Float[Array, "j n m"]
    side: Float[Array, "n K"]
    used: Bool[Array, "n m"]
    noise: Float[Array, "n m"]
    data: Data

    def pairs(self, v: Float[Array, "*j n D"]) -> Float[Array, "*j n K"]:
        """σ z from v, or from its coefficients in any basis that sums to one."""
        side = _lift(self.side, v.ndim)
        return jnp.where(side == 0, 1, side * inner_products(v, self.data.x1))

    def others(self, beta, epsilon, c) -> Float[Array, "*j o"]:
        """The functions of sliding pairs, likewise."""
        sign = lambda a: jnp.where(a >= 0, 1, -1).astype(a.dtype)
        used = _lift(self.used, beta.ndim)
        of_slot = _lift(sign(self.epsilon[0]), beta.ndim)
        of_c = _lift(sign(self.c[0]), c.ndim)
        low = jnp.where(used, of_slot * beta, 1)
        high = jnp.where(used, of_slot * (epsilon - beta), 1)
        outer = jnp.where(jnp.any(used, axis=-1), of_c * c, 1)
        flat = lambda a: a.reshape(*a.shape[:-2], -1)
        return jnp.concatenate([flat(low), flat(high), outer], axis=-1)

    def bernstein(self):
        """Both groups, by Bernstein coefficients."""
        matrix = bernstein_matrix(self.c.shape[0] - 1)
        convert = lambda a: _matmul(matrix, a)
        parts = (convert(a) for a in (self.beta, self.epsilon, self.c))
        return self.pairs(convert(self.v)), self.others(*parts)

    def first_root(self) -> FirstRoot:
        """Where the first of them changes its sign."""
        pairs, others = self.bernstein()
        eps = ON_BOUNDARY * jnp.finfo(self.c.dtype).eps
        slot = jnp.ravel(self.noise + eps * jnp.abs(self.epsilon[0]))
        tolerance = (
            jnp.ravel(boundary_width(self.data, self.v[0])),
            jnp.concatenate([slot, slot, eps * jnp.abs(self.c[0])]),
        )
        return first_root(
            (pairs.reshape(pairs.shape[0], -1), others),
            tolerance,
            self.evaluate,
            self.coefficients,
        )

    def evaluate(self, tau):
        """Both groups at a point of the step."""
        at = lambda a: evaluate_polynomial(a, tau)
        parts = (at(a) for a in (self.beta, self.epsilon, self.c))
        return jnp.ravel(self.pairs(at(self.v))), self.others(*parts)

    def coefficients(self, which) -> Float[Array, " j"]:
        """Power coefficients of one function."""
        num_data = jnp.int32(self.side.shape[1])
        pairs = self.side.size
        i, k = jax.lax.div(which, num_data), jax.lax.rem(which, num_data)
        of_pair = self.side.ravel()[which] * (self.v[:, i] @ self.data.x1[k])
        of_other = self.others(self.beta, self.epsilon, self.c)[:, which - pairs]
        return jnp.where(which < pairs, of_pair, of_other)


def _lift(a: Array, ndim: int) -> Array:
    """The array with leading axes of length one."""
    return a.reshape(*[1] * (ndim - a.ndim), *a.shape)


def _matmul(matrix: np.ndarray, rows: Float[Array, "j ..."]) -> Float[Array, "j ..."]:
    """A constant matrix times rows, written out: a dot of this size is slower."""
    terms = jnp.asarray(matrix, rows.dtype).reshape(
        *matrix.shape, *[1] * (rows.ndim - 1)
    )
    return jnp.sum(terms * rows[None], axis=1)


def mode_functions(
    field: Field, modes: Modes, sliding: Basis, polynomial: Parameters, series: Series
) -> ModeFunctions:
    """The functions on one step, from polynomials of one degree on [0, 1].

    The noise of β is what an error of the tolerance in f makes of g.
    """
    problem, data, rtol = field.problem, field.data, field.tolerances.rtol
    dtype = data.x1.dtype
    scale = jnp.abs(series.e[0]) + problem.sample_weights * jnp.abs(problem.y)
    noise = rtol * jnp.abs(slopes(data, modes)) @ (scale * data.norm)
    side = jnp.where(modes.on, 1, -1).astype(dtype)
    return ModeFunctions(
        v=polynomial.v,
        c=polynomial.c,
        beta=jax.vmap(sliding.multipliers)(series.g),
        epsilon=data.jump * series.e[:, modes.slides],
        side=jnp.where(sliding_pairs(modes), 0, side),
        used=modes.slides >= 0,
        noise=noise[:, None] / data.norm[modes.slides],
        data=data,
    )
