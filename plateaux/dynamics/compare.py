r"""How far descent strays from the flow, measured in several ways.

Gradient descent with step size h follows, to second order in h, not the flow of L
but that of the modified loss L + (h/4)‖∇L‖²; where the flow has kinks even the first
order can fail. `compare` measures the distance of two runs that saved their networks
at the same times; `modified_gradient` is the field of the modified loss.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from .. import _checks
from ..networks.network import Network, outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import check_match, loss
from ..problems.task import Task
from .trajectory import EventKind, Events, Trajectory

_REMEDY = 'record={"network": lambda problem, network: network}'


class Comparison(eqx.Module):
    """Distances of descent from the flow, at every saved time.

    Attributes:
        times: The saved times, those of both runs.
        distance: ‖θ_descent(t) − θ_flow(t)‖ over all parameters.
        relative_distance: The same, divided by ‖θ_flow(t)‖.
        nearest_distance: Distance of θ_descent(t) from the nearest saved point of the
            flow: small where descent follows the flow's path at another pace.
        nearest_time: The time of that point.
        function_distance: (Σ q_k ‖f_descent(x_k) − f_flow(x_k)‖² / Σ q_k)^½.
        matched_distance: Distance over all orders of the neurons and, if the
            activation is homogeneous, all positive rescalings; see `matched_distance`.
            None for networks that are not two-layer.
        divergence_time: First saved time with a relative distance above the threshold;
            inf if there is none.
        flow_events: Number of the flow's events of the kinds off, on, slide,
            collapse; None if it was not watched.
        descent_events: Likewise for descent.
        step_times_curvature: h λ_max(∇²L) of descent, whose stability ends at 2; on a
            kink, of the cell on its off side. None if not asked for.
    """

    times: Float[Array, " t"]
    distance: Float[Array, " t"]
    relative_distance: Float[Array, " t"]
    nearest_distance: Float[Array, " t"]
    nearest_time: Float[Array, " t"]
    function_distance: Float[Array, " t"]
    matched_distance: Float[Array, " t"] | None
    divergence_time: Float[Array, ""]
    flow_events: Int[Array, " kinds"] | None
    descent_events: Int[Array, " kinds"] | None
    step_times_curvature: Float[Array, " t"] | None


def compare(
    flow: Trajectory,
    descent: Trajectory,
    problem: Task,
    *,
    threshold: Any = 0.1,
    curvature: bool = True,
) -> Comparison:
    r"""Compare descent with the flow at the same times.

    Nothing is interpolated: both runs must have saved their networks, at the same
    times. A descent that diverged is compared by its last finite network.

    Args:
        flow: The run to compare with.
        descent: The run to judge, of plain gradient descent or another flow.
        problem: The data that both were trained on.
        threshold: Relative distance that counts as divergence, positive.
        curvature: Whether to compute h λ_max along descent, by a dense
            eigenvalue problem in all p parameters: p³ operations a saved time.

    Returns:
        The comparison. Host-side where neurons are matched: one pair of runs at a time.

    Raises:
        ValueError: If networks are not saved, the saved times differ, or their units.
        TypeError: If the networks are of different kinds.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 3.0]))
        >>> net = px.TwoLayer(w=[[1.0]], b=[0.5], c=[0.5])
        >>> record = {"network": lambda problem, network: network}
        >>> fine, coarse = (
        ...     px.descend(problem, net, px.gradient_descent(h), num_steps=round(2 / h),
        ...                save=px.at([0.0, 1.0, 2.0]), record=record)
        ...     for h in (0.01, 0.1)
        ... )
        >>> comparison = compare(fine, coarse, problem, threshold=0.5)
        >>> bool(jnp.all(comparison.relative_distance < 0.1))
        True
        >>> print(comparison.divergence_time)
        inf

    Reference: Barrett & Dherin (2021), Implicit gradient regularization; Elkabetz &
    Cohen (2021), Continuous vs. discrete optimization of deep neural networks.
    """
    threshold = _checks.positive("threshold", threshold)
    ours, theirs = (_saved(name, run) for name, run in _named(flow, descent))
    _check_alike(flow, descent, ours, theirs)
    threshold = jnp.asarray(threshold, flow.times.dtype)
    matched = None
    if isinstance(ours, TwoLayer) and isinstance(theirs, TwoLayer):
        matched = matched_distance(ours, theirs)
    return Comparison(
        times=flow.times,
        matched_distance=matched,
        flow_events=_event_counts(flow.events),
        descent_events=_event_counts(descent.events),
        step_times_curvature=_sharpness(problem, descent.times, descent.steps, theirs)
        if curvature
        else None,
        **_measure(problem, flow.times, ours, theirs, threshold),
    )


def _named(flow: Trajectory, descent: Trajectory):
    return (("flow", flow), ("descent", descent))


def _saved(name: str, run: Trajectory) -> Network:
    """The saved networks, with a leading time axis."""
    saved = run.saved.get("network")
    if run.times.ndim != 1:
        raise ValueError(
            f"Argument `{name}` must be one run, but its times have shape "
            f"{run.times.shape}; compare the runs of a batch one by one."
        )
    if not isinstance(saved, Network):
        raise ValueError(
            f"Argument `{name}` must hold its networks, but saved "
            f"{sorted(run.saved) or 'nothing'}; run it with {_REMEDY}."
        )
    return saved


def _check_alike(flow: Trajectory, descent: Trajectory, ours, theirs) -> None:
    times, others = np.asarray(flow.times), np.asarray(descent.times)
    round_off = 64 * np.finfo(times.dtype).eps
    if times.shape != others.shape or np.any(
        np.abs(times - others) > round_off * times
    ):
        raise ValueError(
            "Arguments `flow` and `descent` must have saved at the same times, but "
            f"one saved {times.size} times up to {times.max(initial=0)} and the other "
            f"{others.size} up to {others.max(initial=0)}; give both the same save= "
            "schedule of times, multiples of the step size."
        )
    if flow.time_unit != descent.time_unit:
        raise ValueError(
            "Arguments `flow` and `descent` must share their unit of time, but have "
            f"{flow.time_unit!r} and {descent.time_unit!r}."
        )
    shapes = [jax.tree.map(jnp.shape, net) for net in (ours, theirs)]
    if jax.tree.structure(ours) != jax.tree.structure(theirs) or (
        jax.tree.leaves(shapes[0]) != jax.tree.leaves(shapes[1])
    ):
        raise TypeError(
            "Arguments `flow` and `descent` must have trained networks of one kind "
            "and size, but the saved networks differ in structure or shape."
        )


def _vector(network: Network) -> Float[Array, " p"]:
    return ravel_pytree(eqx.filter(network, eqx.is_inexact_array))[0]


@eqx.filter_jit
def _measure(problem: Task, times, ours, theirs, threshold) -> dict[str, Array]:
    """All distances that are plain sums."""
    a, b = (jax.vmap(_vector)(networks) for networks in (ours, theirs))
    length = lambda rows: jnp.sqrt(jnp.sum(rows**2, axis=-1))
    to_all = lambda point: length(a - point[None, :])
    nearest = jax.lax.map(lambda point: jnp.argmin(to_all(point)), b)
    look = jax.vmap(lambda network: outputs(network, problem.x))
    gap = (look(theirs) - look(ours)).reshape(len(times), problem.num_data, -1)
    q = problem.sample_weights
    distance, norm = length(b - a), length(a)
    relative = distance / jnp.where(norm > 0, norm, jnp.ones_like(norm))
    return {
        "distance": distance,
        "relative_distance": relative,
        "divergence_time": jnp.min(jnp.where(relative > threshold, times, jnp.inf)),
        "nearest_distance": length(b - a[nearest]),
        "nearest_time": times[nearest],
        "function_distance": jnp.sqrt(jnp.sum(gap**2, axis=-1) @ q / jnp.sum(q)),
    }


@eqx.filter_jit
def _event_counts(events: Events | None) -> Int[Array, " kinds"] | None:
    if events is None:
        return None
    kinds = jnp.array([kind for kind in EventKind if kind >= 0], events.kind.dtype)
    used = jnp.arange(events.kind.size, dtype=events.count.dtype) < events.count
    same = (events.kind[None, :] == kinds[:, None]) & used[None, :]
    return jnp.sum(same, axis=1, dtype=jnp.int32)


@eqx.filter_jit
def _sharpness(problem: Task, times, steps, networks) -> Array:
    step = times[-1] / steps[-1].astype(times.dtype)
    return step * _largest_curvatures(problem, networks)


def _largest_curvatures(problem: Task, networks) -> Float[Array, " t"]:
    """λ_max(∇²L) of every network, densely."""
    params, static = eqx.partition(networks, eqx.is_inexact_array)

    def largest(params):
        vector, restore = ravel_pytree(params)
        value = lambda vector: loss(problem, eqx.combine(restore(vector), static))
        return jnp.linalg.eigvalsh(jax.hessian(value)(vector))[-1]

    return jax.lax.map(largest, params)


def matched_distance(first: TwoLayer, second: TwoLayer) -> Float[Array, "..."]:
    r"""Distance of two-layer networks over the order and scaling of their neurons.

    min_π (Σ_i ‖u_i − u'_π(i)‖² + ‖p − p'‖²)^½ with u = (w, b, c), and for homogeneous
    activations its balanced form: c φ(v·x̃) = sign(c) a φ(a v·x̃/‖v‖), a = (|c|‖v‖)^½.
    It is 0 exactly if the networks are the same up to these symmetries. Neurons that
    are zero in one factor are the zero neuron. Balancing changes lengths: the distance
    of networks far from balance may exceed that of their parameters.

    Args:
        first: A network, or many with leading axes.
        second: As many, of the same width.

    Returns:
        The distances. Host-side: an optimal assignment, cubic in the width.

    Example:
        >>> net = TwoLayer(w=[[1.0], [-2.0]], b=[0.0, 1.0], c=[1.0, -0.5])
        >>> same = TwoLayer(w=[[-1.0], [2.0]], b=[0.5, 0.0], c=[-1.0, 0.5])
        >>> float(matched_distance(net, same)) < 1e-7
        True

    Reference: Kuhn (1955) for the assignment.
    """
    from scipy.optimize import linear_sum_assignment  # heavy, and used only here

    a, b = _canonical(first), _canonical(second)
    lead, shape = a.shape[:-2], a.shape[-2:]
    found = []
    for u, v in zip(a.reshape(-1, *shape), b.reshape(-1, *shape), strict=True):
        cost = np.sum((u[:, None, :] - v[None, :, :]) ** 2, axis=-1)
        found.append(cost[linear_sum_assignment(cost)].sum())
    squares = np.array(found).reshape(lead)
    if first.p is not None and second.p is not None:
        squares = squares + np.sum(np.asarray(first.p - second.p) ** 2, axis=-1)
    return jnp.asarray(np.sqrt(squares), first.c.dtype)


def _canonical(network: TwoLayer) -> Float[np.ndarray, "... n u"]:
    w, b, c = (np.asarray(part) for part in (network.w, network.b, network.c))
    v, c = np.concatenate([w, b[..., None]], axis=-1), c[..., None]
    if network.activation.homogeneous:
        size = np.linalg.norm(v, axis=-1, keepdims=True)
        balanced = np.sqrt(np.abs(c) * size)
        v = balanced * v / np.where(size > 0, size, 1)
        c = balanced * np.sign(c)
    return np.concatenate([v, c], axis=-1)


def modified_gradient(problem: Task, network: Network, step_size: Any) -> Network:
    r"""Gradient of the modified loss L + (h/4)‖∇L‖², which descent follows.

    ∇L + (h/2) ∇²L ∇L: descent with step size h stays within O(h²) of the flow
    θ̇ = −(this) over a fixed time, and within O(h) of the flow of L. Costs one
    Hessian-vector product.

    Args:
        problem: Data and loss.
        network: A network with a smooth activation.
        step_size: h, positive.

    Returns:
        The gradient, a network with gradients in the place of parameters.

    Raises:
        ValueError: If the activation has a kink: there ∇²L misses its jumps.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0]]), jnp.array([0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[2.0], activation="identity")
        >>> print(modified_gradient(problem, net, 0.1).c)
        [3.7]

    Reference: Barrett & Dherin (2021), Implicit gradient regularization
    (arXiv:2009.11162).
    """
    check_match(problem, network)
    if network.activation.kinked:
        raise ValueError(
            "Argument `network` must have a smooth activation, but has "
            f"{network.activation}; the modified loss has no second derivative at its "
            "kinks."
        )
    half = jnp.asarray(_checks.positive("step_size", step_size), problem.x.dtype) / 2
    params, static = eqx.partition(network, eqx.is_inexact_array)
    value = lambda params: loss(problem, eqx.combine(params, static))
    gradient = jax.grad(value)
    slope, curved = jax.jvp(gradient, (params,), (gradient(params),))
    moved = jax.tree.map(lambda g, hg: g + half * hg, slope, curved)
    return eqx.combine(moved, static)
