"""Where along sorted data the neurons of a univariate network are on."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .two_layer import TwoLayer


def active_cuts(network: TwoLayer, x: Float[Array, " K"]) -> Int[Array, " n"]:
    """The place along sorted data where each neuron changes side.

    A neuron with w_i < 0 is on before its cut, any other from its cut on. Found by
    bisection on the sign of w_i x + b_i itself, which is monotone in x after rounding
    too: the cuts are those of the pattern to the last datum.

    Args:
        network: A two-layer network with one input.
        x: Sorted inputs.

    Returns:
        Places from 0 to K.

    Example:
        >>> net = TwoLayer(w=[[1.0], [-1.0]], b=[-1.5, 0.5], c=[1.0, 1.0])
        >>> print(active_cuts(net, jnp.array([0.0, 1.0, 2.0])))
        [2 1]
    """
    num = x.shape[0]
    w, b = network.w[:, 0], network.b
    falling = w < 0
    bits = num.bit_length()
    # beyond the data no sign is that of the left end
    padded = jnp.pad(x, (0, (1 << bits) - num), constant_values=jnp.nan)

    def add_bit(i, low):
        # The number of data with the sign of the left end, from its highest bit on.
        step = jnp.right_shift(jnp.asarray(1 << (bits - 1), jnp.int32), i)
        z = w * padded[low + (step - 1)] + b
        left = jnp.where(falling, z > 0, z <= 0)
        return jnp.where(left, low + step, low)

    return jax.lax.fori_loop(0, bits, add_bit, jnp.zeros(w.shape, jnp.int32))


def active_ranges(
    network: TwoLayer, x: Float[Array, " K"]
) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
    """First and one past the last sorted datum at which each neuron is on.

    Args:
        network: A two-layer network with one input.
        x: Sorted inputs.

    Returns:
        Two arrays; a dead neuron has an empty range.

    Example:
        >>> net = TwoLayer(w=[[1.0], [-1.0]], b=[-1.5, 0.5], c=[1.0, 1.0])
        >>> print(*active_ranges(net, jnp.array([0.0, 1.0, 2.0])))
        [2 0] [3 1]
    """
    falling, cuts = network.w[:, 0] < 0, active_cuts(network, x)
    return jnp.where(falling, 0, cuts), jnp.where(falling, cuts, x.shape[0])
