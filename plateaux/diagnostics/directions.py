r"""Directions of input weights: all pairs, an order that shows them, their number.

Input weights v_i are (w_i, b_i), or w_i in a network without biases. A neuron without
input weights has no direction.
"""

import functools as ft
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import _checks
from .._lengths import lengths, relative, unit_rows
from ._neurons import neurons


class Directions(NamedTuple):
    """Directions that the input weights of a network have.

    Attributes:
        count: How many there are.
        label: The direction of every neuron, counted from 0 in order of the size of
            its largest neuron; −1 for neurons of negligible size.
        leader: The neuron that founded each direction; −1 in unused places.
    """

    count: Int[Array, ""]
    label: Int[Array, " n"]
    leader: Int[Array, " n"]


def cosine_similarity(problem: Any, network: Any) -> Float[Array, "n n"]:
    r"""cos(v_i, v_j) of all pairs of neurons, in the network's own order.

    `display_order` has an order in which to look at it; `px.plot.condensation_map`
    draws both. A neuron without input weights has cosine 0, with itself too.

    Args:
        problem: Data and loss.
        network: A network with one hidden layer.

    Returns:
        A symmetric matrix of numbers between −1 and 1.

    Raises:
        ValueError: If the network has no single layer of neurons.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> network = px.TwoLayer([[3.0], [-1.0]], [4.0, 0.0], [1.0, 1.0])
        >>> print(cosine_similarity(problem, network).round(6))
        [[ 1.  -0.6]
         [-0.6  1. ]]

    Reference: Luo, Xu, Ma & Zhang (2021), JMLR 22(71), 1-47, for condensation.
    """
    unit = unit_rows(neurons(problem, network).v)
    return jnp.clip(unit @ unit.T, -1, 1)


def display_order(problem: Any, network: Any) -> Int[Array, " n"]:
    r"""An order of the neurons in which parallel input weights stand together.

    By angle in the plane of the two leading right singular vectors of the unit vectors
    v_i/‖v_i‖, in which most of their length lies; the circle is cut at its widest gap.
    With one input and a bias these are the angles of the v_i. A neuron without input
    weights has angle 0.

    Args:
        problem: Data and loss.
        network: A network with one hidden layer.

    Returns:
        Numbers of the neurons, first to last.

    Raises:
        ValueError: If the network has no single layer of neurons.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> w, b = [[2.0], [-1.0], [1.0], [-3.0]], [0.1, 0.0, 0.0, 0.0]
        >>> order = display_order(problem, px.TwoLayer(w, b, [1.0] * 4))
        >>> sorted(order[:2].tolist()), sorted(order[2:].tolist())
        ([0, 2], [1, 3])
    """
    return _by_angle(neurons(problem, network).v)


@jax.jit
def _by_angle(v: Float[Array, "n D"]) -> Int[Array, " n"]:
    unit = unit_rows(v)
    axes = jnp.linalg.svd(unit, full_matrices=False)[2][:2]
    # A singular vector has no sign of its own: its largest entry is made positive.
    at = jnp.argmax(jnp.abs(axes), axis=1)
    axes = axes * jnp.sign(jnp.take_along_axis(axes, at[:, None], axis=1))
    across = unit @ axes[1] if len(axes) > 1 else jnp.zeros_like(unit[:, 0])
    angle = jnp.arctan2(across, unit @ axes[0])
    order = jnp.argsort(angle)
    ascending = angle[order]
    gaps = jnp.roll(ascending, -1).at[-1].add(2 * math.pi) - ascending
    return jnp.roll(order, -(jnp.argmax(gaps) + 1))


def directions(
    problem: Any,
    network: Any,
    *,
    least_cosine: Any = 0.95,
    negligible: Any = 0.01,
    oriented: bool = False,
) -> Directions:
    r"""The directions of a network's input weights, by leaders.

    Neurons whose size |c_i|‖v_i‖ is at most `negligible` times the largest are left
    out. The largest neuron without a direction founds one, and all others without a
    direction whose |cos| to it is at least `least_cosine` join; and so on until all
    have one. So every neuron is within an angle of its leader, and the leaders are
    further apart than that angle: unlike connected components, neurons in all
    directions are never one cluster, however many there are. Costs n·D a direction.
    In a zero network there are none.

    Args:
        problem: Data and loss.
        network: A network with one hidden layer.
        least_cosine: Cosine from which two directions are one, above 0, at most 1; 0.95
            is an angle of 18°.
        negligible: Size below which a neuron does not count, relative to the largest,
            from 0 to below 1.
        oriented: Whether v and −v are two directions; the same if not, as suits odd
            activations.

    Returns:
        The directions.

    Raises:
        ValueError: If the network has no single layer of neurons, or a threshold is
            out of its range.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> w, b = [[1.0], [0.0], [-2.0], [1e-3]], [0.1, 1.0, 0.0, 1e-3]
        >>> found = directions(problem, px.TwoLayer(w, b, [1.0, 1.0, -2.0, 1e-3]))
        >>> print(found.count, found.label, found.leader)
        2 [ 0  1  0 -1] [ 2  1 -1 -1]

    Reference: Luo, Xu, Ma & Zhang (2021), JMLR 22(71), 1-47, for condensation.
    """
    v, c, _ = neurons(problem, network)
    _check_fraction("least_cosine", least_cosine, lambda a: 0 < a <= 1, "in (0, 1]")
    _check_fraction("negligible", negligible, lambda a: 0 <= a < 1, "in [0, 1)")
    size = relative(relative(lengths(v)) * relative(jnp.abs(c)))
    return _by_leaders(unit_rows(v), size, least_cosine, negligible, oriented)


@ft.partial(jax.jit, static_argnames="oriented")
def _by_leaders(unit, size, least_cosine, negligible, oriented) -> Directions:
    # The cosine of a vector with its multiple rounds to a little below 1.
    threshold = least_cosine - 8 * jnp.finfo(unit.dtype).eps

    def found_next(state):
        free, (count, label, leader) = state
        first = jnp.argmax(jnp.where(free, size, -1))
        cosine = unit @ unit[first]
        join = free & ((cosine if oriented else jnp.abs(cosine)) >= threshold)
        join = join.at[first].set(True)
        label = jnp.where(join, count, label)
        leader = leader.at[count].set(first.astype(jnp.int32))
        return free & ~join, Directions(count + 1, label, leader)

    none = jnp.full(size.shape, -1, jnp.int32)
    start = size > negligible, Directions(jnp.zeros((), jnp.int32), none, none)
    return jax.lax.while_loop(lambda state: jnp.any(state[0]), found_next, start)[1]


def _check_fraction(name: str, value: Any, holds: Any, words: str) -> None:
    if _checks.is_concrete(value) and not holds(float(value)):
        raise ValueError(f"Argument `{name}` must be {words}, but is {value}.")
