r"""Gradient flow of deep networks with a kinked activation, up to its first slide.

Inside an activation pattern the network is smooth: every φ(z) is a given slope times
z. A step of Dormand and Prince follows the flow of the present pattern; its dense
output is searched for the first pre-activation to change its sign, located to
round-off, and the step ends there. Then the pair (neuron, datum) changes side, unless
the flow of the new pattern sends it back: the boundary attracts from both sides and
the flow slides along it. In deep networks the slides of one layer move the boundaries
of the next, and the velocities of all sliding pairs follow from a complementarity
problem that is not solved here: the run ends, and says so.
"""

import functools as ft
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ..networks.mlp import MLP
from ..problems.problem import Problem, check_match
from .error_control import first_step, neuron_norms, next_step, worst_ratio
from .explicit import ExplicitStep, explicit_step
from .saved_rows import (
    SavedRows,
    finished_rows,
    next_times,
    pad_times,
    start_rows,
    write_rows,
)
from .smooth_flow import with_energy
from .trajectory import EventKind, Events

RUNNING, SLIDING, TOO_MANY_EVENTS, DIVERGED, STALLED = range(5)
# Points of a step at which signs are looked at: two changes of one pair between two of
# them go unseen.
LOOKS = 8
# A sum of products is exact to about this many rounding units of the largest alike.
_ROUND_OFF = 64
_MANY_AT_ONCE = 4  # events without progress in time, in units of pairs
_SECANTS, _HALVINGS = 20, 60


class DeepFlow(eqx.Module):
    """How a deep network flowed.

    Attributes:
        networks: Networks at the saved times, leading axis t; the last network where
            the run ended earlier.
        network: The last network.
        time: The time it belongs to.
        status: RUNNING if the run reached its end or was out of steps, else why not.
        completed: Whether the run reached the last saved time.
        events: Activation events; the last one is of kind slide if the run ended at
            an attracting boundary.
        energy: ∫‖θ̇‖² dt, which for exact flow is L(0) − L(time).
        num_steps: Steps taken.
        steps: Steps taken up to each saved time.
        num_rejected: Steps tried and rejected.
    """

    networks: MLP
    network: MLP
    time: Float[Array, ""]
    status: Int[Array, ""]
    completed: Bool[Array, ""]
    events: Events
    energy: Float[Array, ""]
    num_steps: Int[Array, ""]
    steps: Int[Array, " t"]
    num_rejected: Int[Array, ""]


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


class _Motion(NamedTuple):
    """Where the pairs are at the start of a step, and where they go.

    Attributes:
        slope: θ̇.
        side: 1 for pairs that are on, −1 for the others.
        z: Pre-activations.
        rate: Their velocities.
        near: Pairs on their boundary up to round-off, or beyond it.
        due: Those of them that are about to cross.
    """

    slope: Float[Array, " p"]
    side: Float[Array, "n K"]
    z: Float[Array, "n K"]
    rate: Float[Array, "n K"]
    near: Bool[Array, "n K"]
    due: Bool[Array, "n K"]


def deep_flow(
    problem: Problem,
    network: MLP,
    *,
    times: Any,
    rtol: Any,
    atol: Any,
    max_steps: Any,
    max_events: int,
) -> DeepFlow:
    r"""Gradient flow of an `MLP` with ReLU or leaky ReLU until it slides.

    All three kinds of `MLP` are smooth inside a pattern, layer normalisation too. The
    error of a step is kept below rtol‖θ_i‖ + atol‖θ_i(0)‖ for every neuron i, θ_i its
    incoming weights and bias; each output counts as one neuron more. A neuron whose
    incoming weights reach 0 has all its boundaries there at once; that ends the run as
    a slide does, unless the flow goes through. Derivatives do not pass through events:
    the times at which they happen count as constants.

    Args:
        problem: Data and loss.
        network: Where the flow starts; for many at once use `jax.vmap`.
        times: Saved times, increasing from 0 to the horizon.
        rtol: Relative tolerance of a step.
        atol: Tolerance relative to the initial size of a neuron.
        max_steps: Most steps to try; the method is explicit, a flow that is stiff
            runs out of them.
        max_events: Rows of the table of events.

    Returns:
        The flow.

    Example:
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([1.0, -1.0]))
        >>> net = MLP([[[1.0]], [[1.0]]], [[0.1], [0.0]], [0.5])
        >>> run = deep_flow(
        ...     problem, net, times=jnp.array([0.0, 9.0]), rtol=1e-6, atol=0.0,
        ...     max_steps=1000, max_events=8,
        ... )
        >>> print(run.status == SLIDING, run.events.neuron[:1], run.events.datum[:1])
        True [1] [0]

    Reference: Davis, Drusvyatskiy, Kakade & Lee (2020), arXiv:1804.07795, for the
    subgradient flow.
    """
    check_match(problem, network)
    number = lambda value: jnp.asarray(value, problem.x.dtype)
    tolerances = number(rtol), number(atol)
    return _flow(problem, network, number(times), *tolerances, max_steps, max_events)


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


@eqx.filter_jit
def _flow(problem, network, times, rtol, atol, max_steps, max_events) -> DeepFlow:
    field = field_of(problem, network, times, rtol, atol, max_steps)
    state = jax.lax.while_loop(
        ft.partial(is_running, field),
        ft.partial(attempt, field),
        start_state(field, problem, network, max_events),
    )
    return finished_flow(field, state)


def finished_flow(field: Field, s: State) -> DeepFlow:
    """What a run that ended was."""
    rows, steps = finished_rows(s.saved, s.y, s.num_steps)
    return DeepFlow(
        networks=jax.vmap(field.build)(rows),
        network=field.build(s.y),
        time=s.t,
        status=s.status,
        completed=s.t >= field.end,
        events=_events(s),
        energy=s.energy,
        num_steps=s.num_steps,
        steps=steps,
        num_rejected=s.num_rejected,
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


def attempt(field: Field, s: State) -> State:
    """Let one pair that is due cross, or try a step if none is."""
    motion = _motion(field, s)
    return jax.lax.cond(
        jnp.any(motion.due),
        lambda: _cross(field, s, motion),
        lambda: _step(field, s, motion),
    )


def _motion(field: Field, s: State) -> _Motion:
    slope = field.velocity(s.y, s.pattern)
    z, rate = _with_rate(field, s.y, s.pattern, slope)
    side = jnp.where(s.pattern, 1, -1).astype(z.dtype)
    near = side * z <= _round_off(z)
    due = near & (side * rate < -_round_off(rate))
    return _Motion(slope, side, z, rate, near, due)


def _with_rate(field, y, pattern, slope) -> tuple[Array, Array]:
    return jax.jvp(lambda y: field.preactivations(y, pattern), (y,), (slope,))


def _round_off(z: Float[Array, "n K"]) -> Float[Array, "n 1"]:
    """What round-off may be in the pre-activations of each neuron."""
    largest = jnp.max(jnp.abs(z), axis=1, keepdims=True)
    return _ROUND_OFF * jnp.finfo(z.dtype).eps * largest


def _cross(field: Field, s: State, motion: _Motion) -> State:
    """The first pair that is due changes side, or begins to slide: the end."""
    index = jnp.argmax(motion.due.ravel()).astype(jnp.int32)
    neuron, datum = jnp.divmod(index, s.pattern.shape[1])
    was_on = s.pattern[neuron, datum]
    pattern = s.pattern.at[neuron, datum].set(~was_on)
    slope = field.velocity(s.y, pattern)
    ahead = motion.side * _with_rate(field, s.y, pattern, slope)[1]
    back = ahead[neuron, datum] > _round_off(motion.rate)[neuron, 0]

    full = s.num_events >= len(s.event_time)
    side = lambda on: jnp.where(on, EventKind.on, EventKind.off)
    kind = jnp.where(back, EventKind.slide, side(~was_on))
    row = jnp.stack([neuron, datum, kind, side(was_on)]).astype(jnp.int32)
    place = jnp.where(full, len(s.event_time), s.num_events)  # beyond: not written
    stalled = s.idle > _MANY_AT_ONCE * s.pattern.size
    status = jnp.where(stalled, STALLED, jnp.where(back, SLIDING, RUNNING))
    return eqx.tree_at(
        lambda s: (
            *(s.pattern, s.event_time, s.event_columns, s.num_events, s.idle),
            s.status,
        ),
        s,
        (
            jnp.where(full | back, s.pattern, pattern),
            s.event_time.at[place].set(s.t, mode="drop"),
            s.event_columns.at[place].set(row, mode="drop"),
            s.num_events + (~full).astype(jnp.int32),
            s.idle + 1,
            jnp.where(full, TOO_MANY_EVENTS, status).astype(jnp.int32),
        ),
    )


def _step(field: Field, s: State, motion: _Motion) -> State:
    """Try one step; keep it, up to its first event, if it is accurate enough."""
    window = next_times(s.saved, pad_times(field.times))
    h = jnp.minimum(s.h, jnp.minimum(window[-1], field.end) - s.t)
    extended = lambda v: with_energy(field.velocity(v[:-1], s.pattern))
    start = jnp.append(s.y, jnp.zeros_like(h))
    step = explicit_step(extended, with_energy(motion.slope), start, h)
    size = jnp.maximum(field.norms(s.y), field.norms(step.value[:-1]))
    allowed = field.rtol * size + field.atol * s.sizes
    error = worst_ratio(field.norms(step.error[:-1]), allowed)
    finite = jnp.all(jnp.isfinite(step.value)) & jnp.all(jnp.isfinite(step.slope))
    finite = finite & jnp.isfinite(error)
    accepted = finite & (error <= 1)

    hit, tau = _first_event(field, s, motion, step)
    cut = accepted & hit
    value = jnp.where(cut, _dense(step, tau), step.value)
    whole = jnp.where(h >= field.end - s.t, field.end, s.t + h)
    t = jnp.where(cut, s.t + tau * h, whole)

    share = jnp.clip((window - s.t) / h, 0, 1)
    rows = jax.vmap(ft.partial(_dense, step))(share)[:, :-1]
    passed = jnp.where(accepted, jnp.sum(window <= t), 0)
    saved = write_rows(s.saved, rows, s.num_steps + 1, passed)
    new_h, underflow = next_step(s, h, error, accepted, finite, field.end)
    keep = lambda new, old: jnp.where(accepted, new, old)
    return State(
        t=keep(t, s.t),
        y=keep(value[:-1], s.y),
        pattern=s.pattern,
        sizes=s.sizes,
        h=new_h,
        previous=keep(jnp.maximum(error, 1e-4), s.previous),
        saved=saved,
        energy=s.energy + keep(value[-1], 0),
        num_steps=s.num_steps + accepted.astype(jnp.int32),
        num_rejected=s.num_rejected + (~accepted).astype(jnp.int32),
        event_time=s.event_time,
        event_columns=s.event_columns,
        num_events=s.num_events,
        idle=jnp.where(accepted & (t > s.t), 0, s.idle),
        status=jnp.where(underflow, DIVERGED, s.status).astype(jnp.int32),
    )


def _dense(step: ExplicitStep, tau: Array) -> Array:
    return (tau ** jnp.arange(5).astype(tau.dtype)) @ step.dense


def _first_event(field, s, motion, step) -> tuple[Array, Array]:
    """Whether a pair changes its side in a step, and the fraction where the first does.

    A pair that starts on its boundary may be on the wrong side by round-off.
    """
    round_off = _round_off(motion.z)
    slack = jnp.where(motion.near, jnp.maximum(round_off, 2 * jnp.abs(motion.z)), 0)
    place = lambda tau: (
        slack + motion.side * field.preactivations(_dense(step, tau)[:-1], s.pattern)
    )
    looks = jnp.arange(1, LOOKS + 1, dtype=s.t.dtype) / LOOKS
    beyond = jnp.any(jax.vmap(place)(looks) < 0, axis=(1, 2))
    high = looks[jnp.argmax(beyond)]
    hit = jnp.any(beyond)
    return hit, _first_change(place, high - 1 / LOOKS, high, hit, round_off)


def _first_change(place, low, high, hit, round_off) -> Float[Array, ""]:
    """The end of the interval in which some entry of `place` becomes negative.

    None is at the lower end, some are at the upper. The next trial is where the first
    of these would be on its straight line; weights that halve, as in the Illinois
    method, keep one end from standing still. It ends on the far side of the boundary,
    up to round-off.
    """
    eps = jnp.finfo(low.dtype).eps
    one = jnp.ones_like(low)

    def goes_on(c):
        low, high, _, at_high, _, _, trials = c
        far = jnp.any(at_high < -round_off / 8) & (high - low > 4 * eps)
        return hit & far & (trials < _SECANTS + _HALVINGS)

    def halve(c):
        low, high, at_low, at_high, weight, moved, trials = c
        a, b = at_low * weight[0], jnp.minimum(at_high, 0) * weight[1]
        line = jnp.where(at_high < 0, a / jnp.where(at_high < 0, a - b, 1), 1)
        share = jnp.clip(jnp.min(line), eps, 1 - eps)
        share = jnp.where(trials < _SECANTS, share, 0.5)
        trial = low + share * (high - low)
        value = place(trial)
        beyond = jnp.any(value < 0)
        again = moved == jnp.where(beyond, 1, -1)
        less = jnp.where(again, 0.5, 1)
        weight = jnp.stack(
            [
                jnp.where(beyond, weight[0] * less, 1),
                jnp.where(beyond, 1, weight[1] * less),
            ]
        )
        pick = lambda yes, no: jnp.where(beyond, yes, no)
        return (
            pick(low, trial),
            pick(trial, high),
            pick(at_low, value),
            pick(value, at_high),
            weight,
            pick(1, -1),
            trials + 1,
        )

    start = (low, high, place(low), place(high), jnp.stack([one, one]), 0, 0)
    return jax.lax.while_loop(goes_on, halve, start)[1]


def _events(s: State) -> Events:
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
