"""Curvature and gradient of every layer by itself."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._lengths import lengths
from ...dynamics.curvature_operators import flat_operator
from ...networks.network import Network
from ._vectors import flat_gradient
from .extreme import matrix_operator

# Parameters outside a list of layers: what comes before the layers, what after.
BEFORE = ("embedding", "w", "b")


def layer_spectra(
    problem: Any, network: Any, *, matrix: Any = "hessian"
) -> tuple[Float[Array, " _"], ...]:
    r"""Eigenvalues of the diagonal blocks of ∇²L(θ), a block for every layer.

    A layer is its weights, biases, gains and shifts; the readout with its bias, and the
    affine part, is the last one. In a chain every weight is a layer.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        matrix: "hessian" or "gauss_newton".

    Returns:
        One array a layer, from the input on, the largest eigenvalue first.

    Raises:
        ValueError: If `matrix` is unknown.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> for block in layer_spectra(problem, network):
        ...     print([f"{l:.3f}" for l in block])
        ['3.427', '0.073']
        ['2.500']

    Reference: Ghorbani, Krishnan & Xiao (2019), arXiv:1901.10159, for densities.
    """
    operator = matrix_operator(problem, network, matrix)
    product, flat, _ = flat_operator(operator, network)
    return tuple(_block(product, flat, place) for place in layer_places(network))


def layer_gradient_norms(problem: Any, network: Any) -> Float[Array, " l"]:
    r"""‖∂L/∂θ_l‖ of every layer l, layers as for `layer_spectra`.

    Args:
        problem: Data and loss.
        network: A network that fits them.

    Returns:
        One length a layer, from the input on.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print([f"{size:.3f}" for size in layer_gradient_norms(problem, network)])
        ['2.915', '2.500']
    """
    gradient = flat_gradient(problem, network)
    places = layer_places(network)
    return jnp.stack([lengths(gradient[place]) for place in places])


def layer_places(network: Network) -> tuple[np.ndarray, ...]:
    """Where the parameters of every layer are in the flat parameters."""
    params = eqx.filter(network, eqx.is_inexact_array)
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    places, start = {}, 0
    for path, leaf in leaves:
        place = np.arange(start, start + leaf.size)
        start += leaf.size
        for layer, part in _layers(path, leaf, place):
            places.setdefault(layer, []).append(part)
    return tuple(np.concatenate(places[layer]) for layer in sorted(places))


def _layers(path, leaf, place):
    """The layer, or layers, of one array of parameters: a number, and its entries."""
    name = path[0].name
    if len(path) > 1:  # one of a list of layers
        return [(path[1].idx, place)]
    if name == "weights" and leaf.ndim == 1:  # a chain
        return list(enumerate(place[:, None]))
    return [(-1 if name in BEFORE else np.inf, place)]


def _block(product, flat, place) -> Float[Array, " _"]:
    unit = jnp.zeros((len(place), flat.size), flat.dtype)
    unit = unit.at[jnp.arange(len(place)), place].set(1)
    block = jax.vmap(product)(unit)[:, place]
    return jnp.linalg.eigvalsh((block + block.T) / 2)[::-1]
