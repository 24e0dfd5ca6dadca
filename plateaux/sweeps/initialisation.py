r"""Networks as they are drawn: what the method "initialisation" stores of a lane."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
from ..diagnostics import curvature as spectra, signals
from ..networks import Network
from ..problems import Problem

CURVATURES = ("none", "extremes", "density")
NUM_VECTORS, NUM_PRODUCTS = 4, 32


def num_nodes(method: Mapping[str, Any]) -> int:
    """Nodes of a spectral density, of a table [method] of single values."""
    each = method.get("num_products", NUM_PRODUCTS)
    return method.get("num_vectors", NUM_VECTORS) * each


def initialisation(
    problem: Problem,
    network: Network,
    *,
    key: Any = None,
    curvature: Any = "none",
    num_vectors: Any = NUM_VECTORS,
    num_products: Any = NUM_PRODUCTS,
) -> dict[str, Array]:
    """What is stored of a network that is not trained, by the names of the store.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        key: For random vectors; `jax.random.key(0)` if None.
        curvature: "none"; "extremes" for λ_max and λ_min of the Hessian, and whether
            both were found; "density" for nodes and weights of its spectral density,
            too (see `px.diagnostics.curvature`).
        num_vectors: Random vectors of the density.
        num_products: Products with the Hessian for each. Networks with at most
            `num_vectors`·`num_products` parameters have all eigenvalues computed.

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
        ends = spectra.extreme_eigenvalues(problem, network, key=key)
        stored |= {
            "largest_eigenvalue": ends.largest,
            "smallest_eigenvalue": ends.smallest,
            "eigenvalues_found": ends.largest_converged & ends.smallest_converged,
        }
    if curvature == "density":
        size = {"num_vectors": num_vectors, "depth": num_products}
        density = spectra.spectral_density(problem, network, key=key, **size)
        stored |= {"density_nodes": density.nodes, "density_weights": density.weights}
    return stored
