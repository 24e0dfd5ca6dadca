"""Along which direction of curvature a plateau is left."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from .._lengths import lengths, unit_rows
from ..dynamics.hessian import hessian
from ..networks.network import Network
from ..problems.problem import check_match
from ..problems.task import Task


class EscapeDirection(eqx.Module):
    """A displacement seen from the Hessian on the plateau.

    Attributes:
        distance: ‖d‖, d the displacement.
        cosine: |v·d|/‖d‖ with the eigenvector v of the lowest eigenvalue; which of
            several vectors that is, where the eigenvalue is multiple, is arbitrary.
        lowest: The lowest eigenvalue λ_min.
        curvature: d'Hd/d'd, at least λ_min.
        negative_share: Share of ‖d‖² in the eigenspaces of negative eigenvalues.
        num_negative: Number of eigenvalues that are negative beyond rounding.
    """

    distance: Float[Array, "..."]
    cosine: Float[Array, "..."]
    lowest: Float[Array, "..."]
    curvature: Float[Array, "..."]
    negative_share: Float[Array, "..."]
    num_negative: Int[Array, "..."]


def escape_direction(problem: Task, plateau: Any, escaped: Any) -> EscapeDirection:
    r"""Whether the way out of a plateau followed its negative curvature.

    With the Hessian H of the loss on the plateau and the displacement d = θ_escaped −
    θ_plateau. Dense: O(p²) memory, O(p³) time; use `jax.vmap` for many. Eigenvalues
    count as negative below −p ε max|λ|, ε the precision.

    Args:
        problem: Data and loss.
        plateau: The network on the plateau.
        escaped: The network at the escape, of the same kind.

    Returns:
        The direction; cosine, curvature and share are 0 where nothing moved.

    Raises:
        ValueError: If the networks differ in their numbers of parameters.
        TypeError: If they are not networks.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> saddle = px.networks.Chain([0.0, 0.0])
        >>> found = escape_direction(problem, saddle, px.networks.Chain([0.1, 0.1]))
        >>> print(found.cosine.round(4), found.lowest, found.curvature.round(4))
        1.0 -1.0 -1.0

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    for name, network in (("plateau", plateau), ("escaped", escaped)):
        if not isinstance(network, Network):
            raise TypeError(
                f"Argument `{name}` must be a network, but is a "
                f"{type(network).__name__}."
            )
    check_match(problem, plateau)
    flat = lambda net: ravel_pytree(eqx.filter(net, eqx.is_inexact_array))[0]
    start, end = flat(plateau), flat(escaped)
    if start.shape != end.shape:
        raise ValueError(
            "Arguments `plateau` and `escaped` must have equally many parameters, but "
            f"have {start.size} and {end.size}."
        )
    return _direction(problem, plateau, end - start)


@eqx.filter_jit
def _direction(problem: Task, plateau: Network, d: Array) -> EscapeDirection:
    matrix = hessian(problem, plateau)
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    share = vectors.T @ unit_rows(d)
    grain = d.size * jnp.finfo(d.dtype).eps * jnp.max(jnp.abs(values))
    negative = values < -grain
    return EscapeDirection(
        distance=lengths(d),
        cosine=jnp.abs(share[0]),
        lowest=values[0],
        curvature=values @ share**2,
        negative_share=jnp.sum(jnp.where(negative, share**2, 0)),
        num_negative=jnp.sum(negative, dtype=jnp.int32),
    )
