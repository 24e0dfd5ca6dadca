"""The trace of the Hessian, estimated by products with random vectors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from matfree import stochtrace

from ... import _checks
from ..._factorisations import qr
from ...dynamics.curvature_operators import flat_operator
from .extreme import matrix_operator

METHODS = ("hutch++", "hutchinson")


class TraceEstimate(NamedTuple):
    """An estimate of a trace.

    Attributes:
        value: The estimate, unbiased.
        standard_error: Its standard deviation, estimated from the spread of the
            samples; 0 where the trace was computed exactly.
        num_products: Products with the matrix taken.
    """

    value: Float[Array, ""]
    standard_error: Float[Array, ""]
    num_products: int


def trace(
    problem: Any,
    network: Any,
    *,
    num_products: Any = 90,
    key: Any = None,
    method: Any = "hutch++",
    matrix: Any = "hessian",
) -> TraceEstimate:
    r"""The trace of ∇²L(θ), the sum of all eigenvalues, by products with random signs.

    "hutchinson" averages gᵀHg over signs g; its variance is 2 Σ_{i≠j} H_ij²/m.
    "hutch++" takes a third of the products for a range Q of the largest eigenvalues,
    a third for tr QᵀHQ, and the last for Hutchinson's estimate of the rest, which
    pays where few eigenvalues carry the trace. With at most `num_products` parameters
    the trace is computed.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        num_products: Products with the matrix, at least 6.
        key: For the random signs; `jax.random.key(0)` if None.
        method: "hutch++" or "hutchinson".
        matrix: "hessian" or "gauss_newton".

    Returns:
        The estimate and its standard error.

    Raises:
        TypeError: If `num_products` is not an integer.
        ValueError: If it is below 6, or a name is unknown.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> print(trace(problem, px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])).value)
        6.0

    Reference: Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433-450; Meyer,
    Musco, Musco & Woodruff (2021), SOSA, 142-155.
    """
    most = _checks.count("num_products", num_products, at_least=6)
    _checks.known("method", method, METHODS)
    operator = matrix_operator(problem, network, matrix)
    product, flat, _ = flat_operator(operator, network)
    key = jax.random.key(0) if key is None else key
    if flat.size <= most:
        rows = jax.vmap(product)(jnp.eye(flat.size, dtype=flat.dtype))
        return TraceEstimate(jnp.trace(rows), jnp.zeros((), flat.dtype), flat.size)
    if method == "hutchinson":
        return TraceEstimate(*_hutchinson(product, flat, key, most), most)
    return _hutch_plus_plus(product, flat, key, most // 3)


def _hutchinson(
    product: Callable, flat: Array, key: Array, num: int
) -> tuple[Array, Array]:
    """Mean of gᵀAg over signs g, and its standard error."""
    estimate = stochtrace.estimator_monte_carlo_mean_and_sem(
        stochtrace.monte_carlo_trace(),
        sampler=stochtrace.sampler_signs(flat, num=num),
    )
    mean, error = estimate(product, key)
    return mean, error * (num / (num - 1)) ** 0.5  # the spread is of the sample


def _hutch_plus_plus(
    product: Callable, flat: Array, key: Array, third: int
) -> TraceEstimate:
    key_range, key_rest = jax.random.split(key)
    signs = stochtrace.sampler_signs(flat, num=third)(key_range)
    many = jax.vmap(product)
    q, _ = qr(many(signs).T)
    head = jnp.sum(q * many(q.T).T)
    without = lambda v: v - q @ (q.T @ v)
    rest = lambda v: without(product(without(v)))
    tail, error = _hutchinson(rest, flat, key_rest, third)
    return TraceEstimate(head + tail, error, 3 * third)
