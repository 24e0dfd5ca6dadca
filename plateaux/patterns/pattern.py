"""Activation patterns: which datum activates which neuron.

A pattern is a boolean array (n, K), on where the pre-activation is strictly positive;
units of deep networks are counted through all hidden layers, first layer first.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from ..networks.network import Network, preactivations
from ..networks.two_layer import TwoLayer


def layer_patterns(
    network: Network, x: Float[Array, "K d"]
) -> tuple[Bool[Array, "n K"], ...]:
    """Activation pattern of every hidden layer.

    Args:
        network: Any network.
        x: Inputs, one row a datum.

    Returns:
        One boolean array (units of the layer, K) per hidden layer.

    Example:
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(layer_patterns(net, jnp.array([[-1.0], [0.0], [1.0]]))[0])
        [[False False  True]]
    """
    return tuple(z > 0 for z in preactivations(network, x))


def pattern(network: Network, x: Float[Array, "K d"]) -> Bool[Array, "n K"]:
    r"""Activation pattern A_ik = 1[z_ik > 0], all hidden layers stacked.

    Args:
        network: Any network.
        x: Inputs, one row a datum.

    Returns:
        A boolean array (n, K), n counted through all hidden layers.

    Example:
        >>> net = TwoLayer(w=[[1.0], [-1.0]], b=[0.0, 0.5], c=[1.0, 1.0])
        >>> print(pattern(net, jnp.array([[-1.0], [0.0], [1.0]])).astype(int))
        [[0 0 1]
         [1 1 0]]

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    return jnp.concatenate(layer_patterns(network, x))


def active_counts(pattern: Bool[Array, "*t n K"]) -> Int[Array, "*t n"]:
    """Number of data that activate each neuron.

    For d = 1 this number and the sign of the slope determine a neuron's pattern.

    Args:
        pattern: Patterns, any leading axes.

    Returns:
        Counts from 0 to K.

    Example:
        >>> print(active_counts(jnp.array([[True, False, True]])))
        [2]
    """
    return jnp.sum(pattern, axis=-1, dtype=jnp.int32)


def dead_neurons(pattern: Bool[Array, "*t n K"]) -> Bool[Array, "*t n"]:
    """Whether no datum activates the neuron.

    The gradient of a dead ReLU neuron is zero: it is frozen under gradient descent.
    (A leaky or smooth unit that is off on all data still learns.)

    Args:
        pattern: Patterns, any leading axes.

    Returns:
        One flag a neuron.

    Example:
        >>> print(dead_neurons(jnp.array([[True, False], [False, False]])))
        [False  True]
    """
    return ~jnp.any(pattern, axis=-1)


def hamming(
    first: Bool[Array, "*t n K"], second: Bool[Array, "*t n K"]
) -> Int[Array, "*t"]:
    """Number of pairs (neuron, datum) in which two patterns differ.

    Args:
        first: Patterns, any leading axes.
        second: Patterns of the same shape.

    Returns:
        Distances from 0 to nK.

    Example:
        >>> print(hamming(jnp.array([[True, False]]), jnp.array([[False, True]])))
        2
    """
    return jnp.sum(first != second, axis=(-2, -1), dtype=jnp.int32)


def flips(patterns: Bool[Array, "t n K"]) -> Int[Array, " t-1"]:
    """Pairs that changed side between consecutive saved times.

    A lower bound: what changed and changed back in between is not seen. Trajectories
    of `px.descend` count every flip, see `Stats.pair_flips`.

    Args:
        patterns: Patterns at increasing times.

    Returns:
        Hamming distances of neighbours.

    Example:
        >>> print(flips(jnp.array([[[True]], [[False]], [[False]]])))
        [1 0]
    """
    return hamming(patterns[1:], patterns[:-1])


def pattern_hash(pattern: Bool[Array, "n K"]) -> UInt32[Array, "2"]:
    """A 64-bit fingerprint, for telling many patterns apart without storing them.

    Every pair has a fixed pseudo-random word; the fingerprint is the exclusive or of
    the words of the pairs that are on. Equal patterns have equal fingerprints;
    different ones agree with probability 2^-64. Fingerprints compare patterns of one
    shape only.

    Args:
        pattern: One pattern.

    Returns:
        Two unsigned words.

    Example:
        >>> print(pattern_hash(jnp.zeros((2, 3), bool)))
        [0 0]
    """
    words = np.random.default_rng(20200714).integers(  # fixed for all time
        2**32, size=(pattern.size, 2), dtype=np.uint32
    )
    chosen = jnp.where(jnp.ravel(pattern)[:, None], words, jnp.uint32(0))
    return jax.lax.reduce(chosen, jnp.uint32(0), jax.lax.bitwise_xor, (0,))


def breakpoints(network: TwoLayer) -> Float[Array, " n"]:
    """Kinks ξ_i = −b_i/w_i of a univariate two-layer network.

    Args:
        network: A two-layer network with one input.

    Returns:
        One position a neuron; inf for a neuron with w_i = 0, which has no kink.

    Raises:
        ValueError: If the network has more than one input.

    Example:
        >>> net = TwoLayer(w=[[2.0], [0.0]], b=[1.0, 1.0], c=[1.0, 1.0])
        >>> print(breakpoints(net))
        [-0.5  inf]
    """
    if network.in_dim != 1:
        raise ValueError(
            f"The network must have one input to have breakpoints, but has "
            f"{network.in_dim}."
        )
    w = network.w[..., 0]
    flat = w == 0
    return jnp.where(flat, jnp.inf, -network.b / jnp.where(flat, 1, w))
