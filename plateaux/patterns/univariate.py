r"""Univariate networks without the n × K matrices.

Along sorted data every neuron is on at a prefix or a suffix. So neuron gradients are
ends of running sums, and the least-squares problem of a cell is one of 2G rows, G the
number of groups of data between kinks: on a group of neighbouring data only the mean
and the slope of the targets matter. Time O(K + n log K) once the data are sorted, and a
small least-squares problem that does not depend on K.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..dynamics.sorted_gradient import sums_over_data
from ..networks.two_layer import TwoLayer
from ..networks.univariate import active_cuts, active_ranges
from ..problems.problem import Problem
from .cells import check_cells
from .least_squares import LeastSquares, least_squares
from .lines import Moments, check_univariate, group_moments


class SortedData(NamedTuple):
    """Univariate data, sorted once and used often.

    Attributes:
        order: The order that sorts the problem's data.
        x: Sorted inputs.
        y: Targets in that order.
        q: Sample weights q_k in that order.
    """

    order: Int[Array, " K"]
    x: Float[Array, " K"]
    y: Float[Array, " K"]
    q: Float[Array, " K"]


def sort_data(problem: Problem) -> SortedData:
    """Sort univariate data.

    Args:
        problem: Data with one input.

    Returns:
        The sorted data.

    Raises:
        ValueError: If there is more than one input.

    Example:
        >>> print(sort_data(Problem([[2.0], [1.0]], [5.0, 7.0])).y)
        [7. 5.]
    """
    check_univariate(problem)
    return _sort_data(problem)


@eqx.filter_jit
def _sort_data(problem: Problem) -> SortedData:
    order = jnp.argsort(problem.x[:, 0]).astype(jnp.int32)
    q = problem.sample_weights[order]
    return SortedData(order, problem.x[order, 0], problem.y[order], q)


def neuron_gradients(
    network: TwoLayer, x: Float[Array, " K"], forces: Float[Array, " K"]
) -> Float[Array, "n 2"]:
    r"""g_i = Σ_{k on} e_k (x_k, 1) for forces e_k = q_k r_k.

    Sums run from the end at which the neuron is on, so none is a difference of two
    larger ones.

    Args:
        network: A two-layer network with one input.
        x: Sorted inputs.
        forces: e in the same order.

    Returns:
        One row a neuron; ∂L/∂c_i = v_i·g_i and ∂L/∂v_i = c_i g_i.

    Example:
        >>> net = TwoLayer(w=[[1.0]], b=[-1.5], c=[1.0])
        >>> print(neuron_gradients(net, jnp.array([1.0, 2.0, 3.0]), jnp.ones(3)))
        [[5. 2.]]

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    cuts, falling = active_cuts(network, x), network.w[:, 0] < 0
    return sums_over_data(cuts, falling, jnp.stack([forces * x, forces])).T


def univariate_fit(
    data: SortedData, network: TwoLayer, problem: Problem
) -> LeastSquares:
    r"""`cell_fit` for one input, without the K × p matrix.

    On a group of neighbouring data with total weight Q, mean x̄, and spread S = Σ q
    (x − x̄)², the line a + bx has coordinates (√Q (a + b x̄), √S b) in an orthonormal
    basis, and what is orthogonal to it is the group's own residual. The fit is that of
    these coordinates: the same coefficients, of least norm, by an orthogonal reduction.

    Args:
        data: The problem's data, from `sort_data`.
        network: A two-layer ReLU network with one input.
        problem: The problem.

    Returns:
        The fit; fitted and residual are in the order of the problem.

    Raises:
        ValueError: As `cell_fit`.

    Example:
        >>> problem = Problem([[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0])
        >>> net = TwoLayer(w=[[1.0]], b=[-0.5], c=[1.0], p=[0.0, 0.0])
        >>> fit = univariate_fit(sort_data(problem), net, problem)
        >>> print(abs(float(fit.value)) < 1e-15)
        True
    """
    check_cells(problem, network)
    check_univariate(problem)
    return _univariate_fit(data, network, problem)


@eqx.filter_jit
def _univariate_fit(
    data: SortedData, network: TwoLayer, problem: Problem
) -> LeastSquares:
    num, width = data.x.shape[0], network.width
    start, stop = active_ranges(network, data.x)
    # A group begins after every cut inside the data.
    cuts = jnp.where(network.w[:, 0] < 0, stop, start)
    begins = jnp.zeros(num + 1, jnp.int32).at[cuts].set(1)[:num].at[0].set(0)
    group = jnp.cumsum(begins, dtype=jnp.int32)
    rows = group_moments(data.x, data.y, data.q, group, width + 1)
    on = _on(group, start, stop, width)
    matrix, target = _reduced(network, rows, on)
    small = least_squares(matrix, target)
    eta = small.coefficients.reshape(-1, 2)
    line = jnp.sum(jnp.where(on[:, :, None], eta[:width, None, :], 0), axis=0)
    if network.p is not None:
        line = line + eta[-1][None]
    fitted = line[group, 0] * data.x + line[group, 1]
    fitted = jnp.zeros_like(fitted).at[data.order].set(fitted)
    value = small.value + jnp.sum(rows.rss) / 2
    return small._replace(fitted=fitted, residual=fitted - problem.y, value=value)


def _on(group, start, stop, width: int):
    """Which neurons are on at the groups, (n, G); unused groups are off."""
    places = jnp.arange(width + 1, dtype=jnp.int32)
    first = jnp.searchsorted(group, places)  # K in unused places
    used = first < group.shape[0]
    inside = (first[None] >= start[:, None]) & (first[None] < stop[:, None])
    return inside & used[None]


def _reduced(network: TwoLayer, rows: Moments, on: Bool[Array, "n G"]):
    """The 2G equations in orthonormal coordinates of the groups."""
    if network.p is not None:
        on = jnp.concatenate([on, (rows.mass > 0)[None]])
    mass, spread = jnp.sqrt(rows.mass), jnp.sqrt(rows.spread)
    basis = jnp.stack(  # of (slope, intercept), by group and coordinate
        [
            jnp.stack([mass * rows.center, mass], axis=1),
            jnp.stack([spread, jnp.zeros_like(spread)], axis=1),
        ],
        axis=1,
    )
    blocks = jnp.where(on.T[:, None, :, None], basis[:, :, None, :], 0)
    target = jnp.stack([mass * rows.mean, spread * rows.slope], axis=1)
    return blocks.reshape(2 * on.shape[1], -1), target.reshape(-1)
