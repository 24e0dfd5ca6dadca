"""The Hessian of the loss, its product with a vector, and the Gauss–Newton matrix.

Two-layer networks on data use closed forms, a few matrix products, and so do linear
chains with the squared loss; all else uses automatic differentiation. At a kink the
second derivative of the activation counts as 0: the Hessian of a network with kinks is
that of its cell.
"""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..networks.network import Network, outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, check_data, loss
from ..problems.task import Task
from .chain_hessian import chain_hessian, has_closed_form
from .curvature_operators import (
    Features,
    gauss_newton_operator,
    output_derivatives,
    two_layer_features,
)


def hessian(problem: Task, network: Network) -> Float[Array, "p p"]:
    r"""The Hessian ∇²L(θ) as a dense matrix.

    Parameters are in the order of `jax.flatten_util.ravel_pytree` of the network's
    arrays; for `TwoLayer` that is w (row by row), b, c, p. With J_k = ∂f(x_k)/∂θ,

        ∇²L = Σ_k q_k ℓ''_k J_k J_kᵀ + Σ_k q_k ℓ'_k ∇²f(x_k),

    and for `TwoLayer` the second sum has, with v_i = (w_i, b_i) and x̃ = (x, 1), only
    the blocks (v_i, v_i): c_i Σ_k q_k ℓ'_k φ''(z_ik) x̃_k x̃_kᵀ and (v_i, c_i):
    Σ_k q_k ℓ'_k φ'(z_ik) x̃_k. The cost is O(p²K).

    Args:
        problem: Data and loss.
        network: A network that fits them.

    Returns:
        A symmetric matrix.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(hessian(problem, net))
        [[2.5 1.5 5. ]
         [1.5 1.  3. ]
         [5.  3.  2.5]]
    """
    if isinstance(network, TwoLayer) and isinstance(problem, Problem):
        return _two_layer(problem, network)
    if has_closed_form(problem, network):
        return chain_hessian(problem, network)
    params, static = eqx.partition(network, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)
    return jax.hessian(lambda v: loss(problem, eqx.combine(unravel(v), static)))(flat)


def hessian_vector_product(problem: Task, network: Network, vector: Network) -> Network:
    r"""∇²L(θ) v without the matrix, at the cost of a few gradients.

    Args:
        problem: Data and loss.
        network: A network that fits them, θ.
        vector: v, a network of the same kind with directions in the place of
            parameters.

    Returns:
        ∇²L(θ) v, a network likewise.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> column = hessian_vector_product(problem, net, net)  # v = (1, 0, 1)
        >>> print(column.w, column.b, column.c)
        [[7.5]] [4.5] [7.5]

    Reference: Pearlmutter (1994), Neural Computation 6, 147-160.
    """
    if isinstance(problem, Problem) and isinstance(network, TwoLayer):
        return _two_layer_product(problem, network, vector)
    gradient = eqx.filter_grad(ft.partial(loss, problem))
    return eqx.filter_jvp(gradient, (network,), (vector,))[1]


def gauss_newton(problem: Problem, network: Network) -> Float[Array, "p p"]:
    r"""The Gauss–Newton matrix Σ_k q_k J_kᵀ ℓ''_k J_k, J_k = ∂f(x_k)/∂θ.

    The Hessian without the second derivatives of the outputs: positive semidefinite for
    a convex loss, and the Hessian itself where the network fits the data exactly.
    Parameters are ordered as for `hessian`. For `TwoLayer` J has a closed form.

    Args:
        problem: Data and loss.
        network: A network that fits them.

    Returns:
        A symmetric matrix.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(gauss_newton(problem, net))
        [[2.5 1.5 2.5]
         [1.5 1.  1.5]
         [2.5 1.5 2.5]]

    Reference: Schraudolph (2002), Neural Computation 14, 1723-1738.
    """
    check_data(problem)
    q = problem.sample_weights
    if isinstance(network, TwoLayer):
        features = two_layer_features(problem, network)
        _, curvature = output_derivatives(problem, network, features)
        rows = _output_jacobian(network, features)
        return (rows * curvature[None, :]) @ rows.T
    params, static = eqx.partition(network, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)
    at = lambda v: outputs(eqx.combine(unravel(v), static), problem.x)
    f, rows = at(flat), jax.jacrev(at)(flat)
    curvature = jax.vmap(problem.loss.curvature)(f, problem.y)
    if problem.out_dim is None:
        return (rows * (q * curvature)[:, None]).T @ rows
    return jnp.einsum("kap,k,kab,kbq->pq", rows, q, curvature, rows)


def gauss_newton_vector_product(
    problem: Any, network: Network, vector: Network
) -> Network:
    r"""Σ_k q_k J_kᵀ ℓ''_k J_k v without the matrix.

    A forward derivative of the outputs, then a backward one; no second derivatives of
    the network are taken, and for `TwoLayer` there is a closed form.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        vector: v, a network of the same kind with directions in the place of
            parameters.

    Returns:
        The product, a network likewise.

    Raises:
        TypeError: If the problem is not data with a loss.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> column = gauss_newton_vector_product(problem, net, net)  # v = (1, 0, 1)
        >>> print(column.w, column.b, column.c)
        [[5.]] [3.] [5.]

    Reference: Schraudolph (2002), Neural Computation 14, 1723-1738.
    """
    return gauss_newton_operator(problem, network)(vector)


def _two_layer(problem: Problem, network: TwoLayer) -> Array:
    n, d, c, phi = network.width, network.in_dim, network.c, network.activation
    features = two_layer_features(problem, network)
    x1, z, _, slope = features
    e, curvature = output_derivatives(problem, network, features)
    rows = _output_jacobian(network, features)
    matrix = (rows * curvature[None, :]) @ rows.T

    # --- second derivatives of the output, neuron by neuron ---
    bend = c[:, None] * e[None, :] * phi.second_derivative(z)
    products = (x1[:, :, None] * x1[:, None, :]).reshape(len(x1), -1)
    inner = (bend @ products).reshape(n, d + 1, d + 1)
    mixed = (slope * e[None, :]) @ x1
    neuron = jnp.arange(n)
    place = jnp.concatenate(  # of the (w_i, b_i) in the flat parameters
        [neuron[:, None] * d + jnp.arange(d)[None, :], n * d + neuron[:, None]], axis=1
    )
    outer = (n * (d + 1) + neuron)[:, None]
    matrix = matrix.at[place[:, :, None], place[:, None, :]].add(inner)
    matrix = matrix.at[place, outer].add(mixed)
    return matrix.at[outer, place].add(mixed)


def _output_jacobian(network: TwoLayer, features: Features) -> Array:
    """∂f(x_k)/∂θ, one row a parameter."""
    x1, _, h, slope = features
    scaled = network.c[:, None] * slope
    inner = scaled[:, None, :] * x1.T[None, :-1, :]
    parts = [inner.reshape(-1, len(x1)), scaled, h]
    return jnp.concatenate(parts if network.p is None else [*parts, x1.T])


def _two_layer_product(problem: Problem, network: TwoLayer, vector: Any) -> TwoLayer:
    r"""The derivative of the closed-form gradient along (ẇ, ḃ, ċ, ṗ), taken once.

    With e_k = q_k ℓ'_k, ż = ẇx + ḃ, ḟ = Σ_i ċ_i φ_i + c_i φ'_i ż_i [+ ṗ·x̃] and
    ė_k = q_k ℓ''_k ḟ_k, the derivative of c_i Σ_k φ'_ik e_k x̃_k is
    Σ_k [ċ_i φ'_ik e_k + c_i (φ''_ik ż_ik e_k + φ'_ik ė_k)] x̃_k, and that of Σ_k φ_ik
    e_k is Σ_k φ'_ik ż_ik e_k + φ_ik ė_k. For one vector this is faster than
    `hessian_operator`, which prepares for many.
    """
    c, dc, phi = network.c, vector.c, network.activation
    features = two_layer_features(problem, network)
    x1, z, h, slope = features
    dz = vector.w @ problem.x.T + vector.b[:, None]
    e, curvature = output_derivatives(problem, network, features)
    dh = slope * dz
    df = dc @ h + c @ dh
    df = df if vector.p is None else df + x1 @ vector.p
    de = curvature * df
    turned = phi.second_derivative(z) * dz * e[None, :] + slope * de[None, :]
    inner = (dc[:, None] * slope * e[None, :] + c[:, None] * turned) @ x1
    affine = None if network.p is None else de @ x1
    return eqx.tree_at(
        lambda net: (net.w, net.b, net.c, net.p),
        network,
        (inner[:, :-1], inner[:, -1], dh @ e + h @ de, affine),
        is_leaf=lambda leaf: leaf is None,
    )
