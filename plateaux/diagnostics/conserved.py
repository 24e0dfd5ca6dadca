r"""What homogeneous activations conserve, and how fast others do not.

The imbalance of a hidden unit is the square of its outgoing weights less that of its
incoming ones, bias included: c_i² − ‖w_i‖² − b_i² in a `TwoLayer` network. Gradient
flow changes it only by how much the activation is not homogeneous,

    d/dt imbalance_i = 2 Σ_k q_k u_ik (φ'(z_ik) z_ik − φ(z_ik)),

u_ik = ∂ℓ_k/∂h_i the gradient in the unit's output h_i = φ(z_i), for any loss,
data, weights and depth. Everything takes a `TwoLayer` network, a plain `MLP` with any
number of outputs or a `Chain` without skips, where it is w_{l+1}² − w_l², and returns
one array a hidden layer. Linear networks conserve whole matrices: `balance_matrices`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from ..dynamics.gradient import evaluate
from ..networks.activations import Identity
from ..networks.chain import Chain
from ..networks.mlp import MLP
from ..networks.network import Network, outputs, preactivations
from ..networks.two_layer import TwoLayer, imbalance
from ..problems.problem import Problem
from ._neurons import check

PerLayer = tuple[Float[Array, " _"], ...]


def imbalances(problem: Any, network: Any) -> PerLayer:
    r"""Imbalance of every hidden unit: its outgoing less its incoming weights, squared.

    ‖W_{l+1} e_i‖² − ‖e_iᵀ W_l‖² − b_{l,i}² for unit i of layer l. The sum over the
    layer is ‖W_{l+1}‖² − ‖W_l‖² − ‖b_l‖² (Frobenius): the bias of a layer goes with
    the weights into it. In a `TwoLayer` network it is `px.networks.imbalance`.

    Args:
        problem: Data and loss, only checked.
        network: A `TwoLayer` network, a plain `MLP` or a `Chain`.

    Returns:
        One array a hidden layer, one number a unit, in squared weight units.

    Raises:
        ValueError: If the network has skips or is normalised.
        TypeError: If the network is of another type, or the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> network = px.MLP([[[1.0], [2.0]], [[3.0, 0.0]]], [[0.0, 1.0], [2.0]], [4.0])
        >>> print(*imbalances(problem, network))
        [ 8. -5.] [3.]

    Reference: Du, Hu & Lee (2018), arXiv:1806.00900.
    """
    check(problem, network)
    return _imbalances(network)


def imbalance_rates(problem: Any, network: Any) -> PerLayer:
    r"""Rate at which gradient flow changes every imbalance, exactly.

    2 Σ_k q_k u_ik (φ'(z_ik) z_ik − φ(z_ik)); in a `TwoLayer` network with the squared
    loss 2 E[r c_i (φ(z_i) − φ'(z_i) z_i)] with r = f* − f. Zero for homogeneous
    activations, up to rounding. The parenthesis is exact to rounding of φ(z): where z
    is so small that few of its digits are right, the rate is lost in rounding of the
    imbalance as well.

    Args:
        problem: Data and loss.
        network: A `TwoLayer` network, a plain `MLP` or a `Chain`.

    Returns:
        One array a hidden layer, in squared weight units a unit of flow time.

    Raises:
        ValueError: If the network has skips or is normalised.
        TypeError: If the network is of another type, or the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [0.0])
        >>> network = px.TwoLayer([[1.0]], [0.0], [1.0], activation="relu2")
        >>> print(*imbalance_rates(problem, network))
        [2.]

    Reference: derived from the chain rule: with h = φ(z), outgoing weights a and
    incoming v, d‖a‖²/dt = −2 E[u h] and d‖v‖²/dt = −2 E[u φ'(z) z].
    """
    check(problem, network)
    return _rates(problem, network)


def imbalance_changes(problem: Any, network: Any, step_size: Any) -> PerLayer:
    r"""What one step of gradient descent adds to every imbalance, exactly.

    h · rate + h² (‖g_out‖² − ‖g_in‖²), g the unit's part of ∇L: the second term is the
    imbalance of the gradient.

    Args:
        problem: Data and loss.
        network: A `TwoLayer` network, a plain `MLP` or a `Chain`.
        step_size: h, positive.

    Returns:
        One array a hidden layer, in squared weight units.

    Raises:
        ValueError: If the network has skips or is normalised, or `step_size` is not
            positive.
        TypeError: If the network is of another type, or the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [0.0])
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[2.0])
        >>> print(imbalance_changes(problem, network, 0.1)[0].round(6))
        [-0.28]

    Reference: Du, Hu & Lee (2018), arXiv:1806.00900.
    """
    check(problem, network)
    h = jnp.asarray(_checks.positive("step_size", step_size), problem.x.dtype)
    return _changes(problem, network, h)


def balance_matrices(problem: Any, network: Any) -> tuple[Float[Array, "_ _"], ...]:
    r"""What a linear network conserves: W_{l+1}ᵀ W_{l+1} − W_l W_lᵀ − b_l b_lᵀ.

    One matrix a hidden layer, constant along gradient flow for any loss and data:
    with δ_l the gradient in z_l, d(W_l W_lᵀ + b_l b_lᵀ)/dt = −Σ_k q_k (δ_l z_lᵀ +
    z_l δ_lᵀ) = d(W_{l+1}ᵀ W_{l+1})/dt. Their diagonals are the imbalances. Descent
    changes them by O(h) in a fixed time. A network with zero matrices is balanced.

    Args:
        problem: Data and loss, only checked.
        network: A `TwoLayer` network, plain `MLP` or `Chain` with φ = identity.

    Returns:
        One symmetric matrix a hidden layer, in squared weight units.

    Raises:
        ValueError: If the activation is another, or the network has skips or is
            normalised.
        TypeError: If the network is of another type, or the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> network = px.MLP([[[1.0], [2.0]]], None, [3.0, 0.0], activation="identity")
        >>> print(balance_matrices(problem, network)[0])
        [[ 8. -2.]
         [-2. -4.]]

    Reference: Arora, Cohen & Hazan (2018), arXiv:1802.06509.
    """
    check(problem, network)
    if not isinstance(network.activation, Identity):
        raise ValueError(
            "Argument `network` must have the activation 'identity' to conserve "
            f"matrices, but has {network.activation}; use imbalances."
        )
    weights, biases, readout = _layers(network)
    following = [*weights[1:], jnp.atleast_2d(readout)]
    return tuple(
        out.T @ out - w @ w.T - (0 if b is None else jnp.outer(b, b))
        for w, b, out in zip(weights, biases, following, strict=True)
    )


@eqx.filter_jit
def _rates(problem: Problem, network: Network) -> PerLayer:
    weights, _, readout = _layers(network)
    phi, q = network.activation, problem.sample_weights
    slope = jax.vmap(problem.loss.gradient)(outputs(network, problem.x), problem.y)
    scaled = q.reshape(-1, *[1] * (slope.ndim - 1)) * slope
    u = jnp.outer(readout, scaled) if readout.ndim == 1 else readout.T @ scaled.T
    rates = []
    both = zip(weights, preactivations(network, problem.x), strict=True)
    for w, z in reversed(list(both)):
        rates.append(2 * jnp.sum(u * (phi.derivative(z) * z - phi(z)), axis=1))
        u = w.T @ (u * phi.derivative(z))
    return tuple(reversed(rates))


@eqx.filter_jit
def _changes(problem: Problem, network: Network, h: Array) -> PerLayer:
    second = _imbalances(evaluate(problem, network).gradient)
    rates = _rates(problem, network)
    return tuple(h * r + h**2 * s for r, s in zip(rates, second, strict=True))


def _imbalances(network: Network) -> PerLayer:
    """Imbalances of a network, or of a gradient in the shape of one."""
    if isinstance(network, TwoLayer):
        return (imbalance(network),)
    weights, biases, readout = _layers(network)
    following = [*weights[1:], jnp.atleast_2d(readout)]
    return tuple(
        jnp.sum(out**2, axis=0) - jnp.sum(w**2, axis=1) - (0 if b is None else b**2)
        for w, b, out in zip(weights, biases, following, strict=True)
    )


def _layers(network: Network) -> tuple[Any, Any, Array]:
    """Weights and biases of the hidden layers, and the readout, else a refusal."""
    if isinstance(network, TwoLayer):
        return (network.w,), (network.b,), network.c
    if isinstance(network, Chain) and network.residual_scale is None:
        w = network.weights[:, None, None]
        return tuple(w[:-1]), (None,) * (network.depth - 1), w[-1, 0]
    if isinstance(network, Chain):
        raise ValueError(
            "Argument `network` must be a chain without skips to have imbalances, but "
            f"has the residual scale {network.residual_scale}."
        )
    if not isinstance(network, MLP):
        raise TypeError(
            "Argument `network` must be a TwoLayer, an MLP or a Chain to have "
            f"imbalances, but is a {type(network).__name__}."
        )
    if network.normalisation is not None or network.has_skips:
        raise ValueError(
            "Argument `network` must be a TwoLayer or a plain MLP to have imbalances, "
            f"but is a {network.kind} MLP, for which they are not defined."
        )
    biases = network.biases or (None,) * network.depth
    return network.weights, biases, network.readout
