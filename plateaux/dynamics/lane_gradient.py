r"""Loss and gradient of many networks at once, in blocks of lanes that fit the cache.

Under `jax.vmap` the n × K arrays of `evaluate` would come with all lanes in front, and
travel to memory and back. For two-layer networks they never exist here: for a block of
lanes the neurons are gone through one by one, with arrays of K × block that stay in the
cache and whose last axis, the lanes, fills the vector units. All other networks on data
are taken a few at a time on CPUs, the fewer the larger they are.
"""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from ..networks.network import preactivations
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem
from .gradient import Evaluation, evaluate

_BLOCK = 64  # lanes that are computed together
_FEW_LANES = 16  # below, vectors along the lanes are too short
_FEW_INPUTS = 4  # above, matrix products are faster
_TOGETHER = 2**15  # values of units that are computed together, 256 kB of float64


def evaluate_unwatched(problem: Any, network: Any) -> Evaluation:
    """As `evaluate`, without pre-activations, and faster for many networks at once.

    Args:
        problem: Data and loss.
        network: A network that fits them.

    Returns:
        The evaluation; its pre-activations are ().

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(evaluate_unwatched(problem, net).gradient.c)
        [2.5]
    """
    if not isinstance(problem, Problem):
        # The densities of functionals may hold traced numbers, which must not get into
        # a function with a rule of its own.
        return evaluate(problem, network)._replace(preactivations=())
    lanes_last = _has_layout(problem, network)
    block = max(_TOGETHER // _num_values(problem, network), 1)
    arrays, static = eqx.partition((problem, network), eqx.is_array)
    build = lambda arrays: eqx.combine(arrays, static)

    def plain(arrays):
        evaluation = evaluate(*build(arrays))
        return evaluation.loss, eqx.filter(evaluation.gradient, eqx.is_array)

    one = custom_vmap(plain)

    @one.def_vmap
    def many(num, batched, arrays):
        data, networks = batched[0]
        alike = all(jax.tree.leaves(networks)) and not any(jax.tree.leaves(data))
        if alike and lanes_last and num >= _FEW_LANES:
            result = _many(*build(arrays))
        else:
            axes = jax.tree.map(lambda on: 0 if on else None, batched[0])
            together = jax.vmap(plain, in_axes=(axes,))
            result = _in_blocks(plain, together, arrays, block, alike)
        return result, jax.tree.map(lambda _: True, result)

    # what is differentiated takes the plain way: a `custom_vmap` cannot be reversed
    whole = jax.custom_jvp(one)
    whole.defjvp(lambda point, direction: jax.jvp(plain, point, direction))
    value, gradient = whole(arrays)
    return Evaluation(value, eqx.combine(gradient, static[1]), ())


def _has_layout(problem: Problem, network: Any) -> bool:
    return (
        isinstance(network, TwoLayer)
        and network.activation.homogeneous
        and problem.in_dim <= _FEW_INPUTS
    )


def _num_values(problem: Any, network: Any) -> int:
    """Values of hidden units at all points: what one lane needs room for."""
    values = eqx.filter_eval_shape(preactivations, network, problem.x)
    return sum(z.size for z in values) or problem.x.size  # without hidden units


def _in_blocks(plain, together, arrays, block: int, alike: bool):
    """The results of all lanes; on CPUs of few at a time if only networks differ."""
    problem, networks = arrays
    if not alike or jax.tree.leaves(networks)[0].shape[0] <= block:
        return together(arrays)
    of_one = lambda problem, network: plain((problem, network))
    few_at_a_time = lambda problem, networks: jax.lax.map(
        ft.partial(of_one, problem), networks, batch_size=block
    )
    return jax.lax.platform_dependent(
        problem,
        networks,
        cpu=few_at_a_time,
        default=lambda problem, networks: together((problem, networks)),
    )


def _many(problem: Problem, networks: TwoLayer) -> tuple[Array, TwoLayer]:
    """Losses and gradients of networks with a leading axis, block by block."""
    num = networks.c.shape[0]
    block = min(_BLOCK, num)
    blocks = -(-num // block)
    arrays, static = eqx.partition(networks, eqx.is_array)

    def split(leaf):
        last = jnp.broadcast_to(leaf[-1:], (blocks * block - num, *leaf.shape[1:]))
        leaf = jnp.concatenate([leaf, last])
        return jnp.moveaxis(leaf.reshape(blocks, block, *leaf.shape[1:]), 1, -1)

    def join(leaf):
        leaf = jnp.moveaxis(leaf, -1, 1)
        return leaf.reshape(blocks * block, *leaf.shape[2:])[:num]

    one_block = lambda part: _block(problem, eqx.combine(part, static))
    result = jax.lax.map(one_block, jax.tree.map(split, arrays))
    return jax.tree.map(join, result)


def _block(problem: Problem, networks: TwoLayer) -> tuple[Array, Any]:
    """Losses and gradients of networks whose last axis is that of the lanes."""
    x, w, b, c, p = problem.x, networks.w, networks.b, networks.c, networks.p
    phi, q = networks.activation, problem.sample_weights

    def line(slopes: Float[Array, "d L"], intercept: Float[Array, " L"]):
        z = jnp.broadcast_to(intercept[None, :], (x.shape[0], intercept.shape[0]))
        for slope, inputs in zip(slopes, x.T, strict=True):
            z = z + inputs[:, None] * slope[None, :]
        return z

    def moments(e: Float[Array, "K L"]):
        g = [jnp.sum(inputs[:, None] * e, axis=0) for inputs in x.T]
        return jnp.stack(g), jnp.sum(e, axis=0)

    def forward(f, neuron):
        w_i, b_i, c_i = neuron
        return f + c_i[None, :] * phi(line(w_i, b_i)), None

    def backward(_, neuron):
        w_i, b_i, c_i = neuron
        g, g1 = moments(phi.derivative(line(w_i, b_i)) * e)
        return None, (c_i[None, :] * g, c_i * g1, jnp.sum(w_i * g, axis=0) + b_i * g1)

    f = (
        jnp.zeros((x.shape[0], c.shape[1]), x.dtype)
        if p is None
        else line(p[:-1], p[-1])
    )
    f, _ = jax.lax.scan(forward, f, (w, b, c))
    along = lambda function: jax.vmap(jax.vmap(function, (0, None)))(f, problem.y)
    value = q @ along(problem.loss)
    e = q[:, None] * along(problem.loss.gradient)
    _, gradient = jax.lax.scan(backward, None, (w, b, c))
    affine = None
    if p is not None:
        g, g1 = moments(e)
        affine = jnp.concatenate([g, g1[None, :]])
    where = lambda net: (net.w, net.b, net.c, net.p)
    filled = eqx.tree_at(
        where, networks, (*gradient, affine), is_leaf=lambda leaf: leaf is None
    )
    return value, eqx.filter(filled, eqx.is_array)
