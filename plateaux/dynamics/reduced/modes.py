r"""Neurons in the two modes of the initial plateau.

With u = ẑ·v, the mode a⁺ = (c + u)/2 grows and a⁻ = (c − u)/2 decays, while the
component of v across ẑ rests: condensed neurons have only the first.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...networks.two_layer import TwoLayer, inner_weights


class NeuronModes(NamedTuple):
    """Neurons split along a direction ẑ.

    Attributes:
        growing: (c + ẑ·v)/2.
        decaying: (c − ẑ·v)/2.
        across: v − (ẑ·v) ẑ.
    """

    growing: Float[Array, " n"]
    decaying: Float[Array, " n"]
    across: Float[Array, "n D"]


def neuron_modes(network: TwoLayer, direction: Float[Array, " D"]) -> NeuronModes:
    """The neurons of a network split along a unit vector.

    Args:
        network: A two-layer network.
        direction: ẑ, of unit length.

    Returns:
        The three parts.

    Example:
        >>> net = TwoLayer([[1.0]], [0.0], [1.0], activation="tanh")
        >>> modes = neuron_modes(net, jnp.array([1.0, 0.0]))
        >>> print(modes.growing, modes.decaying)
        [1.] [0.]

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    v = inner_weights(network)
    along = v @ direction
    across = v - along[:, None] * direction[None, :]
    return NeuronModes((network.c + along) / 2, (network.c - along) / 2, across)


def grown(
    network: TwoLayer, direction: Float[Array, " D"], factor: Float[Array, "..."]
) -> TwoLayer:
    """The network whose growing modes are `factor` times as large, the decaying 1/it.

    Args:
        network: A two-layer network.
        direction: ẑ.
        factor: One number, or one a neuron.

    Returns:
        The network.
    """
    growing, decaying, across = neuron_modes(network, direction)
    factor = jnp.broadcast_to(factor, growing.shape)
    up, down = growing * factor, decaying / factor
    v = across + (up - down)[:, None] * direction[None, :]
    return with_neurons(network, up + down, v)


def with_neurons(network: TwoLayer, c: Array, v: Array) -> TwoLayer:
    """The network with other outer weights c and inner weights v = (w, b)."""
    return eqx.tree_at(
        lambda net: (net.w, net.b, net.c), network, (v[..., :-1], v[..., -1], c)
    )


def condensed_size(network: TwoLayer, direction: Float[Array, " D"]):
    """u_0 = Σ_i ((c_i + ẑ·v_i)/2)², the size of the part that grows.

    Args:
        network: A two-layer network.
        direction: ẑ, of unit length, shape (D,).

    Returns:
        u_0, a scalar.

    Example:
        >>> net = TwoLayer([[1.0]], [0.0], [1.0], activation="tanh")
        >>> print(condensed_size(net, jnp.array([1.0, 0.0])))
        1.0

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    return jnp.sum(neuron_modes(network, direction).growing ** 2)
