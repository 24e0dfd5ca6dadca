r"""Centred coordinates, and the least-squares solves of one step.

Inside a step inputs are moved to mean 0 and size 1, column by column: the span of the
columns (x, 1) of a neuron stays, and its condition no longer depends on units.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._factorisations import qr, qr_triangle, solve_triangle
from ..networks.network import extended
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem


class Data(eqx.Module):
    """A problem in centred coordinates.

    Attributes:
        x1: x̃ = ((x − centre)/size, 1).
        y: Targets.
        q: Weights of the squares.
        centre: What was subtracted from the inputs.
        size: What they were divided by.
    """

    x1: Float[Array, "K D"]
    y: Float[Array, " K"]
    q: Float[Array, " K"]
    centre: Float[Array, " d"]
    size: Float[Array, " d"]

    def preactivations(self, v: Float[Array, "n D"]) -> Float[Array, "n K"]:
        """v_i·x̃_k; 0 where only rounding tells it from 0.

        Kinks come to rest on data, where neither a pattern nor a feature may depend on
        rounding.
        """
        z = v @ self.x1.T
        rounding = 64 * float(jnp.finfo(z.dtype).eps) * jnp.sqrt(jnp.sum(v**2, axis=1))
        return jnp.where(jnp.abs(z) > rounding[:, None], z, 0)

    def columns(self, v: Float[Array, "n D"]) -> Float[Array, "K n"]:
        """The features φ(v_i·x̃_k), one column a neuron."""
        return jnp.clip(self.preactivations(v), 0).T

    def affine_columns(self) -> Float[Array, "K D"]:
        """The columns of the affine part."""
        return self.x1


def centred(problem: Problem) -> Data:
    """The problem with inputs of mean 0 and largest size 1.

    An input whose spread is rounding is constant: it becomes 0.
    """
    centre = jnp.mean(problem.x, axis=0)
    moved = problem.x - centre[None, :]
    size = jnp.max(jnp.abs(moved), axis=0)
    rounding = 64 * float(jnp.finfo(moved.dtype).eps) * jnp.abs(centre)
    varies = size > rounding
    moved, size = jnp.where(varies[None, :], moved, 0), jnp.where(varies, size, 1)
    x1 = extended(moved / size[None, :])
    return Data(x1, problem.y, problem.sample_weights, centre, size)


def inward(data: Data, w: Any, b: Any) -> Array:
    """Rows v = (w, b) in centred coordinates."""
    bias = b + w @ data.centre
    return jnp.concatenate([w * data.size[None, :], bias[:, None]], axis=1)


def outward(data: Data, v: Any) -> tuple[Array, Array]:
    """Weights and bias of rows v in the coordinates of the problem."""
    w = v[..., :-1]
    w = w / jnp.broadcast_to(data.size, w.shape)
    return w, v[..., -1] - w @ data.centre


def rows(data: Data, network: TwoLayer) -> tuple[Array, Array]:
    """The v_i, of unit length, and the c_i that belong to them."""
    v = inward(data, network.w, network.b)
    length = jnp.sqrt(jnp.sum(v**2, axis=1))
    safe = jnp.where(length > 0, length, 1)
    return v / safe[:, None], network.c * length


def outer_columns(data: Data, v: Any, affine: bool) -> Float[Array, "K p"]:
    """√q times the features, and the columns of the affine part."""
    h = data.columns(v)
    h = jnp.concatenate([h, data.affine_columns()], axis=1) if affine else h
    return jnp.sqrt(data.q)[:, None] * h


def random_rows(draws: Float[Array, "N m"], data: Data) -> Float[Array, "N D"]:
    """Hyperplanes of random direction through random points between two data.

    Made of uniform numbers on [0, 1): one call of the generator is quick to compile.
    """
    num, dim = data.x1.shape[0], data.x1.shape[1] - 1
    inside = jnp.clip(draws[:, :dim], 1e-6, 1 - 1e-6)
    w = jax.scipy.special.erfinv(2 * inside - 1)
    w = w / jnp.sqrt(jnp.sum(w**2, axis=1, keepdims=True))
    place = jnp.minimum((draws[:, dim : dim + 2] * num).astype(jnp.int32), num - 1)
    first, second = data.x1[place[:, 0], :-1], data.x1[place[:, 1], :-1]
    point = first + draws[:, dim + 2 :] ** 3 * (second - first)
    return jnp.concatenate([w, -jnp.sum(w * point, axis=1, keepdims=True)], axis=1)


def uniform_draws(key: Array, like: Array, num: int) -> Float[Array, " num"]:
    """Uniform numbers on [0, 1), drawn in float32 and cast."""
    return jax.random.uniform(key, (num,), jnp.float32).astype(like.dtype)


def affine_row(data: Data, p: Float[Array, " D"]) -> Float[Array, " D"]:
    """The affine part in centred coordinates."""
    return inward(data, p[None, :-1], p[-1:])[0]


def assemble(data: Data, like: TwoLayer, v: Any, outer: Any) -> TwoLayer:
    """The network with inner rows v and outer coefficients (c, p)."""
    w, b = outward(data, v)
    num = v.shape[0]
    p = None
    if like.p is not None:
        slopes, intercept = outward(data, outer[num:])
        p = jnp.append(slopes, intercept)
    return eqx.tree_at(
        lambda net: (net.w, net.b, net.c, net.p),
        like,
        (w, b, outer[:num], p),
        is_leaf=lambda leaf: leaf is None,
    )


def outer_fit(data: Data, like: TwoLayer, v: Any) -> TwoLayer:
    """The network with inner rows v and the best outer weights and affine part."""
    affine = like.p is not None
    matrix = outer_columns(data, v, affine)
    solution = least_squares(matrix, jnp.sqrt(data.q) * data.y)
    return assemble(data, like, v, solution)


def least_squares(matrix: Float[Array, "K p"], target: Float[Array, " K"]) -> Array:
    """Least squares, columns scaled, by one QR that no rank can break.

    Rows λI, λ = eps^(2/3), stand below the scaled columns: large enough that equal
    columns share their coefficient, small enough to go unseen otherwise.
    """
    damping = float(jnp.finfo(matrix.dtype).eps) ** (4 / 3)
    scaled, length = unit_columns(matrix)
    return damped_solve(scaled, target, damping) / length


def unit_columns(matrix: Array) -> tuple[Array, Array]:
    """The matrix with columns of unit length, zero ones left, and the lengths."""
    length = jnp.sqrt(jnp.sum(matrix**2, axis=0))
    length = jnp.where(length > 0, length, 1)
    return matrix / length[None, :], length


def damped_solve(matrix: Any, target: Any, damping: Any) -> Array:
    """The minimiser of ‖Ms − t‖² + damping ‖s‖², damping > 0, by QR."""
    triangle = stacked_triangle(matrix, target, damping)
    return solve_triangle(triangle[:-1, :-1], triangle[:-1, -1])


def stacked_triangle(matrix: Any, target: Any, damping: Any) -> Array:
    """R of the QR of [[M, t], [√damping I, 0]]."""
    num = matrix.shape[1]
    root = jnp.sqrt(jnp.asarray(damping, matrix.dtype))
    below = root * jnp.eye(num + 1, num, dtype=matrix.dtype)
    matrix = jnp.concatenate([matrix, below])
    return triangle_of(matrix, jnp.pad(target, (0, num + 1)))


def triangle_of(matrix: Any, target: Any) -> Array:
    """R of the QR of [M, t]: what least squares needs to know of both."""
    return qr_triangle(jnp.concatenate([matrix, target[:, None]], 1))


def column_basis(matrix: Float[Array, "K p"]) -> Float[Array, "K p"]:
    """Orthonormal columns that span the matrix; those beyond its rank are near 0."""
    scaled, _ = unit_columns(matrix)
    num, size = scaled.shape[1], float(jnp.finfo(matrix.dtype).eps) ** (2 / 3)
    below = size * jnp.eye(num, dtype=matrix.dtype)
    basis, _ = qr(jnp.concatenate([scaled, below]))
    return basis[: matrix.shape[0]]


def choose(first: Any, new: Any, old: Any) -> Any:
    """The first of two pytrees, or the second."""
    return jax.tree.map(lambda a, b: jnp.where(first, a, b), new, old)
