"""What adaptive steps share: errors relative to each neuron, and the next step size."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..networks.chain import Chain
from ..networks.mlp import MLP
from ..networks.network import Network
from ..networks.two_layer import TwoLayer

SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0
# Exponents of the present and the previous error, for errors of order h⁵.
PRESENT, PREVIOUS = -0.17, 0.04


def step_factor(error, previous, accepted, finite) -> Array:
    """The proportional–integral controller of Gustafsson; 1/10 for a failed step."""
    safe = jnp.where(finite, jnp.maximum(error, 1e-8), 1)
    factor = SAFETY * safe**PRESENT * previous**PREVIOUS
    factor = jnp.clip(factor, SHRINK, jnp.where(accepted, GROW, 1))
    return jnp.where(finite, factor, 0.1)


def next_step(s: Any, h, error, accepted, finite, end) -> tuple[Array, Array]:
    """The step to try next, and whether it is too small to move the time.

    Args:
        s: The loop's state: time `t`, step `h` that was wanted, error `previous`.
        h: The step that was tried.
        error: Its error in units of the tolerance.
        accepted: Whether it was taken.
        finite: Whether it was finite.
        end: End of the run.
    """
    new = h * step_factor(error, s.previous, accepted, finite)
    # A step cut short to meet a saved time says nothing against the longer one.
    new = jnp.where(accepted & (h < s.h), jnp.maximum(new, s.h), new)
    eps = jnp.finfo(h.dtype).eps
    return new, ~accepted & (new <= 2 * eps * jnp.maximum(s.t, eps * end))


def neuron_norms(network: Network) -> Callable[[Array], Array]:
    """The norms of all neurons, as a function of a flat vector of parameters."""
    groups, num_groups = neuron_groups(network)
    return lambda v: jnp.sqrt(jax.ops.segment_sum(v**2, groups, num_groups))


def first_step(size: Array, speed: Array, end: Float[Array, ""]) -> Float[Array, ""]:
    """A hundredth of the shortest time in which a neuron changes by its own size."""
    moving = (size > 0) & (speed > 0)
    ratio = jnp.where(moving, size, jnp.inf) / jnp.where(moving, speed, 1)
    return jax.lax.stop_gradient(jnp.minimum(end, jnp.min(ratio) / 100))


def worst_ratio(error: Array, scale: Array) -> Float[Array, ""]:
    """Largest error/scale, where a group without size and error counts as exact."""
    exact = error == 0
    return jnp.max(jnp.where(exact, 0, error / jnp.where(exact, 1, scale)))


def neuron_groups(network: Network) -> tuple[np.ndarray, int]:
    """For every flat parameter the neuron it belongs to, and how many there are."""
    params = eqx.filter(network, eqx.is_inexact_array)
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    parts = [
        np.broadcast_to(_rows(network, i, path, leaf.shape), leaf.shape).ravel()
        for i, (path, leaf) in enumerate(leaves)
    ]
    _, groups = np.unique(np.concatenate(parts), return_inverse=True)
    return groups, int(groups.max()) + 1


def _rows(network: Network, index: int, path: Any, shape: tuple[int, ...]) -> Any:
    """The neurons of one leaf, to be broadcast along its columns."""
    name = path[0].name
    column = lambda first: (
        first + np.arange(shape[0]).reshape((-1, *[1] * len(shape[1:])))
    )
    if isinstance(network, TwoLayer):
        return network.width if name == "p" else column(0)
    if isinstance(network, Chain):
        return column(0)
    if not isinstance(network, MLP):
        return index
    total = sum(network.widths)
    if name in ("readout", "readout_bias"):
        return total if network.out_dim is None else column(total)
    if name == "embedding":
        return column(total + (network.out_dim or 1))
    return column(sum(network.widths[: path[1].idx]))
