r"""The Hessian of a linear neural chain under the squared loss, in closed form.

With the factors f_i of the chain (w_i, or 1 + s w_i), their product P, A = Σ_k q_k x_k²
and B = Σ_k q_k x_k y_k the loss is ½ A P² − B P + const. Products without one factor,
P_i, and without two, P_ij, take the place of P/f_i and P/(f_i f_j), so that zero
factors are exact.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.chain import Chain
from ..problems.losses import SquaredError
from ..problems.problem import Problem


class ChainMoments(NamedTuple):
    """What the loss of a linear chain knows of the data.

    Attributes:
        squares: A = Σ_k q_k x_k².
        products: B = Σ_k q_k x_k y_k.
    """

    squares: Float[Array, ""]
    products: Float[Array, ""]


def has_closed_form(problem: Any, network: Any) -> bool:
    """Whether this is a linear chain on data with the squared loss."""
    return (
        isinstance(problem, Problem)
        and isinstance(problem.loss, SquaredError)
        and isinstance(network, Chain)
        and network.is_linear
    )


def chain_moments(problem: Problem) -> ChainMoments:
    """A and B.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [3.0]]), jnp.array([1.0, 1.0]))
        >>> a, b = chain_moments(problem)
        >>> print(a, b)
        5.0 2.0
    """
    q, x, y = problem.sample_weights, problem.x[:, 0], problem.y
    return ChainMoments(q @ x**2, q @ (x * y))


def chain_hessian(problem: Any, network: Any) -> Float[Array, "L L"]:
    r"""∇²L of a linear chain; s = 1 without skips.

        H_ii = s² A P_i²,   H_ij = s² (A P_i P_j + (A P − B) P_ij),   i ≠ j.

    At w = 0 the chain of two weights is a strict saddle with eigenvalues ±B, a longer
    one has H = 0.

    Args:
        problem: Data with the squared loss.
        network: A linear chain.

    Returns:
        A symmetric matrix, finite wherever its entries are.

    Example:
        >>> problem = Problem(jnp.array([[1.0]]), jnp.array([1.0]))
        >>> print(chain_hessian(problem, Chain([0.0, 0.0])))
        [[ 0. -1.]
         [-1.  0.]]
    """
    f = network.factors
    s = 1.0 if network.residual_scale is None else network.residual_scale
    a, b = chain_moments(problem)
    before, between, after = _partial_products(f)
    without = before * after
    pairs = jnp.triu(before[:, None] * between * after[None, :], 1)
    pairs = pairs + pairs.T
    slope = a * jnp.prod(f) - b
    return s**2 * (a * without[:, None] * without[None, :] + slope * pairs)


def _partial_products(f: Array) -> tuple[Array, Array, Array]:
    """Of the factors before each, between any two (above the diagonal), after each."""
    one = jnp.ones(1, f.dtype)
    before = jnp.cumprod(jnp.concatenate([one, f[:-1]]))
    after = jnp.cumprod(jnp.concatenate([one, f[:0:-1]]))[::-1]
    place = jnp.arange(f.size)
    later = place[None, :] > place[:, None]
    upto = jnp.cumprod(jnp.where(later, f[None, :], 1), axis=1)
    between = jnp.concatenate([jnp.ones((f.size, 1), f.dtype), upto[:, :-1]], axis=1)
    return before, between, after
