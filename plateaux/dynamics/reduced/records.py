"""The record of a reduced model: a trajectory, as of every way of training."""

import functools as ft
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ...networks.network import extended
from ...networks.two_layer import TwoLayer, imbalance_drift
from ...problems.problem import Problem
from .. import smooth_flow as smooth
from ..flow_arguments import Arguments, checked
from ..flow_results import record_all
from ..trajectory import Accuracy, Outcome, Stats, Trajectory


def model_times(problem: Problem, t1: Any, save: Any) -> Float[Array, " t"]:
    """The saved times of a closed form, or a refusal."""
    return checked(problem, t1, None, None, save, 1, 1, "explicit").times


def linear_losses(problem: Problem, slope: float, beta: Float[Array, "t D"]):
    """½ E[(φ'(0) β·x̃ − y)²] of every row."""
    f = slope * (beta @ extended(problem.x).T)
    return (f - problem.y[None, :]) ** 2 @ problem.sample_weights / 2


def closed_form(
    problem: Problem,
    times: Float[Array, " t"],
    losses: Float[Array, " t"],
    rows: Any,
    network_at: Callable[[Any], TwoLayer],
    record,
) -> Trajectory:
    """The trajectory of a closed form, whose networks are functions of rows.

    Where numbers overflow the trajectory ends, with the last finite network.
    """
    finite = jnp.isfinite(losses)
    last = jnp.maximum(jnp.sum(finite, dtype=jnp.int32) - 1, 0)
    none = jnp.zeros((), jnp.int32)
    return Trajectory(
        times=times,
        steps=jnp.zeros(times.shape, jnp.int32),
        losses=jnp.where(finite, losses, jnp.inf),
        saved=record_all(problem, jax.vmap(network_at)(rows), record),
        network=network_at(jax.tree.map(lambda a: a[last], rows)),
        outcome=Outcome.where(
            last == times.size - 1, Outcome.completed, Outcome.diverged
        ),
        events=None,
        accuracy=Accuracy(None, None),
        stats=Stats(none, None, None, num_rejected=none),
        time_unit=problem.time_unit,
    )


def model_flow(
    problem: Problem,
    network: TwoLayer,
    arguments: Arguments,
    velocity: Callable[[Any], TwoLayer],
) -> smooth.SmoothFlow:
    """The flow of another field of velocities, with errors measured by neuron."""
    tolerance = smooth.Tolerance(arguments.rtol, arguments.atol)
    field = smooth.field_of(
        problem, network, arguments.times, tolerance, arguments.max_steps, "explicit"
    )
    flat = lambda y: ravel_pytree(
        eqx.filter(velocity(field.build(y)), eqx.is_inexact_array)
    )[0]
    step = lambda s, h: smooth.explicit_attempt(flat, s.slope, s.y, h)
    field = field._replace(velocity=flat, step=step)
    state = jax.lax.while_loop(
        ft.partial(smooth.is_running, field),
        ft.partial(smooth.attempt, field),
        smooth.start_state(field, network),
    )
    return smooth.finished_flow(field, state)


def integrated(
    problem: Problem,
    start: TwoLayer,
    times: Float[Array, " t"],
    losses: Float[Array, " t"],
    run: smooth.SmoothFlow,
    network: TwoLayer,
    saved: dict[str, Any],
) -> Trajectory:
    """The trajectory of a model that `model_flow` integrated."""
    return Trajectory(
        times=times,
        steps=run.steps,
        losses=jnp.where(times <= run.time, losses, jnp.inf),
        saved=saved,
        network=network,
        outcome=run.outcome,
        events=None,
        accuracy=Accuracy(imbalance_drift(start, network), None),
        stats=Stats(run.num_steps, None, None, num_rejected=run.num_rejected),
        time_unit=problem.time_unit,
    )
