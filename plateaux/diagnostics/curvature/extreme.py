r"""The largest and the smallest eigenvalues of the Hessian, without the matrix.

λ_max bounds the step size of gradient descent (2/λ_max), λ_min < 0 says how fast a
saddle is left, ρ = max |λ| is the curvature that vanishes with depth.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ... import _checks
from ...dynamics.curvature_operators import (
    flat_operator,
    gauss_newton_operator,
    hessian_operator,
)
from ...networks.network import Network
from .lanczos import EndPairs, end_pairs, unit_or_random

MATRICES = ("hessian", "gauss_newton")
# Share of a random vector in a warm start: what the old eigenvectors do not see is
# found.
NOISE = 0.1


class ExtremeEigenvalues(NamedTuple):
    """Both ends of a spectrum; with `num` = k every value has a last axis of k.

    Attributes:
        largest: λ_max; of several, the largest first.
        smallest: λ_min; of several, the smallest first.
        largest_vector: A unit eigenvector of λ_max, a network with directions in the
            place of parameters (leading axis k).
        smallest_vector: One of λ_min.
        largest_residual: ‖H v − λ v‖, which bounds the error of λ_max.
        smallest_residual: That of λ_min.
        largest_converged: Whether the residual is at most tol·ρ.
        smallest_converged: The same for λ_min.
        num_products: Products with the matrix taken.
    """

    largest: Float[Array, "..."]
    smallest: Float[Array, "..."]
    largest_vector: Network
    smallest_vector: Network
    largest_residual: Float[Array, "..."]
    smallest_residual: Float[Array, "..."]
    largest_converged: Bool[Array, "..."]
    smallest_converged: Bool[Array, "..."]
    num_products: Int[Array, ""]

    @property
    def radius(self) -> Float[Array, "..."]:
        """ρ = max(|λ_max|, |λ_min|), the spectral radius (first values only)."""
        many = jnp.ndim(self.largest) > jnp.ndim(self.num_products)
        ends = (self.largest, self.smallest)
        top, bottom = (end[..., 0] if many else end for end in ends)
        return jnp.maximum(jnp.abs(top), jnp.abs(bottom))


def extreme_eigenvalues(
    problem: Any,
    network: Any,
    *,
    num: Any = None,
    matrix: Any = "hessian",
    start: Any = None,
    key: Any = None,
    tol: Any = None,
    max_products: Any = 1000,
    basis_size: Any = None,
) -> ExtremeEigenvalues:
    r"""λ_max and λ_min of ∇²L(θ) and their eigenvectors, by products with vectors.

    Thick-restart Lanczos until ‖H v − λ v‖ ≤ tol·ρ at both ends. An eigenvalue is then
    right to tol·ρ, and to about tol²ρ²/gap where a gap parts it from the others.
    Networks with at most `basis_size` parameters have all eigenvalues computed.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        num: k, eigenvalues wanted at each end; None for one, without an axis of its
            own.
        matrix: "hessian", or "gauss_newton" for Σ_k q_k J_kᵀ ℓ''_k J_k.
        start: What such a call gave for a network nearby, or a network with a direction
            in the place of parameters; random if None.
        key: For random vectors; `jax.random.key(0)` if None.
        tol: Residual in units of ρ; √ε of the precision if None (1.5e-8 in float64).
        max_products: Most products with the matrix; what has been found until then is
            returned as not converged.
        basis_size: Vectors kept, at least 4k; 32 or 4k if None.

    Returns:
        The eigenvalues; of a network that is not finite NaN, not converged.

    Raises:
        TypeError: If a number is not an integer, or `start` is no direction.
        ValueError: If a number is too small or `matrix` is unknown.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 9.0]))
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> found = extreme_eigenvalues(problem, network)
        >>> print(f"{found.largest:.4f} {found.smallest:.4f} {found.radius:.4f}")
        7.2231 -1.5000 7.2231

    Reference: Wu & Simon (2000), SIAM J. Matrix Anal. Appl. 22, 602-616.
    """
    _checks.known("matrix", matrix, MATRICES)
    params = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))
    num_params = sum(leaf.size for leaf in params)
    k = 1 if num is None else _checks.count("num", num)
    if num_params < k:
        raise ValueError(
            f"Argument `num` must be at most {num_params}, the number of parameters, "
            f"but is {k}."
        )
    size = max(32, 4 * k) if basis_size is None else basis_size
    size = _checks.count("basis_size", size, at_least=4 * k)
    most = _checks.count("max_products", max_products, at_least=size)
    key = jax.random.key(0) if key is None else key
    tol = tolerance(tol, params[0].dtype)
    return _extreme(problem, network, num, matrix, start, key, tol, most, size)


@eqx.filter_jit
def _extreme(problem, network, num, matrix, start, key, tol, most, size):
    operator = matrix_operator(problem, network, matrix)
    product, flat, build = flat_operator(operator, network)
    pairs = end_pairs(
        product,
        start_vector(start, flat, key),
        jax.random.fold_in(key, 1),
        num=1 if num is None else num,
        basis_size=size,
        tol=tol,
        max_products=most,
    )
    return named(pairs, build, num is not None)


def matrix_operator(
    problem: Any, network: Any, matrix: Any
) -> Callable[[Network], Network]:
    """The products with one of `MATRICES`."""
    _checks.known("matrix", matrix, MATRICES)
    if matrix == "hessian":
        return hessian_operator(problem, network)
    return gauss_newton_operator(problem, network)


def tolerance(tol: Any, dtype: Any) -> Array:
    """As a number of the precision, √ε if None."""
    tol = jnp.finfo(dtype).eps ** 0.5 if tol is None else tol
    return jnp.asarray(_checks.positive("tol", tol), dtype)


def start_vector(start: Any, flat: Array, key: Array) -> Array:
    """The first vector of the basis: old eigenvectors and some noise."""
    if start is None:
        return unit_or_random(jnp.zeros_like(flat), key)
    if isinstance(start, ExtremeEigenvalues):
        old = _total(start.largest_vector, flat) + _total(start.smallest_vector, flat)
    elif isinstance(start, Network):
        old = _total(start, flat)
    else:
        raise TypeError(
            "Argument `start` must be what extreme_eigenvalues gave, a network or None,"
            f" but is a {type(start).__name__}."
        )
    return disturbed(old, key)


def disturbed(vector: Array, key: Array) -> Array:
    """The direction with some noise; all noise where it is zero or not finite."""
    noise = unit_or_random(jnp.zeros_like(vector), key)
    return unit_or_random(vector, key) + NOISE * noise


def _total(vector: Network, flat: Array) -> Array:
    """A direction as a flat vector, the sum of several."""
    leaves = ravel_pytree(vector)[0]
    if leaves.size % flat.size:
        raise ValueError(
            f"Argument `start` must have the {flat.size} parameters of the network, "
            f"but has {leaves.size}."
        )
    several = jax.vmap(lambda one: ravel_pytree(one)[0])
    return leaves if leaves.size == flat.size else jnp.sum(several(vector), axis=0)


def named(
    pairs: EndPairs, build: Callable[[Array], Network], many: bool
) -> ExtremeEigenvalues:
    """Pairs with names, their vectors as networks."""
    build = jax.vmap(build) if many else build
    part = (lambda both, end: both[end]) if many else (lambda both, end: both[end, 0])
    return ExtremeEigenvalues(
        largest=part(pairs.values, 0),
        smallest=part(pairs.values, 1),
        largest_vector=build(part(pairs.vectors, 0)),
        smallest_vector=build(part(pairs.vectors, 1)),
        largest_residual=part(pairs.residuals, 0),
        smallest_residual=part(pairs.residuals, 1),
        largest_converged=part(pairs.converged, 0),
        smallest_converged=part(pairs.converged, 1),
        num_products=pairs.num_products,
    )
