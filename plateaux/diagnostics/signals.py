r"""Signals: how large what goes forward and what comes back is, layer by layer.

In deep networks at random initialisation both decay or grow exponentially with depth.
So everything here is a natural logarithm, for chains computed without a product.
"""

import functools as ft
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from .._lengths import lengths
from ..networks.chain import Chain
from ..networks.mlp import MLP
from ..networks.network import DATA, features, outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, loss
from ._chain_signals import chain_signals
from ._neurons import check


class Signals(NamedTuple):
    """Logarithms of norms, one a layer of weights: hidden layers, then the output.

    An embedding is a layer of its own, the first. Zero has the logarithm −∞.

    Attributes:
        loss: L(θ).
        forward: log(rms ‖h_l‖/rms ‖x‖), the root mean square taken over the data with
            their weights; the last entry is that of the output.
        backward: log of the norm of ∂L/∂h_l, h_l(x_1) … h_l(x_K) one matrix; the last
            entry is that of ∂L/∂f.
        gradient: log of the norm of the gradient of the layer's weights and biases.
        dead: Whether the gradient of all parameters is exactly zero.
    """

    loss: Float[Array, ""]
    forward: Float[Array, " m"]
    backward: Float[Array, " m"]
    gradient: Float[Array, " m"]
    dead: Bool[Array, ""]


def signals(problem: Any, network: Any) -> Signals:
    r"""Norms of the forward pass, the backward pass and the gradient of every layer.

    With one datum 2·forward is what the exact laws of `px.statistics` are laws of, such
    as `relu_law`. Of residual layers h_l is the sum, the skipped part included.

    Args:
        problem: Data and loss.
        network: A `TwoLayer`, `MLP` or `Chain` that fits them.

    Returns:
        The logarithms; of chains with a homogeneous activation also where the norms
        themselves under- or overflow.

    Raises:
        TypeError: If the problem is no data, or the network is of another type.
        ValueError: If they do not fit together.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[2.0]]), jnp.array([0.0]))
        >>> found = signals(problem, px.networks.Chain([0.5, 3.0]))
        >>> print(jnp.exp(found.forward), jnp.exp(found.gradient), found.dead)
        [0.5 1.5] [18.  3.] False

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    check(problem, network)
    if isinstance(network, Chain):
        return _of_chain(problem, network)
    if isinstance(network, TwoLayer | MLP):
        return _of_layers(problem, network)
    raise TypeError(
        "Argument `network` must be a TwoLayer, MLP or Chain, but is a "
        f"{type(network).__name__}."
    )


@eqx.filter_jit
def _of_chain(problem: Problem, network: Chain) -> Signals:
    found = chain_signals(problem, network)
    weights = jnp.log(problem.sample_weights)
    inputs = jnp.log(jnp.abs(problem.x[:, 0]))
    return Signals(
        loss=loss(problem, network),
        forward=_log_root(found.units.log, weights) - _log_root(inputs, weights),
        backward=_log_root(found.backward.log, jnp.zeros_like(weights)),
        gradient=found.gradient,
        dead=jnp.all(found.gradient == -jnp.inf),
    )


def _log_root(logs: Float[Array, "*m K"], weights: Float[Array, " K"]) -> Array:
    """The logarithm of the root of the weighted sum of squares."""
    weights = jnp.expand_dims(weights, range(logs.ndim - 1))
    return logsumexp(2 * logs + weights, axis=-1) / 2


@eqx.filter_jit
def _of_layers(problem: Problem, network: TwoLayer | MLP) -> Signals:
    value, slopes = eqx.filter_value_and_grad(ft.partial(loss, problem))(network)
    gradient = jnp.stack([_log_length(*layer) for layer in _parameters(slopes)])
    units = _units(problem, network)
    root = jnp.sqrt(problem.sample_weights)
    size = lambda h: _log_length(h.reshape(len(root), -1) * root[:, None])
    return Signals(
        loss=value,
        forward=jnp.stack([size(h) for h in units]) - size(problem.x),
        backward=jnp.stack(
            [_log_length(g) for g in _backward(problem, network, units)]
        ),
        gradient=gradient,
        dead=jnp.all(gradient == -jnp.inf),
    )


def _units(problem: Problem, network: TwoLayer | MLP) -> list[Array]:
    """What every layer gives on the data, the output last."""
    units = [*features(network, problem.x), outputs(network, problem.x)]
    if isinstance(network, MLP) and network.embedding is not None:
        return [problem.x @ network.embedding.T, *units]
    return units


def _backward(problem: Problem, network: TwoLayer | MLP, units: list[Array]):
    """The derivatives of the loss by what every layer gives."""

    def moved(added: tuple[Array, ...], at_output: Array) -> Array:
        f = jax.vmap(network.displaced, axis_name=DATA)(problem.x, added)
        losses = jax.vmap(problem.loss)(f + at_output, problem.y)
        return problem.sample_weights @ losses

    *hidden, output = map(jnp.zeros_like, units)
    inner, outer = jax.grad(moved, argnums=(0, 1))(tuple(hidden), output)
    return [*inner, outer]


def _parameters(network: TwoLayer | MLP) -> list[list[Array]]:
    """The parameters of every layer."""
    if isinstance(network, TwoLayer):
        layers = [[network.w, network.b], [network.c, network.p]]
    else:
        per_layer = (network.weights, network.biases, network.gains, network.shifts)
        columns = [part for part in per_layer if part is not None]
        layers = [[network.embedding], *map(list, zip(*columns, strict=True))]
        layers += [[network.readout, network.readout_bias]]
    kept = [[part for part in layer if part is not None] for layer in layers]
    return [layer for layer in kept if layer]


def _log_length(*parts: Array) -> Array:
    return jnp.log(lengths(jnp.concatenate([part.ravel() for part in parts])))
