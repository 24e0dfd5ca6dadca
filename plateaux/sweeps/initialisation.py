r"""Networks as they are drawn: what the method "initialisation" stores of a lane."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
from ..diagnostics import signals
from ..dynamics.hessian import hessian
from ..networks import Network
from ..problems import Problem

CURVATURES = ("none", "extremes", "density")


def initialisation(
    problem: Problem,
    network: Network,
    *,
    key: Any = None,
    curvature: Any = "none",
    num_vectors: Any = 4,
    num_products: Any = 32,
) -> dict[str, Array]:
    """What is stored of a network that is not trained, by the names of the store.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        key: For the random vectors of the spectral density.
        curvature: "none"; "extremes" for λ_max and λ_min of the Hessian; "density" for
            nodes and weights of its spectral density, too.
        num_vectors: Random vectors of the density.
        num_products: Products with the Hessian for each.

    Returns:
        Loss, logarithms of norms by layer (see `px.diagnostics.signals`), whether the
        network is dead, its number of parameters, and the curvature.

    Raises:
        ValueError: If `curvature` is unknown.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0]]), jnp.array([2.0]))
        >>> found = initialisation(problem, px.networks.Chain([0.5, 3.0]))
        >>> print(found["log_forward"].round(3), found["num_parameters"])
        [-0.693  0.405] 2
    """
    _checks.known("curvature", curvature, CURVATURES)
    found = signals(problem, network)
    count = sum(
        leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array))
    )
    stored = {
        "loss": found.loss,
        "log_forward": found.forward,
        "log_backward": found.backward,
        "log_gradient": found.gradient,
        "dead": found.dead,
        "num_parameters": jnp.asarray(count, jnp.int32),
    }
    if curvature != "none":
        stored |= _extremes(problem, network)
    return stored


def _extremes(problem: Problem, network: Network) -> dict[str, Array]:
    eigenvalues = jnp.linalg.eigvalsh(hessian(problem, network))
    return {
        "largest_eigenvalue": eigenvalues[-1],
        "smallest_eigenvalue": eigenvalues[0],
    }
