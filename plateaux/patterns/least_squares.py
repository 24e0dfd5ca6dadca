r"""Least squares on a fixed activation pattern.

While its pattern A stays, a two-layer network is linear in η_i = c_i v_i, so the best
it can do there is a linear least-squares problem: minimise ½ Σ_k q_k (Φη − y)_k².
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, Int


class LeastSquares(NamedTuple):
    """The solution of least norm of a weighted least-squares problem.

    Attributes:
        coefficients: η, of least norm once the columns of Φ have unit length.
        fitted: Φη.
        residual: Φη − y.
        value: ½ Σ_k q_k residual_k².
        rank: Numerical rank of √q Φ with columns of unit length.
        singular_values: Of √q Φ, columns as they are, largest first.
    """

    coefficients: Float[Array, " p"]
    fitted: Float[Array, " K"]
    residual: Float[Array, " K"]
    value: Float[Array, ""]
    rank: Int[Array, ""]
    singular_values: Float[Array, " s"]


def least_squares(
    phi: Float[Array, "K p"],
    y: Float[Array, " K"],
    weights: Float[Array, " K"] | None = None,
    *,
    rcond: Any = None,
) -> LeastSquares:
    r"""Minimise ½ Σ_k q_k (Φη − y)_k² by singular values.

    Columns are scaled to unit length before singular values below `rcond` times the
    largest count as zero: otherwise the cut would depend on the units of the inputs.
    Columns that are zero get the coefficient zero. Derivatives with respect to Φ and y
    are those of the solution of least norm, at fixed rank.

    Args:
        phi: Φ, any shape and rank; for many at once use `jax.vmap`.
        y: Targets.
        weights: q_k ≥ 0; ones if None.
        rcond: Relative cut of singular values; None means max(K, p) rounding units.

    Returns:
        The solution.

    Example:
        >>> fit = least_squares(jnp.ones((2, 2)), jnp.array([0.0, 2.0]))
        >>> print(fit.coefficients, fit.value, fit.rank)
        [0.5 0.5] 1.0 1

    Reference: Golub & Pereyra (1973), "The differentiation of pseudo-inverses and
    nonlinear least squares problems whose variables separate", SIAM J. Numer. Anal. 10.
    """
    weights = jnp.ones_like(y) if weights is None else weights
    return _least_squares(phi, y, weights, rcond)


@eqx.filter_jit
def _least_squares(phi, y, weights, rcond: Any) -> LeastSquares:
    root = jnp.sqrt(weights)
    matrix, target = root[:, None] * phi, root * y
    square = jnp.sum(matrix**2, axis=0)
    empty = square == 0
    length = jnp.sqrt(jnp.where(empty, 1, square))
    scaled = matrix / length[None, :]
    finest = max(phi.shape) * float(jnp.finfo(phi.dtype).eps)
    cut: Any = finest if rcond is None else rcond
    solution = lx.linear_solve(
        lx.MatrixLinearOperator(scaled), target, lx.SVD(rcond=cut)
    ).value
    coefficients = solution / length
    fitted = phi @ coefficients
    residual = fitted - y
    values = jax.lax.stop_gradient(jnp.linalg.svd(scaled, compute_uv=False))
    return LeastSquares(
        coefficients,
        fitted,
        residual,
        0.5 * jnp.sum(weights * residual**2),
        jnp.sum(values > cut * values[0], dtype=jnp.int32),
        jax.lax.stop_gradient(jnp.linalg.svd(matrix, compute_uv=False)),
    )
