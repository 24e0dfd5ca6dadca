"""Products of the Hessian and of the Gauss–Newton matrix with many vectors.

Whatever does not depend on the vector is computed once, at the network. Two-layer
networks on data use closed forms; all else is linearised by automatic differentiation.
"""

import functools as ft
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..networks.network import Network, extended, outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, check_data, loss
from ..problems.task import Task

Operator = Callable[[Network], Network]
# Blocks Σ_k φ''_ik … x̃_k x̃_kᵀ pay for themselves up to this number of inputs.
MOST_INPUTS = 8


def hessian_operator(problem: Task, network: Network) -> Operator:
    r"""The map v ↦ ∇²L(θ) v, to be applied to many v.

    For `TwoLayer` with v_i = (w_i, b_i), x̃ = (x, 1) and e_k = q_k ℓ'_k it is the
    Gauss–Newton product plus, neuron by neuron, c_i B_i v̇_i + ċ_i m_i for v_i and
    m_i·v̇_i for c_i, m_i = Σ_k φ'_ik e_k x̃_k, B_i = Σ_k φ''_ik e_k x̃_k x̃_kᵀ.

    Args:
        problem: Data and loss.
        network: A network that fits them, θ.

    Returns:
        A linear function of networks of the same kind, with directions in the place
        of parameters.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> product = hessian_operator(problem, net)
        >>> print(product(net).c, product(product(net)).c)
        [7.5] [69.75]

    Reference: Pearlmutter (1994), Neural Computation 6, 147-160.
    """
    if isinstance(problem, Problem) and isinstance(network, TwoLayer):
        return _two_layer(problem, network, second_derivatives=True)
    params, static = eqx.partition(network, eqx.is_inexact_array)
    gradient = jax.grad(lambda at: loss(problem, eqx.combine(at, static)))
    _, along = jax.linearize(gradient, params)
    return _of_networks(along, static)


def gauss_newton_operator(problem: Any, network: Network) -> Operator:
    r"""The map v ↦ Σ_k q_k J_kᵀ ℓ''_k J_k v, to be applied to many v.

    Args:
        problem: Data and loss.
        network: A network that fits them, θ.

    Returns:
        A linear function of networks, as `hessian_operator`.

    Raises:
        TypeError: If the problem is not data with a loss.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(gauss_newton_operator(problem, net)(net).c)
        [5.]

    Reference: Schraudolph (2002), Neural Computation 14, 1723-1738.
    """
    check_data(problem)
    if isinstance(network, TwoLayer):
        return _two_layer(problem, network, second_derivatives=False)
    params, static = eqx.partition(network, eqx.is_inexact_array)
    at = lambda params: outputs(eqx.combine(params, static), problem.x)
    f, along = jax.linearize(at, params)
    back = jax.linear_transpose(along, params)
    curvature = jax.vmap(problem.loss.curvature)(f, problem.y)

    def product(vector):
        df = _bend_outputs(problem, curvature, along(vector))
        return back(df)[0]

    return _of_networks(product, static)


def flat_operator(
    operator: Operator, network: Network
) -> tuple[Callable[[Array], Array], Array, Callable[[Array], Network]]:
    """The same map of flat vectors, the flat parameters, and the way back.

    Args:
        operator: A map of networks, such as `hessian_operator` gives.
        network: The network it was made at.

    Returns:
        The map of vectors in the order of `jax.flatten_util.ravel_pytree`, the
        network's parameters as such a vector, and the function that makes a network of
        a vector.

    Example:
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> product, flat, build = flat_operator(lambda v: v, net)
        >>> print(product(flat), build(flat).c)
        [1. 0. 1.] [1.]
    """
    params, static = eqx.partition(network, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)
    build = lambda vector: eqx.combine(unravel(vector), static)
    ravel = lambda net: ravel_pytree(eqx.filter(net, eqx.is_inexact_array))[0]
    return lambda vector: ravel(operator(build(vector))), flat, build


class Features(NamedTuple):
    """Inputs x̃_k by rows; z_ik, φ(z_ik) and φ'(z_ik) of a two-layer network."""

    x1: Float[Array, "K D"]
    z: Float[Array, "n K"]
    phi: Float[Array, "n K"]
    slope: Float[Array, "n K"]


def two_layer_features(problem: Problem, network: TwoLayer) -> Features:
    """What closed forms of two-layer networks are made of."""
    phi = network.activation
    z = network.w @ problem.x.T + network.b[:, None]
    return Features(extended(problem.x), z, phi(z), phi.derivative(z))


def output_derivatives(problem: Problem, network: TwoLayer, features: Features):
    """The q_k ℓ'_k and q_k ℓ''_k."""
    f = network.c @ features.phi
    f = f if network.p is None else f + features.x1 @ network.p
    q = problem.sample_weights
    slope = jax.vmap(problem.loss.gradient)(f, problem.y)
    return q * slope, q * jax.vmap(problem.loss.curvature)(f, problem.y)


def _two_layer(
    problem: Problem, network: TwoLayer, *, second_derivatives: bool
) -> Operator:
    """The closed form; without second derivatives of the output, Gauss–Newton's."""
    features = two_layer_features(problem, network)
    e, curvature = output_derivatives(problem, network, features)
    x1, _, phi, slope = features
    c = network.c[:, None]
    moment = slope @ (e[:, None] * x1)
    bent = _bent(network, features, e)

    def product(vector):
        dv = jnp.concatenate([vector.w, vector.b[:, None]], axis=1)
        df = vector.c @ phi + jnp.sum(((c * dv).T @ slope) * x1.T, axis=0)
        df = df if vector.p is None else df + x1 @ vector.p
        de = curvature * df
        inner = c * (slope @ (de[:, None] * x1))
        outer = phi @ de
        if second_derivatives:
            inner = inner + bent(dv) + vector.c[:, None] * moment
            outer = outer + jnp.sum(moment * dv, axis=1)
        affine = None if network.p is None else de @ x1
        return eqx.tree_at(
            lambda net: (net.w, net.b, net.c, net.p),
            network,
            (inner[:, :-1], inner[:, -1], outer, affine),
            is_leaf=lambda leaf: leaf is None,
        )

    return product


def _bent(network: TwoLayer, features: Features, e: Array) -> Callable[[Array], Array]:
    """The map of v̇_i to c_i Σ_k φ''_ik e_k (x̃_k·v̇_i) x̃_k."""
    x1, z = features.x1, features.z
    if network.activation.homogeneous:  # φ'' = 0
        return jnp.zeros_like
    bend, c = network.activation.second_derivative(z), network.c[:, None]
    weighted = e[:, None] * x1
    if network.in_dim > MOST_INPUTS:
        return lambda dv: c * ((bend * (dv @ x1.T)) @ weighted)
    pairs = (x1[:, :, None] * weighted[:, None, :]).reshape(len(x1), -1)
    blocks = (bend @ pairs).reshape(len(bend), x1.shape[1], x1.shape[1])
    return lambda dv: c * jnp.sum(blocks * dv[:, None, :], axis=2)


def _bend_outputs(problem: Problem, curvature: Array, df: Array) -> Array:
    """q_k ℓ''_k ḟ_k, for one output or several."""
    q = problem.sample_weights
    if problem.out_dim is None:
        return q * curvature * df
    return q[:, None] * jnp.einsum("kab,kb->ka", curvature, df)


def _of_networks(product: Callable, static: Network) -> Operator:
    """The map of networks from that of their parameters."""
    return ft.partial(_apply, product, static)


def _apply(product, static, vector):
    along = eqx.filter(vector, eqx.is_inexact_array)
    return eqx.combine(product(along), static)
