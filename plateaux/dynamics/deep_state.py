"""The state of a deep flow, and the smooth flow of a pattern."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ..networks.mlp import MLP
from ..problems.problem import Problem
from .error_control import first_step, neuron_norms
from .saved_rows import SavedRows, start_rows
from .trajectory import Events

RUNNING, SLIDING, TOO_MANY_EVENTS, DIVERGED, STALLED = range(5)


class State(eqx.Module):
    """What the next step needs.

    Attributes:
        t: Time.
        y: θ.
        pattern: Which pairs (neuron, datum) are on.
        sizes: Norms of the neurons at the start.
        h: Step size to try.
        previous: Error of the last accepted step, in units of the tolerance.
        saved: θ at the saved times.
        energy: ∫‖θ̇‖² dt.
        num_steps: Steps taken.
        num_rejected: Steps rejected.
        event_time: When.
        event_columns: Neuron, datum, kind, previous kind.
        num_events: Rows in use.
        idle: Events since time last advanced.
        status: RUNNING, or why not.
    """

    t: Float[Array, ""]
    y: Float[Array, " p"]
    pattern: Bool[Array, "n K"]
    sizes: Float[Array, " groups"]
    h: Float[Array, ""]
    previous: Float[Array, ""]
    saved: SavedRows
    energy: Float[Array, ""]
    num_steps: Int[Array, ""]
    num_rejected: Int[Array, ""]
    event_time: Float[Array, " E"]
    event_columns: Int[Array, "E 4"]
    num_events: Int[Array, ""]
    idle: Int[Array, ""]
    status: Int[Array, ""]


class Field(NamedTuple):
    """The flow of a pattern, and how its errors are measured.

    Attributes:
        build: From flat parameters to the network.
        velocity: (θ, pattern) to θ̇.
        preactivations: (θ, pattern) to all z, shape (n, K), neurons through layers.
        norms: θ to the norms of its neurons.
        rtol: Relative tolerance.
        atol: Tolerance relative to the size of a neuron at the start.
        times: Saved times.
        max_steps: Most steps to try.
    """

    build: Callable[[Array], MLP]
    velocity: Callable[[Array, Array], Array]
    preactivations: Callable[[Array, Array], Array]
    norms: Callable[[Array], Array]
    rtol: Float[Array, ""]
    atol: Float[Array, ""]
    times: Float[Array, " t"]
    max_steps: Any

    @property
    def end(self) -> Float[Array, ""]:
        """The last saved time."""
        return self.times[-1]


def field_of(
    problem: Problem, network: MLP, times, rtol, atol, max_steps: Any
) -> Field:
    """The flow of networks like this one, whose own parameters do not matter."""
    params, static = eqx.partition(network, eqx.is_inexact_array)
    _, unravel = ravel_pytree(params)
    build = lambda y: eqx.combine(unravel(y), static)
    return Field(
        build=build,
        velocity=lambda y, pattern: (
            -jax.grad(lambda y: _frozen(problem, build(y), pattern)[0])(y)
        ),
        preactivations=lambda y, pattern: _frozen(problem, build(y), pattern)[1],
        norms=neuron_norms(network),
        rtol=rtol,
        atol=atol,
        times=times,
        max_steps=max_steps,
    )


def _frozen(problem: Problem, network: MLP, pattern) -> tuple[Array, Array]:
    """Loss and pre-activations of the smooth network that a pattern stands for."""
    off = getattr(network.activation, "slope", 0.0)
    slopes = jnp.where(pattern, 1, jnp.asarray(off, problem.x.dtype))
    cuts = [sum(network.widths[: i + 1]) for i in range(network.depth - 1)]
    zs, outputs = jax.vmap(network.frozen, in_axes=(0, 1), out_axes=(1, 0))(
        problem.x, tuple(jnp.split(slopes, cuts))
    )
    losses = jax.vmap(problem.loss)(outputs, problem.y)
    return problem.sample_weights @ losses, jnp.concatenate(zs)


def start_state(field: Field, problem: Problem, network: MLP, max_events: int) -> State:
    """The state of a run that starts at a network."""
    start = ravel_pytree(eqx.filter(network, eqx.is_inexact_array))[0]
    zero, count = jnp.zeros((), start.dtype), jnp.zeros((), jnp.int32)
    pattern = jnp.concatenate(jax.vmap(network.hidden, out_axes=1)(problem.x)) > 0
    slope = field.velocity(start, pattern)
    finite = jnp.all(jnp.isfinite(slope))
    sizes = field.norms(start)
    return State(
        t=zero,
        y=start,
        pattern=pattern,
        sizes=sizes,
        h=first_step(sizes, field.norms(slope), field.end),
        previous=zero + 1,
        saved=start_rows(start, len(field.times)),
        energy=zero,
        num_steps=count,
        num_rejected=count,
        event_time=jnp.full(max_events, jnp.inf, start.dtype),
        event_columns=jnp.full((max_events, 4), -1, jnp.int32),
        num_events=count,
        idle=count,
        status=jnp.where(finite, RUNNING, DIVERGED).astype(jnp.int32),
    )


def is_running(field: Field, s: State) -> Bool[Array, ""]:
    """Whether a run has not ended."""
    left = s.num_steps + s.num_rejected < field.max_steps
    return (s.status == RUNNING) & (s.t < field.end) & left


def events_of(s: State) -> Events:
    """The table of what has happened."""
    used = jnp.arange(len(s.event_time), dtype=jnp.int32) < s.num_events
    columns = jnp.where(used[:, None], s.event_columns, -1)
    return Events(
        time=jnp.where(used, s.event_time, jnp.inf),
        neuron=columns[:, 0],
        datum=columns[:, 1],
        kind=columns[:, 2],
        count=s.num_events,
        overflow=s.status == TOO_MANY_EVENTS,
        previous=columns[:, 3],
    )
