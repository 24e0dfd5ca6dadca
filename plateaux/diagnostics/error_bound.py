r"""A lower bound of the error from the ε-rank of the last hidden layer.

A network u = Σ_j c_j φ_j (+ bias, or affine part) approximates f. With the singular
value decomposition A = U S Vᵀ of the weighted features and the p eigenvalues λ_i = σ_i²
above ε,

    ‖f − u‖ ≥ dist(f, V_p ⊕ E) − (Σ_{i>p} λ_i (Vᵀc)_i²)^{1/2}
            ≥ dist(f, V_p ⊕ E) − √ε ‖c‖

where V_p is spanned by the first p of the orthogonal functions U, and E by what is
added to the neurons: nothing, constants, or affine functions. Few independent neurons
bound the error from below, whatever their weights, unless these are huge. For several
outputs norms are Frobenius norms.

After Yang, Zhao & Zhu (2024), arXiv:2412.05144; the bound in this form is derived here:
u splits into its part in V_p ⊕ E and the orthogonal rest, whose norm is the root.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import _checks
from .._factorisations import qr
from ..networks.mlp import MLP
from ..networks.network import Network, extended, features, outputs
from ..networks.two_layer import TwoLayer
from ..problems.quadrature import Quadrature
from .gram import inner_product


class ErrorBound(eqx.Module):
    r"""The error of a network and its lower bounds, one a threshold.

    All norms are those of L²(Ω), or of the data.

    Attributes:
        error: ‖f − u‖.
        bound: dist − tail, at most the error; may be negative.
        distance: dist(f, V_p ⊕ E), what no outer weights can improve on.
        tail: (Σ_{i>p} λ_i (Vᵀc)_i²)^{1/2}, what the neglected functions contribute.
        rank: p, the number of eigenvalues above ε.
        readout_norm: ‖c‖: `tail` is at most √ε ‖c‖.
    """

    error: Float[Array, ""]
    bound: Float[Array, "..."]
    distance: Float[Array, "..."]
    tail: Float[Array, "..."]
    rank: Int[Array, "..."]
    readout_norm: Float[Array, ""]


def error_bound(
    problem: Any,
    network: Network,
    epsilon: Any,
    *,
    quadrature: Quadrature | None = None,
    target: Callable[[Any], Any] | None = None,
) -> ErrorBound:
    r"""The lower bound of the error by ε-rank, next to the error.

    Args:
        problem: Data with targets f; looked at only if there is no quadrature.
        network: A `TwoLayer` or an `MLP`.
        epsilon: One ε > 0, or several, shape (e,).
        quadrature: Points and weights of the norm; None means the data, with the
            weights q_k over their sum.
        target: f, a function of one point, for the points of a quadrature.

    Returns:
        Error and bounds; those of several ε have shape (e,).

    Raises:
        TypeError: If the network is of another kind, or data or target are missing.
        ValueError: If ε is not positive, or shapes do not fit.

    Example:
        >>> import plateaux as px
        >>> rule = px.problems.gauss_legendre(20)
        >>> network = px.TwoLayer([[1.0]], [1.0], [0.5])  # u = (1 + x)/2 on [−1, 1]
        >>> found = error_bound(
        ...     None, network, 1e-6, quadrature=rule, target=lambda x: x[0] ** 2
        ... )
        >>> print(f"{found.error:.4f} {found.bound:.4f} {found.rank}")
        0.6325 0.4830 1

    Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    points, weights = inner_product(problem, network, quadrature)
    if (quadrature is None) != (target is None):
        raise TypeError(
            "Arguments `quadrature` and `target` must be given together or not at all, "
            f"but target is {target} and quadrature is "
            f"{'None' if quadrature is None else 'given'}."
        )
    f = problem.y if target is None else jax.vmap(target)(points)
    epsilon = jnp.asarray(epsilon, weights.dtype)
    _checks.positive("epsilon", epsilon)
    return _bound(network, points, weights, f, epsilon)


@eqx.filter_jit
def _bound(network: Network, points, weights, f, epsilon) -> ErrorBound:
    root = jnp.sqrt(weights)[:, None]
    goal = root * f.reshape(len(points), -1)
    readout, added = _last_layer(network, points)
    phi = features(network, points)[-1]
    left, values, right = jnp.linalg.svd(root * phi, full_matrices=False)
    coefficients = right @ readout.T  # (k, o): Vᵀc
    shares = values[:, None] * coefficients
    error = jnp.linalg.norm(goal - root * outputs(network, points).reshape(goal.shape))
    distances = _distances(goal, None if added is None else root * added, left)
    tails = jnp.sqrt(_sums_after(jnp.sum(shares**2, axis=1)))
    rank = jnp.searchsorted(-values, -jnp.sqrt(epsilon))
    return ErrorBound(
        error=error,
        bound=distances[rank] - tails[rank],
        distance=distances[rank],
        tail=tails[rank],
        rank=rank,
        readout_norm=jnp.linalg.norm(readout),
    )


def _distances(
    goal: Float[Array, "Q o"],
    added: Float[Array, "Q _"] | None,
    left: Float[Array, "Q k"],
) -> Float[Array, " k+1"]:
    """Distances of the goal to the added columns and the first 0 … k of the left."""
    basis = left if added is None else jnp.hstack([added, left])
    directions, _ = qr(basis)
    parts = directions.T @ goal
    rest = goal - directions @ parts
    # With fewer points than columns the directions end early: nothing is left then.
    missing = basis.shape[1] - directions.shape[1]
    taken = jnp.pad(jnp.sum(parts**2, axis=1), (0, missing))[-left.shape[1] :]
    return jnp.sqrt(jnp.sum(rest**2) + _sums_after(taken))


def _last_layer(
    network: Any, points: Float[Array, "Q d"]
) -> tuple[Float[Array, "o n"], Float[Array, "Q _"] | None]:
    """The outer weights of the last layer, and the functions added to it."""
    if isinstance(network, TwoLayer):
        return network.c[None, :], None if network.p is None else extended(points)
    if not isinstance(network, MLP):
        raise TypeError(
            "Argument `network` must be a TwoLayer or an MLP, but is a "
            f"{type(network).__name__}."
        )
    readout = jnp.atleast_2d(network.readout)
    return readout, None if network.readout_bias is None else jnp.ones_like(
        points[:, :1]
    )


def _sums_after(squares: Float[Array, " k"]) -> Float[Array, " k+1"]:
    """Σ_{i ≥ p} for p = 0 … k; the last is 0."""
    sums = jnp.cumsum(squares[::-1])[::-1]
    return jnp.concatenate([sums, jnp.zeros(1, squares.dtype)])
