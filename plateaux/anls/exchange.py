r"""The exchange step: the neuron that is missed least against the best new one."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from .coordinates import Data, hinges, outer_columns, stacked_triangle, unit_columns


def removal_costs(data: Data, v: Any, affine: bool) -> Float[Array, " n"]:
    r"""By how much ½ Σ q r² grows when a neuron goes and the rest is refitted.

    c_i²/(2 [(HᵀH)⁻¹]_ii), H the outer columns, from the rows of R⁻¹.
    """
    matrix = outer_columns(data, v, affine)
    scaled, _ = unit_columns(matrix)
    damping = float(jnp.finfo(matrix.dtype).eps) ** (4 / 3)
    triangle = stacked_triangle(scaled, jnp.sqrt(data.q) * data.y, damping)
    inverse = solve_triangular(
        triangle[:-1, :-1], jnp.eye(triangle.shape[0] - 1, dtype=matrix.dtype)
    )
    coefficients = inverse @ triangle[:-1, -1]
    costs = 0.5 * coefficients**2 / jnp.sum(inverse**2, axis=1)
    return costs[: v.shape[0]]


def random_rows(key: Array, data: Data, num: int) -> Float[Array, "N d+1"]:
    """Hyperplanes of random direction through random points between two data."""
    key_w, key_i, key_j, key_u = jax.random.split(key, 4)
    dtype, (size, dim) = data.x1.dtype, data.x1.shape
    w = jax.random.normal(key_w, (num, dim - 1), jnp.float32).astype(dtype)
    w = w / jnp.sqrt(jnp.sum(w**2, axis=1, keepdims=True))
    first, second = (
        data.x1[jax.random.randint(k, (num,), 0, size), :-1] for k in (key_i, key_j)
    )
    u = jax.random.uniform(key_u, (num, 1), jnp.float32).astype(dtype)
    point = first + u**3 * (second - first)
    return jnp.concatenate([w, -jnp.sum(w * point, axis=1, keepdims=True)], axis=1)


def exchange(
    key: Array, data: Data, v: Float[Array, "n d+1"], affine: bool, num: int
) -> Float[Array, "n d+1"]:
    """The rows with one neuron replaced by the best of `num` random ones.

    Which neuron goes is drawn near the least removal cost; a candidate h is as good as
    (h·r)²/‖h‖² after the other columns are projected out of it.
    """
    key_out, key_in = jax.random.split(key)
    costs = removal_costs(data, v, affine)
    noise = jnp.exp(jax.random.normal(key_out, costs.shape, jnp.float32))
    gone = jnp.argmin(costs * noise.astype(costs.dtype))
    stays = jnp.arange(v.shape[0]) != gone
    kept = jnp.where(stays[:, None], v, 0)
    root = jnp.sqrt(data.q)
    matrix, _ = unit_columns(outer_columns(data, kept, affine))
    lam = float(jnp.finfo(matrix.dtype).eps) ** (2 / 3)
    basis, _ = jnp.linalg.qr(
        jnp.concatenate([matrix, lam * jnp.eye(matrix.shape[1], dtype=matrix.dtype)])
    )
    basis = basis[: matrix.shape[0]]
    target = root * data.y
    residual = target - basis @ (basis.T @ target)
    fresh = random_rows(key_in, data, num)
    h = root[None, :] * hinges(data, fresh)
    square = jnp.sum(h**2, axis=1)
    left = square - jnp.sum((h @ basis) ** 2, axis=1)
    usable = left > 1e-9 * square
    score = jnp.where(usable, (h @ residual) ** 2 / jnp.where(usable, left, 1), -1)
    return jnp.where(stays[:, None], v, fresh[jnp.argmax(score)][None, :])
