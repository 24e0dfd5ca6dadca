r"""Eigenvalues at both ends of a symmetric matrix that is known by its products.

Thick-restart Lanczos with full reorthogonalisation. A cycle fills an orthonormal basis
V of m vectors, so that A V = V T + β v eᵀ; its Ritz pairs (θ, V y) have the residual
β |e·y|. The next cycle starts from the Ritz vectors nearest to both ends and v, which
by this relation is again a Krylov basis. Where the basis is invariant (β = 0) a random
vector goes on, so that eigenvalues of any multiplicity are found.

Reference: Wu & Simon (2000), SIAM J. Matrix Anal. Appl. 22, 602-616.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Product = Callable[[Array], Array]
# A residual of so many roundings of the matrix has no direction of its own.
ROUNDINGS = 16


class EndPairs(NamedTuple):
    """Eigenpairs, the k largest and then the k smallest, each from the end inwards.

    Attributes:
        values: Eigenvalues.
        vectors: Unit eigenvectors.
        residuals: ‖A v − λ v‖.
        converged: Whether the residual is at most tol times the spectral radius.
        num_products: Products with the matrix taken.
    """

    values: Float[Array, "2 k"]
    vectors: Float[Array, "2 k p"]
    residuals: Float[Array, "2 k"]
    converged: Bool[Array, "2 k"]
    num_products: Int[Array, ""]


class _Cycle(NamedTuple):
    """A basis (rows, zero beyond those in use) and the matrix in it."""

    basis: Float[Array, "m+1 p"]
    matrix: Float[Array, "m m"]  # its upper triangle
    count: Int[Array, ""]  # of the vectors whose products are in the matrix
    beta: Float[Array, ""]
    size: Float[Array, ""]  # the largest length of a product so far
    pairs: EndPairs


def end_pairs(
    product: Product,
    start: Float[Array, " p"],
    key: Array,
    *,
    num: int,
    basis_size: int,
    tol: Float[Array, ""],
    max_products: int | Int[Array, ""],
) -> EndPairs:
    """The eigenpairs at both ends.

    Args:
        product: v ↦ A v, A symmetric.
        start: First vector of the basis; a random one where it is zero or not finite.
        key: For random vectors.
        num: k, pairs wanted at each end.
        basis_size: m ≥ 4k; of a matrix not larger, all eigenvalues are computed.
        tol: Largest residual in units of the spectral radius.
        max_products: No cycle begins that would exceed it; at least `basis_size`.

    Returns:
        The pairs; not converged and NaN where the matrix is not finite.

    Example:
        >>> matrix = jnp.diag(jnp.arange(50.0) - 9)
        >>> found = end_pairs(
        ...     lambda v: matrix @ v,
        ...     jnp.ones(50),
        ...     jax.random.key(0),
        ...     num=2,
        ...     basis_size=16,
        ...     tol=jnp.array(1e-3),
        ...     max_products=1000,
        ... )
        >>> print([[f"{value:.3f}" for value in end] for end in found.values])
        [['40.000', '39.000'], ['-9.000', '-8.000']]
    """
    if start.size <= basis_size:
        return _dense(product, start, num)
    kept = max(num, basis_size // 4)  # at each end
    cost = basis_size - 2 * kept

    def unfinished(cycle: _Cycle):
        pairs = cycle.pairs
        found = jnp.all(pairs.converged) | ~jnp.all(jnp.isfinite(pairs.values))
        return ~found & (pairs.num_products + cost <= max_products)

    def advance(cycle: _Cycle):
        # The first cycle is in the loop as well, so that it is compiled only once.
        begun = cycle.pairs.num_products > 0
        restart = lambda cycle: _restart(cycle, kept)
        cycle = jax.lax.cond(begun, restart, lambda cycle: cycle, cycle)
        return _look(_fill(product, cycle, key), num, tol, cycle.count)

    first = _first(product, start, key, num, basis_size)
    return jax.lax.while_loop(unfinished, advance, first).pairs


def unit_or_random(vector: Array, key: Array) -> Array:
    """The vector scaled to length 1, or a random one where that cannot be."""
    length = jnp.linalg.norm(vector)
    usable = (length > 0) & jnp.isfinite(length)
    random = jax.random.normal(key, vector.shape, vector.dtype)
    vector = jnp.where(usable, vector / jnp.where(usable, length, 1), random)
    return vector / jnp.linalg.norm(vector)


def _dense(product: Product, start: Array, num: int) -> EndPairs:
    """All eigenpairs, by products with the unit vectors."""
    matrix = jax.vmap(product)(jnp.eye(start.size, dtype=start.dtype))
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    ends = jnp.array([jnp.arange(-1, -num - 1, -1), jnp.arange(num)])
    sizes = jnp.zeros((2, num), start.dtype)
    return EndPairs(
        values[ends],
        vectors.T[ends],
        jnp.where(jnp.isfinite(values[ends]), sizes, jnp.nan),
        jnp.isfinite(values[ends]),
        jnp.asarray(start.size),
    )


def _first(
    product: Product, start: Array, key: Array, num: int, basis_size: int
) -> _Cycle:
    """An empty basis and its first vector."""
    p, dtype = start.size, start.dtype
    basis = jnp.zeros((basis_size + 1, p), dtype)
    basis = basis.at[0].set(unit_or_random(start, key))
    values = jnp.zeros((2, num), dtype)
    pairs = EndPairs(
        values,
        jnp.zeros((2, num, p), dtype),
        values,
        jnp.zeros((2, num), bool),
        jnp.asarray(0),
    )
    matrix = jnp.zeros((basis_size, basis_size), dtype)
    zero = jnp.zeros((), dtype)
    return _Cycle(basis, matrix, jnp.asarray(0), zero, zero, pairs)


def _fill(product: Product, cycle: _Cycle, key: Array) -> _Cycle:
    """Products with all vectors of the basis, each of which gives the next vector."""
    num_vectors = len(cycle.matrix)
    resolution = ROUNDINGS * jnp.finfo(cycle.basis.dtype).eps
    key = jax.random.fold_in(key, cycle.pairs.num_products)

    def step(j, carry):
        basis, matrix, _, size = carry
        image = product(basis[j])
        rest, column = _orthogonal(basis[:-1], image)
        matrix = matrix.at[:, j].set(column)
        size = jnp.maximum(size, jnp.linalg.norm(image))
        beta = jnp.linalg.norm(rest)
        lost = beta <= resolution * size
        follow = jax.lax.cond(
            lost,
            lambda: _fresh(basis[:-1], jax.random.fold_in(key, j)),
            lambda: rest / beta,
        )
        return basis.at[j + 1].set(follow), matrix, jnp.where(lost, 0, beta), size

    carry = (cycle.basis, cycle.matrix, cycle.beta, cycle.size)
    carry = jax.lax.fori_loop(cycle.count, num_vectors, step, carry)
    basis, matrix, beta, size = carry
    return cycle._replace(basis=basis, matrix=matrix, beta=beta, size=size)


def _orthogonal(basis: Array, vector: Array) -> tuple[Array, Array]:
    """What is left of a vector, twice made orthogonal; and what was taken."""
    first = basis @ vector
    rest = vector - first @ basis
    second = basis @ rest
    return rest - second @ basis, first + second


def _fresh(basis: Array, key: Array) -> Array:
    """A random unit vector orthogonal to the basis."""
    vector = jax.random.normal(key, basis.shape[1:], basis.dtype)
    rest, _ = _orthogonal(basis, vector)
    return rest / jnp.linalg.norm(rest)


def _ritz(cycle: _Cycle) -> tuple[Array, Array]:
    upper = jnp.triu(cycle.matrix)
    return jnp.linalg.eigh(upper + jnp.triu(upper, 1).T)


def _look(cycle: _Cycle, num: int, tol: Array, began: Array) -> _Cycle:
    """The cycle with the pairs that its full basis gives."""
    values, coordinates = _ritz(cycle)
    ends = jnp.array([jnp.arange(-1, -num - 1, -1), jnp.arange(num)])
    residuals = cycle.beta * jnp.abs(coordinates[-1, ends])
    radius = jnp.maximum(jnp.abs(values[0]), jnp.abs(values[-1]))
    pairs = EndPairs(
        values[ends],
        coordinates.T[ends] @ cycle.basis[:-1],
        residuals,
        residuals <= tol * radius,
        cycle.pairs.num_products + len(values) - began,
    )
    return cycle._replace(pairs=pairs)


def _restart(cycle: _Cycle, kept: int) -> _Cycle:
    """The basis of the Ritz vectors at both ends and the vector that follows."""
    values, coordinates = _ritz(cycle)
    choose = jnp.concatenate([jnp.arange(kept), jnp.arange(-kept, 0)])
    vectors = coordinates.T[choose] @ cycle.basis[:-1]
    basis = jnp.zeros_like(cycle.basis).at[: 2 * kept].set(vectors)
    basis = basis.at[2 * kept].set(cycle.basis[-1])
    matrix = jnp.zeros_like(cycle.matrix)
    place = jnp.arange(2 * kept)
    matrix = matrix.at[place, place].set(values[choose])
    return cycle._replace(basis=basis, matrix=matrix, count=jnp.asarray(2 * kept))
