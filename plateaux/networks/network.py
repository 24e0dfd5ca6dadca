"""What every network is: a pytree of parameters that maps one sample to an output."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .activations import Activation

# The axis of the data where a whole set is looked at; batch statistics run over it.
DATA = "data"


class Network(eqx.Module):
    """A network: its array leaves are the parameters, everything else is static.

    Written for one sample; `outputs` and `preactivations` take a whole data set.

    Attributes:
        activation: The hidden units' activation function.
    """

    activation: eqx.AbstractVar[Activation]

    @property
    @abc.abstractmethod
    def in_dim(self) -> int:
        """Number of inputs d."""

    @property
    @abc.abstractmethod
    def out_dim(self) -> int | None:
        """Number of outputs; None for a scalar output of shape ()."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "..."]:
        """The output for one sample: shape (), or (out_dim,)."""

    @abc.abstractmethod
    def hidden(self, x: Float[Array, " d"]) -> tuple[Float[Array, " n"], ...]:
        """Pre-activations of one sample, one array per hidden layer."""

    def units(self, x: Float[Array, " d"]) -> tuple[Float[Array, " n"], ...]:
        """Values of the hidden units for one sample, one array per hidden layer."""
        return tuple(self.activation(z) for z in self.hidden(x))


def outputs(network: Network, x: Any) -> Float[Array, "K ..."]:
    """Outputs f(x_k) of a network on a data set.

    Args:
        network: Any network.
        x: Inputs, shape (K, d), one row a datum.

    Returns:
        Shape (K,) for a scalar output, else (K, out_dim).

    Raises:
        TypeError: If `x` is not of floating dtype.
        ValueError: If `x` is not of shape (K, d), d the network's inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from plateaux.networks import TwoLayer
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[2.0])
        >>> print(outputs(net, jnp.array([[-1.0], [3.0]])))
        [0. 6.]
    """
    return jax.vmap(network, axis_name=DATA)(_check_inputs(network, x))


def preactivations(network: Network, x: Any) -> tuple[Float[Array, "_ K"], ...]:
    """Pre-activations z_ik of every hidden layer on a data set.

    These are the numbers the activation is applied to, so their signs are the
    activation pattern.

    Args:
        network: Any network.
        x: Inputs, shape (K, d), one row a datum.

    Returns:
        One array (units of the layer, K) per hidden layer.

    Raises:
        TypeError: If `x` is not of floating dtype.
        ValueError: If `x` is not of shape (K, d), d the network's inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from plateaux.networks import TwoLayer
        >>> net = TwoLayer(w=[[1.0], [2.0]], b=[0.0, 1.0], c=[2.0, 1.0])
        >>> (z,) = preactivations(net, jnp.array([[-1.0], [3.0]]))
        >>> print(z)
        [[-1.  3.]
         [-1.  7.]]
    """
    return jax.vmap(network.hidden, out_axes=1, axis_name=DATA)(
        _check_inputs(network, x)
    )


def features(network: Network, x: Any) -> tuple[Float[Array, "K _"], ...]:
    """Neuron functions φ_j(x_k): the values of the units of every hidden layer.

    Those of the last layer are what the output combines linearly. In a residual layer
    they are the h_l that the next layer sees, the skipped part included.

    Args:
        network: Any network.
        x: Inputs, shape (K, d), one row a datum.

    Returns:
        One array (K, units of the layer) per hidden layer.

    Raises:
        TypeError: If `x` is not of floating dtype.
        ValueError: If `x` is not of shape (K, d), d the network's inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from plateaux.networks import TwoLayer
        >>> net = TwoLayer(w=[[1.0], [-2.0]], b=[0.0, 1.0], c=[2.0, 1.0])
        >>> (phi,) = features(net, jnp.array([[-1.0], [3.0]]))
        >>> print(phi)
        [[0. 3.]
         [3. 0.]]
    """
    return jax.vmap(network.units, axis_name=DATA)(_check_inputs(network, x))


def extended(x: Float[Array, "K d"]) -> Float[Array, "K D"]:
    """The rows x̃_k = (x_k, 1), D = d+1."""
    return jnp.concatenate([x, jnp.ones_like(x[:, :1])], axis=1)


def _check_inputs(network: Network, x: Any) -> Float[Array, "K d"]:
    """The inputs if they are floats of shape (K, network.in_dim), else a refusal."""
    x = _checks.floating("x", x)
    if x.ndim != 2 or x.shape[1] != network.in_dim:
        raise ValueError(
            f"Argument `x` must have shape (K, {network.in_dim}), one row a datum, but "
            f"has shape {x.shape}."
        )
    return x
