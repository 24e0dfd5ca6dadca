r"""Loss and gradient of univariate networks in O(n + K), up to a logarithm.

Along sorted data a neuron is on at a suffix (w_i ≥ 0) or a prefix (w_i < 0), so the
output is a piecewise-linear function whose slope and intercept change at n places: two
running sums. The gradient needs Σ e_k (x_k, 1) over a suffix or a prefix, e_k = q_k
∂ℓ_k/∂f: ends of two more running sums. Only the places themselves cost n log K.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from .._sums import sums_from_left, whole_blocks
from ..networks.two_layer import TwoLayer
from ..networks.univariate import active_cuts
from ..problems.problem import Problem
from .gradient import Evaluation


def why_not_sorted(problem: Any, network: Any) -> str | None:
    """What evaluation along sorted data asks for and does not get, or None."""
    if not (isinstance(problem, Problem) and isinstance(network, TwoLayer)):
        return "data and a two-layer network"
    if problem.in_dim != 1:
        return f"one input, but the problem has {problem.in_dim}"
    if not network.activation.homogeneous:
        return f"a piecewise-linear activation, but has {network.activation}"
    return None


def sorting_pays(width: int, num_data: int) -> bool:
    """Whether a gradient along sorted data is faster than a dense one, as measured."""
    return width * num_data >= 20_000


def in_order(problem: Problem) -> Problem:
    """The problem with its data sorted by the input: the same loss.

    Concrete data are sorted by NumPy: as constants of a program they would be sorted by
    XLA's compiler, which takes seconds.

    Args:
        problem: Data with one input.

    Returns:
        The same problem in another order, with the weights of its data.

    Example:
        >>> print(in_order(Problem([[2.0], [1.0]], [5.0, 7.0])).y)
        [7. 5.]
    """
    parts = (problem.x, problem.y, problem.weights)
    if all(map(_checks.is_concrete, parts)):
        parts = tuple(map(np.asarray, parts))
        order = np.argsort(parts[0][:, 0], kind="stable")
    else:
        order = jnp.argsort(problem.x[:, 0])
    ordered = tuple(jnp.asarray(part[order]) for part in parts)
    return eqx.tree_at(lambda p: (p.x, p.y, p.weights), problem, ordered)


def evaluate_sorted(problem: Problem, network: TwoLayer) -> Evaluation:
    r"""Loss and gradient at a network with one input, without pre-activations.

    A piecewise-linear φ of slopes s₋ and s₊ is s₋ z + (s₊ − s₋) max(z, 0): a line
    and a ReLU.

    Args:
        problem: Data with one input, in order.
        network: A two-layer network with a homogeneous activation.

    Returns:
        The evaluation; its pre-activations are ().

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(evaluate_sorted(problem, net).gradient.c)
        [2.5]
    """
    x, w, b, c = problem.x[:, 0], network.w[:, 0], network.b, network.c
    slope = network.activation.derivative
    low, high = (slope(jnp.full((), sign, x.dtype)) for sign in (-1, 1))
    cuts, falling = active_cuts(network, x), w < 0
    lines = jnp.stack([c * w, c * b])
    inner = (high - low) * _sums_over_neurons(cuts, falling, lines, x.shape[0])
    line = inner + low * jnp.sum(lines, axis=1)[:, None]
    if network.p is not None:
        line = line + network.p[:, None]
    f = line[0] * x + line[1]
    q = problem.sample_weights
    value = q @ jax.vmap(problem.loss)(f, problem.y)
    e = q * jax.vmap(problem.loss.gradient)(f, problem.y)
    forces = jnp.stack([e * x, e])
    total = jnp.sum(forces, axis=1)
    g = low * total[:, None] + (high - low) * sums_over_data(cuts, falling, forces)
    gradient = eqx.tree_at(
        lambda net: (net.w, net.b, net.c, net.p),
        network,
        (
            (c * g[0])[:, None],
            c * g[1],
            w * g[0] + b * g[1],
            None if network.p is None else total,
        ),
        is_leaf=lambda leaf: leaf is None,
    )
    return Evaluation(value, gradient, ())


def _sums_over_neurons(
    cuts: Int[Array, " n"],
    falling: Bool[Array, " n"],
    lines: Float[Array, "2 n"],
    num: int,
) -> Float[Array, "2 K"]:
    """At each datum the sum of the lines of the neurons that are on."""
    # a falling neuron is on at data before its cut: from behind, at num − cut and later
    size = whole_blocks(num + 1)
    place = jnp.where(falling, size + num - cuts, cuts)
    table = jnp.zeros((2, 2 * size), lines.dtype).at[:, place].add(lines)
    sums = sums_from_left(table.reshape(2, 2, size))[:, :, :num]
    return sums[:, 0] + sums[:, 1, ::-1]


def sums_over_data(
    cuts: Int[Array, " n"], falling: Bool[Array, " n"], forces: Float[Array, "2 K"]
) -> Float[Array, "2 n"]:
    """Sums over the data at which each neuron is on, from the end where it is on."""
    num = forces.shape[1]
    size = whole_blocks(num + 1)
    both = jnp.stack([forces, forces[:, ::-1]], axis=1)
    both = jnp.pad(both, ((0, 0), (0, 0), (1, size - num - 1)))
    sums = sums_from_left(both).reshape(2, 2 * size)
    return sums[:, jnp.where(falling, cuts, size + num - cuts)]
