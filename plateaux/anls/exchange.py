r"""The exchange step: the neuron that is missed least against the best new one."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._factorisations import solve_triangle
from .coordinates import (
    Data,
    column_basis,
    outer_columns,
    random_rows,
    stacked_triangle,
    uniform_draws,
    unit_columns,
)


def removal_costs(data: Data, v: Any, affine: bool) -> Float[Array, " n"]:
    r"""By how much ½ Σ q r² grows when a neuron goes and the rest is refitted.

    c_i²/(2 [(HᵀH)⁻¹]_ii), H the outer columns, from the rows of R⁻¹.
    """
    matrix = outer_columns(data, v, affine)
    scaled, _ = unit_columns(matrix)
    damping = float(jnp.finfo(matrix.dtype).eps) ** (4 / 3)
    triangle = stacked_triangle(scaled, jnp.sqrt(data.q) * data.y, damping)
    inverse = solve_triangle(
        triangle[:-1, :-1], jnp.eye(triangle.shape[0] - 1, dtype=matrix.dtype)
    )
    coefficients = inverse @ triangle[:-1, -1]
    costs = 0.5 * coefficients**2 / jnp.sum(inverse**2, axis=1)
    return costs[: v.shape[0]]


def exchange(
    key: Array, data: Data, v: Float[Array, "n D"], affine: bool, num: int
) -> Float[Array, "n D"]:
    """The rows with one neuron replaced by the best of `num` random ones.

    Which neuron goes is drawn near the least removal cost; a candidate h is as good as
    (h·r)²/‖h‖² after the other columns are projected out of it.
    """
    size, columns = v.shape[0], data.x1.shape[1] + 2
    draws = uniform_draws(key, v, size + num * columns)
    # costs times the ratio of two exponential numbers, of which half lie in [1/3, 3]
    odds = (draws[:size] + 1e-3) / (1 + 1e-3 - draws[:size])
    gone = jnp.argmin(removal_costs(data, v, affine) * odds)
    stays = jnp.arange(v.shape[0]) != gone
    kept = jnp.where(stays[:, None], v, 0)
    root = jnp.sqrt(data.q)
    basis = column_basis(outer_columns(data, kept, affine))
    target = root * data.y
    residual = target - basis @ (basis.T @ target)
    fresh = random_rows(draws[size:].reshape(num, columns), data)
    h = root[None, :] * data.columns(fresh).T
    square = jnp.sum(h**2, axis=1)
    left = square - jnp.sum((h @ basis) ** 2, axis=1)
    usable = left > 1e-9 * square
    score = jnp.where(usable, (h @ residual) ** 2 / jnp.where(usable, left, 1), -1)
    return jnp.where(stays[:, None], v, fresh[jnp.argmax(score)][None, :])
