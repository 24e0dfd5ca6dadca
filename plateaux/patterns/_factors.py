r"""Singular values of the weighted design matrix √q Φ of a cell or sliding mode."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem
from .cells import design_matrix


class Factors(NamedTuple):
    r"""√q Φ = U diag(s) Vᵀ, and what follows from it.

    Attributes:
        left: U, columns of zero singular values set to zero.
        values: s, largest first, zeros for what is numerically zero.
        right: Vᵀ, square: rows of zero singular values span the null space.
        minimiser: η*, of least norm.
        floor: ½‖(I − UUᵀ) √q y‖².
        smallest: The smallest s that is not zero; 0 if there is none.
    """

    left: Float[Array, "m p"]
    values: Float[Array, " p"]
    right: Float[Array, "p p"]
    minimiser: Float[Array, " p"]
    floor: Float[Array, ""]
    smallest: Float[Array, ""]

    @property
    def inverse(self) -> Float[Array, " p"]:
        """1/s, zero where s is."""
        return jnp.where(
            self.values > 0, 1 / jnp.where(self.values > 0, self.values, 1), 0
        )


def factorise(
    problem: Problem,
    active: Bool[Array, "n K"],
    sliding: Bool[Array, "n K"] | None,
    affine: bool,
) -> Factors:
    """Factors of the cell of a pattern, or of a mode in which pairs slide."""
    root = jnp.sqrt(problem.sample_weights)
    phi = design_matrix(active, problem.x, affine=affine, sliding=sliding)
    matrix = root[:, None] * phi
    short = max(phi.shape[1] - phi.shape[0], 0)
    matrix = jnp.pad(matrix, ((0, short), (0, 0)))  # so that V is square
    left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
    cut = max(phi.shape) * jnp.finfo(phi.dtype).eps * values[0]
    values = jnp.where(values > cut, values, 0)
    left = jnp.where(values > 0, left, 0)[: phi.shape[0]]
    target = root * problem.y
    along = left.T @ target
    rest = target - left @ along
    smallest = jnp.min(jnp.where(values > 0, values, jnp.inf))
    factors = Factors(
        left,
        values,
        right,
        jnp.zeros_like(values),
        jnp.sum(rest**2) / 2,
        jnp.where(jnp.isfinite(smallest), smallest, 0),
    )
    return factors._replace(minimiser=right.T @ (factors.inverse * along))


def distance(
    factors: Factors, problem: Problem, residual: Float[Array, " K"]
) -> Float[Array, ""]:
    r"""‖P √q r‖ = √(2(L − L_A)), without the cancellation of the difference."""
    root = jnp.sqrt(problem.sample_weights)
    return jnp.sqrt(jnp.sum((factors.left.T @ (root * residual)) ** 2))


def least_metric(
    network: TwoLayer, alive: Bool[Array, " n"], least_outer: Float[Array, " n"]
) -> Float[Array, ""]:
    """Lower bound of c_i² over neurons that are not dead (of 1 too with p)."""
    low = jnp.min(jnp.where(alive, least_outer**2, jnp.inf))
    if network.p is not None:
        low = jnp.minimum(low, 1)
    return jnp.where(jnp.isfinite(low), low, 0)
