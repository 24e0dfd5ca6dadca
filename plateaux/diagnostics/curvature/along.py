"""Curvature along a run, from the networks it saved."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ... import _checks
from ...dynamics.curvature_operators import flat_operator
from ...networks.chain import Chain
from ...networks.network import Network
from ...problems.problem import loss
from .alignments import directional_curvature
from .extreme import disturbed, matrix_operator, tolerance
from .lanczos import end_pairs


class CurvatureAlong(NamedTuple):
    """Both ends of the spectrum at every saved time.

    Attributes:
        largest: λ_max.
        smallest: λ_min.
        radius: ρ = max(|λ_max|, |λ_min|).
        residual: The larger of the two residuals ‖H v − λ v‖.
        converged: Whether it is at most tol·ρ.
        num_products: Products with the matrix taken.
    """

    largest: Float[Array, " t"]
    smallest: Float[Array, " t"]
    radius: Float[Array, " t"]
    residual: Float[Array, " t"]
    converged: Bool[Array, " t"]
    num_products: Int[Array, " t"]


def curvature_along(
    problem: Any,
    networks: Any,
    *,
    matrix: Any = "hessian",
    key: Any = None,
    tol: Any = 1e-5,
    max_products: Any = 400,
    basis_size: Any = 16,
) -> CurvatureAlong:
    r"""λ_max, λ_min and ρ of ∇²L(θ) at every network of a run.

    The eigenvectors of one network start the search at the next. An eigenvalue is right
    to tol·ρ, and to about tol²ρ²/gap where a gap parts it from the others.

    Args:
        problem: Data and loss.
        networks: Networks with a leading axis of saved times, such as
            `run.saved["network"]` of a run with `record={"network": lambda _, n: n}`.
        matrix: "hessian" or "gauss_newton".
        key: For random vectors; `jax.random.key(0)` if None.
        tol: Residual in units of ρ.
        max_products: Most products with the matrix at one network.
        basis_size: Vectors kept, at least 4; a small basis suits warm starts.

    Returns:
        Arrays over the saved times; NaN, not converged, where a network is not finite.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is too small, `matrix` is unknown, or the networks have
            no axis of times.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 9.0]))
        >>> networks = px.TwoLayer([[1.0]], [0.0], [1.0])
        >>> networks = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), networks)
        >>> print([f"{l:.3f}" for l in curvature_along(problem, networks).largest])
        ['7.223', '7.223']

    Reference: Cohen, Kaur, Li, Kolter & Talwalkar (2021), arXiv:2103.00065.
    """
    size = _checks.count("basis_size", basis_size, at_least=4)
    most = _checks.count("max_products", max_products, at_least=size)
    params, static = _stacked(problem, networks)
    tol = tolerance(tol, jax.tree.leaves(params)[0].dtype)
    key = jax.random.key(0) if key is None else key
    return _scan(problem, params, static, matrix, key, tol, most, size)


def curvature_of_steps(problem: Any, networks: Any) -> Float[Array, " s"]:
    r"""uᵀ∇²L(θ_i)u/uᵀu along the displacements u = θ_{i+1} − θ_i of a run.

    Args:
        problem: Data and loss.
        networks: As for `curvature_along`, at least two.

    Returns:
        One curvature a displacement; 0 where nothing has moved.

    Raises:
        ValueError: If the networks have no axis of times.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> networks = px.TwoLayer([[1.0]], [0.0], [1.0])
        >>> networks = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), networks)
        >>> networks = eqx.tree_at(lambda n: n.c, networks, jnp.array([[1.0], [0.0]]))
        >>> print(curvature_of_steps(problem, networks))
        [2.5]
    """
    params, static = _stacked(problem, networks)
    at = jax.tree.map(lambda leaf: leaf[:-1], params)
    steps = jax.tree.map(lambda leaf: leaf[1:] - leaf[:-1], params)
    return _map_steps(problem, at, steps, static)


def _stacked(problem: Any, networks: Any) -> tuple[Network, Network]:
    """Parameters with a leading axis of times, and the rest of the networks."""
    params, static = eqx.partition(networks, eqx.is_inexact_array)
    sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(params)}
    if len(sizes) != 1 or () in sizes or not _is_network(problem, params, static):
        raise ValueError(
            "Argument `networks` must be networks of the problem with a leading axis "
            "of saved times in all parameters, but has parameters of shapes "
            f"{[leaf.shape for leaf in jax.tree.leaves(params)]}; save them with "
            'record={"network": lambda problem, network: network}.'
        )
    return params, static


def _is_network(problem: Any, params: Network, static: Network) -> bool:
    """Whether the first row of the parameters is a network of the problem."""
    one = eqx.combine(jax.tree.map(lambda leaf: leaf[0], params), static)
    if isinstance(one, Chain) and one.weights.ndim != 1:
        return False  # it would pass as a chain of one weight
    try:
        eqx.filter_eval_shape(loss, problem, one)
    except (TypeError, ValueError, IndexError):
        return False
    return True


@eqx.filter_jit
def _map_steps(problem, params, steps, static):
    def one(pair):
        at, step = (eqx.combine(part, static) for part in pair)
        return directional_curvature(problem, at, step)

    return jax.lax.map(one, (params, steps))


@eqx.filter_jit
def _scan(problem, params, static, matrix, key, tol, most, size):
    one = jax.tree.map(lambda leaf: leaf[0], params)
    num = sum(leaf.size for leaf in jax.tree.leaves(one))
    keys = jax.random.split(key, len(jax.tree.leaves(params)[0]))
    start = jnp.zeros(num, tol.dtype)

    def step(start, row):
        at, key = row
        key_noise, key_basis = jax.random.split(key)
        operator = matrix_operator(problem, eqx.combine(at, static), matrix)
        product, _, _ = flat_operator(operator, eqx.combine(at, static))
        pairs = end_pairs(
            product,
            disturbed(start, key_noise),
            key_basis,
            num=1,
            basis_size=size,
            tol=tol,
            max_products=most,
        )
        return jnp.sum(pairs.vectors[:, 0], axis=0), _row(pairs)

    return jax.lax.scan(step, start, (params, keys))[1]


def _row(pairs) -> CurvatureAlong:
    largest, smallest = pairs.values[0, 0], pairs.values[1, 0]
    return CurvatureAlong(
        largest,
        smallest,
        jnp.maximum(jnp.abs(largest), jnp.abs(smallest)),
        jnp.max(pairs.residuals),
        jnp.all(pairs.converged),
        pairs.num_products,
    )
