"""LU and QR factorisations that programs of several threads may compute together.

jaxlib 0.10.1 spreads a batch of them over XLA's one pool of threads, and two programs
that do so at the same time wait for each other for ever. On CPUs a batch is factorised
one matrix after another, which at these sizes takes no longer.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int


def _one_by_one(factorise: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """The same, whose batches are loops on CPUs."""
    single = custom_vmap(factorise)

    @single.def_vmap
    def batch(axis_size, in_batched, matrices):
        out = jax.lax.platform_dependent(
            matrices,
            cpu=lambda a: jax.lax.map(single, a),
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
def triangle(matrix: Float[Array, "m n"]) -> Float[Array, "k n"]:
    """R of the QR factorisation, k = min(m, n).

    Example:
        >>> print(abs(triangle(jnp.array([[3.0], [4.0]]))))
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
