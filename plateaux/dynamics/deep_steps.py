"""Steps of a deep flow: up to the first event, or one pair across its boundary."""

import functools as ft
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .deep_state import (
    DIVERGED,
    RUNNING,
    SLIDING,
    STALLED,
    TOO_MANY_EVENTS,
    Field,
    State,
)
from .error_control import next_step, worst_ratio
from .explicit import ExplicitStep, explicit_step
from .saved_rows import next_times, pad_times, write_rows
from .smooth_flow import with_energy
from .trajectory import EventKind

# Points of a step at which signs are looked at: two changes of one pair between two of
# them go unseen.
LOOKS = 8
# A sum of products is exact to about this many rounding units of the largest alike.
_ROUND_OFF = 64
_MANY_AT_ONCE = 4  # events without progress in time, in units of pairs
_SECANTS, _HALVINGS = 20, 60


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
    return hit, first_change(place, high - 1 / LOOKS, high, hit, round_off)


def first_change(place, low, high, hit, round_off) -> Float[Array, ""]:
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
