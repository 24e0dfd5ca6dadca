"""A network as its hidden neurons, and lengths that neither overflow nor underflow."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.mlp import MLP
from ..networks.network import Network, extended
from ..networks.two_layer import TwoLayer, inner_weights
from ..problems.problem import Problem, check_data, check_match


class Neurons(NamedTuple):
    """The hidden neurons of a network with one hidden layer and a scalar output.

    Attributes:
        v: Input weights, the bias last if there is one, shape (n, D).
        c: Outer weights, shape (n,).
        bias: Whether there is a bias, D = d+1; otherwise D = d.
    """

    v: Float[Array, "n D"]
    c: Float[Array, " n"]
    bias: bool


def check(problem: Any, network: Any) -> None:
    """Refuse what is not data, or a network that does not fit them."""
    check_data(problem)
    if not isinstance(network, Network):
        raise TypeError(
            "Argument `network` must be a network such as px.TwoLayer, but is a "
            f"{type(network).__name__}."
        )
    check_match(problem, network)


def neurons(problem: Any, network: Any) -> Neurons:
    """The neurons of a network that fits the problem, else a refusal."""
    check(problem, network)
    if isinstance(network, TwoLayer):
        return Neurons(inner_weights(network), network.c, bias=True)
    if not isinstance(network, MLP) or network.depth > 1 or network.out_dim is not None:
        raise ValueError(_refusal(network))
    if network.normalisation is not None or network.embedding is not None:
        raise ValueError(_refusal(network))
    w = network.weights[0]
    if network.biases is None:
        return Neurons(w, network.readout, bias=False)
    v = jnp.concatenate([w, network.biases[0][:, None]], axis=1)
    return Neurons(v, network.readout, bias=True)


def _refusal(network: Network) -> str:
    came = type(network).__name__
    if isinstance(network, MLP):
        layers = f"{network.depth} hidden layer{'s' if network.depth > 1 else ''}"
        output = "scalar" if network.out_dim is None else "vector"
        came = f"{network.kind} MLP of {layers} with {output} output"
    return (
        "Argument `network` must have one hidden layer without normalisation or "
        f"embedding and a scalar output, a TwoLayer or such an MLP, but is a {came}."
    )


def inputs(problem: Problem, bias: bool) -> Float[Array, "K D"]:
    """The rows that input weights are multiplied with: (x_k, 1), or x_k."""
    return extended(problem.x) if bias else problem.x
