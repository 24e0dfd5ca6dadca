r"""The density of the eigenvalues of the Hessian.

Stochastic Lanczos quadrature: the Krylov basis of a random unit vector v gives nodes
and weights with Σ_j w_j f(λ_j) = vᵀ f(H) v for polynomials f up to degree 2m − 1, whose
mean over v is tr f(H)/p.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from matfree import decomp, stochtrace

from ... import _checks
from ...dynamics.curvature_operators import flat_operator
from .extreme import matrix_operator


class SpectralDensity(NamedTuple):
    """A distribution of eigenvalues: points with weights of sum 1.

    Attributes:
        nodes: Places on the axis of eigenvalues, increasing; the eigenvalues
            themselves where they were computed.
        weights: The share of all eigenvalues each stands for.
    """

    nodes: Float[Array, " m"]
    weights: Float[Array, " m"]

    def density(self, grid: Any, width: Any) -> Float[Array, " s"]:
        """The density, every node broadened to a Gaussian.

        Args:
            grid: Eigenvalues at which it is wanted.
            width: Standard deviation of the Gaussians, in units of eigenvalues.

        Returns:
            Values ≥ 0, whose integral over all eigenvalues is 1.

        Raises:
            ValueError: If `width` is not positive.

        Example:
            >>> found = SpectralDensity(jnp.array([0.0]), jnp.array([1.0]))
            >>> print(found.density(jnp.array([0.0]), 1.0).round(4))
            [0.3989]
        """
        width = jnp.asarray(_checks.positive("width", width), self.nodes.dtype)
        grid = jnp.asarray(grid, self.nodes.dtype)
        away = (grid[:, None] - self.nodes[None, :]) / width
        return jax.scipy.stats.norm.pdf(away) @ self.weights / width

    def cdf(self, grid: Any) -> Float[Array, " s"]:
        """The share of eigenvalues at or below every entry of a grid.

        Example:
            >>> found = SpectralDensity(jnp.array([0.0, 1.0]), jnp.array([0.75, 0.25]))
            >>> print(found.cdf(jnp.array([-1.0, 0.0, 2.0])))
            [0.   0.75 1.  ]
        """
        grid = jnp.asarray(grid, self.nodes.dtype)
        below = jnp.cumsum(self.weights)
        place = jnp.searchsorted(self.nodes, grid, side="right")
        return jnp.where(place > 0, below[place - 1], 0)

    def moment(self, power: Any) -> Float[Array, ""]:
        """The mean of the powers of the eigenvalues, tr H^power / p.

        Example:
            >>> found = SpectralDensity(jnp.array([0.0, 2.0]), jnp.array([0.75, 0.25]))
            >>> print(found.moment(2))
            1.0
        """
        return self.weights @ self.nodes**power


def spectral_density(
    problem: Any,
    network: Any,
    *,
    num_vectors: Any = 8,
    depth: Any = 64,
    key: Any = None,
    matrix: Any = "hessian",
    dense: Any = None,
) -> SpectralDensity:
    r"""The distribution of the eigenvalues of ∇²L(θ).

    Args:
        problem: Data and loss.
        network: A network that fits them.
        num_vectors: Random vectors; the error falls with the root of their number.
        depth: m, products with the matrix for each.
        key: For the random vectors; `jax.random.key(0)` if None.
        matrix: "hessian" or "gauss_newton".
        dense: Whether the eigenvalues are computed one by one, by p products and in
            O(p³); None for so wherever that takes no more products.

    Returns:
        Nodes and weights: all p eigenvalues with weights 1/p, or `num_vectors`·`depth`
        nodes; NaN for a network that is not finite.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is below 1, or `matrix` is unknown.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 9.0]))
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print([f"{l:.3f}" for l in spectral_density(problem, network).nodes])
        ['-1.500', '0.277', '7.223']

    Reference: Ubaru, Chen & Saad (2017), SIAM J. Matrix Anal. Appl. 38, 1075-1099;
    Ghorbani, Krishnan & Xiao (2019), arXiv:1901.10159.
    """
    num_vectors = _checks.count("num_vectors", num_vectors)
    depth = _checks.count("depth", depth)
    operator = matrix_operator(problem, network, matrix)
    product, flat, _ = flat_operator(operator, network)
    if flat.size <= num_vectors * depth if dense is None else dense:
        return _exact(product, flat)
    key = jax.random.key(0) if key is None else key
    tridiagonal = decomp.tridiag_sym(min(depth, flat.size), custom_vjp=False)
    vectors = stochtrace.sampler_sphere(flat, num=num_vectors)(key)
    matrices = jnp.asarray(jax.vmap(lambda v: tridiagonal(product, v).J_small)(vectors))
    nodes, coordinates = jnp.linalg.eigh(jax.vmap(_closed)(matrices))
    weights = coordinates[:, 0, :] ** 2 / num_vectors
    return _sorted(nodes.ravel(), weights.ravel())


def _exact(product, flat) -> SpectralDensity:
    matrix = jax.vmap(product)(jnp.eye(flat.size, dtype=flat.dtype))
    nodes = jnp.linalg.eigvalsh((matrix + matrix.T) / 2)
    return SpectralDensity(nodes, jnp.full_like(nodes, 1 / flat.size))


def _closed(matrix: Array) -> Array:
    """The matrix without what follows an invariant basis, which is 0/0."""
    finite = jnp.isfinite(matrix[0, 0])
    return jnp.where(finite, jnp.where(jnp.isfinite(matrix), matrix, 0), jnp.nan)


def _sorted(nodes: Array, weights: Array) -> SpectralDensity:
    order = jnp.argsort(nodes)
    return SpectralDensity(nodes[order], weights[order])
