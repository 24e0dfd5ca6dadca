"""The Hessian of the loss, its product with a vector, and the Gauss–Newton matrix.

Two-layer networks on data use closed forms, a few matrix products; all else uses
automatic differentiation. At a kink the second derivative of the activation counts
as 0: the Hessian of a network with kinks is that of its cell.
"""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..networks.network import Network, extended, outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, check_data, loss
from ..problems.task import Task


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
    """
    if isinstance(problem, Problem) and isinstance(network, TwoLayer):
        if isinstance(vector, TwoLayer):
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
        x1, _, h, slope = _features(problem, network)
        _, curvature = _output_derivatives(problem, network, h)
        rows = _output_jacobian(network, x1, h, slope)
        return (rows * curvature[None, :]) @ rows.T
    params, static = eqx.partition(network, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)
    at = lambda v: outputs(eqx.combine(unravel(v), static), problem.x)
    f, rows = at(flat), jax.jacrev(at)(flat)
    curvature = jax.vmap(problem.loss.curvature)(f, problem.y)
    if problem.out_dim is None:
        return (rows * (q * curvature)[:, None]).T @ rows
    return jnp.einsum("kap,k,kab,kbq->pq", rows, q, curvature, rows)


def _two_layer(problem: Problem, network: TwoLayer) -> Array:
    n, d, c, phi = network.width, network.in_dim, network.c, network.activation
    x1, z, h, slope = _features(problem, network)
    e, curvature = _output_derivatives(problem, network, h)
    rows = _output_jacobian(network, x1, h, slope)
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


def _features(problem: Problem, network: TwoLayer) -> tuple[Array, ...]:
    """Inputs x̃_k by rows; z_ik, φ(z_ik) and φ'(z_ik)."""
    phi = network.activation
    z = network.w @ problem.x.T + network.b[:, None]
    return extended(problem.x), z, phi(z), phi.derivative(z)


def _output_derivatives(problem: Problem, network: TwoLayer, h: Array):
    """The q_k ℓ'_k and q_k ℓ''_k, from the features."""
    f = network.c @ h
    f = f if network.p is None else f + extended(problem.x) @ network.p
    q = problem.sample_weights
    slope = jax.vmap(problem.loss.gradient)(f, problem.y)
    return q * slope, q * jax.vmap(problem.loss.curvature)(f, problem.y)


def _output_jacobian(network: TwoLayer, x1: Array, h: Array, slope: Array) -> Array:
    """∂f(x_k)/∂θ, one row a parameter."""
    scaled = network.c[:, None] * slope
    inner = scaled[:, None, :] * x1.T[None, :-1, :]
    parts = [inner.reshape(-1, len(x1)), scaled, h]
    return jnp.concatenate(parts if network.p is None else [*parts, x1.T])


def _two_layer_product(
    problem: Problem, network: TwoLayer, vector: TwoLayer
) -> TwoLayer:
    r"""The derivative of the closed-form gradient along (ẇ, ḃ, ċ, ṗ).

    With e_k = q_k ℓ'_k, ż = ẇx + ḃ, ḟ = Σ_i ċ_i φ_i + c_i φ'_i ż_i [+ ṗ·x̃] and
    ė_k = q_k ℓ''_k ḟ_k, the derivative of c_i Σ_k φ'_ik e_k x̃_k is
    Σ_k [ċ_i φ'_ik e_k + c_i (φ''_ik ż_ik e_k + φ'_ik ė_k)] x̃_k, and that of Σ_k φ_ik
    e_k is Σ_k φ'_ik ż_ik e_k + φ_ik ė_k.
    """
    c, dc, phi = network.c, vector.c, network.activation
    x1, z, h, slope = _features(problem, network)
    dz = vector.w @ problem.x.T + vector.b[:, None]
    e, curvature = _output_derivatives(problem, network, h)
    dh = slope * dz
    df = dc @ h + c @ dh
    df = df if vector.p is None else df + x1 @ vector.p
    de = curvature * df
    turned = phi.second_derivative(z) * dz * e[None, :] + slope * de[None, :]
    inner = (dc[:, None] * slope * e[None, :] + c[:, None] * turned) @ x1
    return eqx.tree_at(
        lambda net: (net.w, net.b, net.c, net.p),
        network,
        (inner[:, :-1], inner[:, -1], dh @ e + h @ de, _affine(network, de, x1)),
        is_leaf=lambda leaf: leaf is None,
    )


def _affine(network: TwoLayer, de: Array, x1: Array) -> Array | None:
    return None if network.p is None else de @ x1
