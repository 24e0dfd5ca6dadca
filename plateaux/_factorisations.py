"""LU, QR and triangular solves that programs of several threads may compute together.

jaxlib 0.10.1 hands batches of them to XLA's one pool of threads and waits, also where
it runs on a thread of that pool: programs that do so at the same time wait for each
other for ever. On CPUs a batch is taken one matrix after another, which at these sizes
takes no longer. (Singular values and eigenvalues are not handed to the pool.)
"""

import functools as ft
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int


def _one_by_one(factorise: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays, whose batches are loops on CPUs."""
    single = custom_vmap(factorise)

    @single.def_vmap
    def batch(axis_size, in_batched, *arrays):
        spread = lambda a, is_batched: (
            a if is_batched else jnp.broadcast_to(a, (axis_size, *a.shape))
        )
        out = jax.lax.platform_dependent(
            *map(spread, arrays, in_batched),
            cpu=lambda *rows: jax.lax.map(lambda one: single(*one), rows),
            default=jax.vmap(factorise),
        )
        return out, jax.tree.map(lambda _: True, out)

    return single


@_one_by_one
def lu(matrix: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], Int[Array, " n"]]:
    """L below and U on and above the diagonal, and the order of rows; no derivatives.

    Example:
        >>> factors, order = lu(jnp.array([[0.0, 2.0], [1.0, 3.0]]))
        >>> print(factors.ravel(), order)
        [1. 3. 0. 2.] [1 0]
    """
    factors, _, order = jax.lax.linalg.lu(matrix)
    return factors, order


@_one_by_one
def qr_triangle(matrix: Float[Array, "m n"]) -> Float[Array, "k n"]:
    """R of the QR factorisation, k = min(m, n).

    Example:
        >>> print(abs(qr_triangle(jnp.array([[3.0], [4.0]]))))
        [[5.]]
    """
    return jnp.linalg.qr(matrix, mode="r")


@_one_by_one
def qr(matrix: Float[Array, "m n"]) -> tuple[Float[Array, "m k"], Float[Array, "k n"]]:
    """Q and R of the reduced QR factorisation, k = min(m, n).

    Example:
        >>> q, r = qr(jnp.array([[3.0], [4.0]]))
        >>> print(jnp.round(q @ r, 12).ravel())
        [3. 4.]
    """
    q, r = jnp.linalg.qr(matrix)
    return q, r


def solve_triangle(
    matrix: Float[Array, "n n"],
    target: Float[Array, "n ..."],
    *,
    lower: bool = False,
    transposed: bool = False,
    unit_diagonal: bool = False,
) -> Float[Array, "n ..."]:
    """X with T x = y or Tᵀ x = y, where T is the upper or the lower part of the matrix.

    Args:
        matrix: Its other part is not looked at.
        target: y, a vector or columns.
        lower: Whether T is the lower part.
        transposed: Whether Tᵀ x = y is solved.
        unit_diagonal: Whether the diagonal of T counts as ones.

    Returns:
        x.

    Example:
        >>> print(solve_triangle(jnp.array([[2.0, 1.0], [9.0, 1.0]]), jnp.ones(2)))
        [0. 1.]
    """
    return _TRIANGLES[lower, transposed, unit_diagonal](matrix, target)


def _solve_triangle(lower, transposed, unit_diagonal, matrix, target):
    return jsl.solve_triangular(
        matrix,
        target,
        trans="T" if transposed else "N",
        lower=lower,
        unit_diagonal=unit_diagonal,
    )


_TRIANGLES = {
    how: _one_by_one(ft.partial(_solve_triangle, *how))
    for how in itertools.product((False, True), repeat=3)
}


def solver(matrix: Float[Array, "n n"]) -> Callable[[Array], Array]:
    """The map y ↦ A⁻¹y by one LU factorisation; derivatives pass.

    Example:
        >>> print(solver(jnp.array([[0.0, 2.0], [1.0, 0.0]]))(jnp.array([2.0, 3.0])))
        [3. 1.]
    """
    factors, order = lu(jax.lax.stop_gradient(matrix))
    return lambda y: jax.lax.custom_linear_solve(
        lambda x: matrix @ x,
        y,
        solve=lambda _, v: _solve(factors, order, v),
        transpose_solve=lambda _, v: _solve_transposed(factors, order, v),
    )


def _solve(factors, order, v):
    v = solve_triangle(factors, v[order], lower=True, unit_diagonal=True)
    return solve_triangle(factors, v)


def _solve_transposed(factors, order, v):
    v = solve_triangle(factors, v, transposed=True)
    v = solve_triangle(factors, v, lower=True, transposed=True, unit_diagonal=True)
    return jnp.zeros_like(v).at[order].set(v)
