"""The trajectories of finished flows, whatever computed them."""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.network import Network
from ..networks.two_layer import TwoLayer, imbalance_drift
from ..problems.problem import Problem, loss
from ..problems.task import Task
from . import deep_state as deep, kinked_state as kinked
from .deep_flow import DeepFlow
from .flow_arguments import Arguments
from .smooth_flow import SmoothFlow
from .trajectory import Accuracy, EventKind, Events, Outcome, Stats, Trajectory


def trajectory_of(
    problem: Problem, start: TwoLayer, arguments: Arguments, state, record
) -> Trajectory:
    """The trajectory of a finished run of `kinked_flow`."""
    plan, times, saved = arguments.plan, arguments.times, state.saved
    reached = jnp.arange(times.size, dtype=jnp.int32) < saved.count
    network = kinked.network_of(start, state.parameters)
    rows = jax.tree.map(
        lambda a: a[: times.size], kinked.Parameters(saved.v, saved.c, saved.p)
    )
    networks = jax.vmap(ft.partial(kinked.network_of, start))(rows)
    losses = jax.vmap(ft.partial(loss, problem))(networks)
    monitor = state.monitor
    drop = loss(problem, start) - loss(problem, network)
    drift = imbalance_drift(start, network)
    events = _events(state, plan.max_events)
    return Trajectory(
        times=times,
        steps=jnp.where(reached, saved.steps[: times.size], monitor.steps),
        losses=jnp.where(reached, losses, jnp.inf),
        saved=record_all(problem, networks, record),
        network=network,
        outcome=_outcome(state.status),
        events=events,
        accuracy=Accuracy(drift, drop - monitor.energy, monitor.slide_distance),
        stats=Stats(
            num_steps=monitor.steps,
            pair_flips=jnp.sum(
                (events.kind == EventKind.on) | (events.kind == EventKind.off),
                dtype=jnp.int32,
            ),
            pattern_changes=None,
            num_rejected=monitor.attempts - monitor.steps,
            sliding_time=monitor.sliding_time,
            num_ambiguous=monitor.ambiguous,
            num_grazing=monitor.grazing,
            num_stiff=monitor.stiff_steps,
        ),
        time_unit=problem.time_unit,
    )


def _events(state, max_events: int) -> Events:
    count = jnp.minimum(state.table.count, max_events)
    used = jnp.arange(max_events, dtype=jnp.int32) < count
    columns = jnp.where(used[:, None], state.table.columns[:max_events], -1)
    return Events(
        time=jnp.where(used, state.table.time[:max_events], jnp.inf),
        neuron=columns[:, 0],
        datum=columns[:, 1],
        kind=columns[:, 2],
        count=count,
        overflow=state.status == kinked.TOO_MANY_EVENTS,
        previous=columns[:, 3],
        dies=columns[:, 4] > 0,
    )


def _outcome(status) -> Outcome:
    """The outcome that belongs to a status number."""
    outcome = Outcome.completed
    for code, other in (
        (kinked.OUT_OF_STEPS, Outcome.out_of_steps),
        (kinked.TOO_MANY_EVENTS, Outcome.too_many_events),
        (kinked.DIVERGED, Outcome.diverged),
        (kinked.STALLED, Outcome.stalled),
        (kinked.TOO_MANY_SLIDES, Outcome.too_many_slides),
    ):
        outcome = Outcome.where(status == code, other, outcome)
    return outcome


def record_all(problem: Task, networks: Network, record) -> dict[str, Any]:
    """The recorded functions at saved networks, one saved time after another."""
    if not record:
        return {}
    params, static = eqx.partition(networks, eqx.is_inexact_array)
    look = lambda params: {
        name: eqx.filter(fn(problem, eqx.combine(params, static)), eqx.is_array)
        for name, fn in record
    }
    return jax.lax.map(look, params)


def smooth_trajectory(
    problem, network, arguments: Arguments, run: SmoothFlow, record
) -> Trajectory:
    """The trajectory of the flow of a network with a smooth activation."""
    times = arguments.times
    losses = jax.lax.map(ft.partial(loss, problem), run.networks)
    residual = loss(problem, network) - loss(problem, run.network) - run.energy
    return Trajectory(
        times=times,
        steps=run.steps,
        losses=jnp.where(times <= run.time, losses, jnp.inf),
        saved=record_all(problem, run.networks, record),
        network=run.network,
        outcome=run.outcome,
        events=None,
        accuracy=Accuracy(imbalance_drift(network, run.network), residual),
        stats=Stats(run.num_steps, None, None, num_rejected=run.num_rejected),
        time_unit=problem.time_unit,
    )


def deep_trajectory(
    problem, network, arguments: Arguments, run: DeepFlow, record
) -> Trajectory:
    """The trajectory of the flow of an `MLP` with a kinked activation."""
    times = arguments.times
    outcome = Outcome.where(run.completed, Outcome.completed, Outcome.out_of_steps)
    for code, other in (
        (deep.SLIDING, Outcome.sliding),
        (deep.TOO_MANY_EVENTS, Outcome.too_many_events),
        (deep.DIVERGED, Outcome.diverged),
        (deep.STALLED, Outcome.stalled),
    ):
        outcome = Outcome.where(run.status == code, other, outcome)
    losses = jax.lax.map(ft.partial(loss, problem), run.networks)
    drop = loss(problem, network) - loss(problem, run.network)
    crossings = (run.events.kind == EventKind.on) | (run.events.kind == EventKind.off)
    return Trajectory(
        times=times,
        steps=run.steps,
        losses=jnp.where(times <= run.time, losses, jnp.inf),
        saved=record_all(problem, run.networks, record),
        network=run.network,
        outcome=outcome,
        events=run.events,
        accuracy=Accuracy(None, drop - run.energy),
        stats=Stats(
            run.num_steps,
            jnp.sum(crossings, dtype=jnp.int32),
            None,
            num_rejected=run.num_rejected,
        ),
        time_unit=problem.time_unit,
    )


def estimated_error(coarse: Network, fine: Network) -> Float[Array, ""]:
    """Error of the coarse run if halving the tolerance halves it: 2‖coarse − fine‖."""
    params = lambda network: eqx.filter(network, eqx.is_inexact_array)
    squares = jax.tree.map(
        lambda a, b: jnp.sum((a - b) ** 2), params(coarse), params(fine)
    )
    return 2 * jnp.sqrt(jnp.sum(jnp.stack(jax.tree.leaves(squares))))
