"""The driver of all methods: accept what lowers the loss, save, stop when calm."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..dynamics.recording import Record, recorded
from ..dynamics.trajectory import Accuracy, Outcome, Stats, Trajectory
from ..networks.two_layer import TwoLayer
from ..patterns.pattern import hamming, pattern
from ..problems.equations import LinearEquation
from ..problems.problem import Problem, loss
from .moves import Method, Move


class Plan(NamedTuple):
    """What is fixed when the program is compiled.

    Attributes:
        num_steps: Steps at most.
        num_saved: Saved times.
        record: Names and functions of what is recorded.
    """

    num_steps: int
    num_saved: int
    record: tuple[tuple[str, Record], ...]


class State(eqx.Module):
    """What the next step needs, and what is kept of the past.

    Attributes:
        network: The best network so far.
        value: Its loss.
        memory: The method's own.
        step: Steps taken.
        calm: Steps since the loss last fell by more than the tolerance.
        losses: Loss by saved time, and one place for what is not saved.
        networks: Networks by saved time, likewise, or None.
        moves: The accepted `Move` of every step.
        pair_flips: Pairs (neuron, datum) that changed side.
        pattern_changes: Steps at which the pattern changed.
    """

    network: TwoLayer
    value: Float[Array, ""]
    memory: Any
    step: Int[Array, ""]
    calm: Int[Array, ""]
    losses: Float[Array, " slots"]
    networks: Any
    moves: Int[Array, " steps"]
    pair_flips: Int[Array, ""]
    pattern_changes: Int[Array, ""]


class Course(eqx.Module):
    """What all steps of a training share.

    Attributes:
        problem: Data, or an equation.
        method: What proposes a step.
        slots: Place of every step among the saved ones.
        steps: The saved steps.
        tol: Relative decrease of the loss below which a step counts as calm.
        patience: Calm steps in a row that end a run.
        plan: What is fixed when the program is compiled.
    """

    problem: Problem | LinearEquation
    method: Method
    slots: Int[Array, " s"]
    steps: Int[Array, " t"]
    tol: Float[Array, ""]
    patience: Int[Array, ""]
    plan: Plan = eqx.field(static=True)


@eqx.filter_jit
def train(course: Course, network: TwoLayer, key: Array) -> Trajectory:
    """Steps of a method until the loss is calm or the steps are used up."""
    body = lambda state: advance(course, state, key)
    state = start(course, network)
    state = jax.lax.while_loop(lambda s: goes_on(course, s), body, state)
    return trajectory(course, network, state)


def goes_on(course: Course, state: State) -> Bool[Array, ""]:
    """Whether a run has not ended."""
    floor = _rounding_level(course.problem)
    busy = (state.calm < course.patience) & (state.value > floor)
    return busy & (state.step < course.plan.num_steps)


def advance(course: Course, state: State, key: Array) -> State:
    """One step, taken if it lowers the loss."""
    drawn = jax.random.fold_in(key, state.step)
    proposal, memory, move = course.method.step(
        course.problem, state.network, state.memory, drawn
    )
    return _accept(
        course.problem, state, proposal, memory, move, course.slots, course.tol
    )


def _rounding_level(problem: Problem | LinearEquation) -> Array:
    """The loss of a fit that is exact up to rounding."""
    eps = float(jnp.finfo(problem.y.dtype).eps)
    return (8 * eps) ** 2 * 0.5 * problem.sample_weights @ problem.y**2


def start(course: Course, network: TwoLayer) -> State:
    """The state of a run that begins."""
    problem, plan = course.problem, course.plan
    value = loss(problem, network)
    params = eqx.filter(network, eqx.is_inexact_array)
    zero = jnp.zeros((), jnp.int32)
    losses = jnp.full(plan.num_saved + 1, jnp.inf, value.dtype).at[0].set(value)
    rows = lambda leaf: jnp.broadcast_to(leaf, (plan.num_saved + 1, *leaf.shape))
    return State(
        network=network,
        value=value,
        memory=course.method.start(problem, network),
        step=zero,
        calm=zero,
        losses=losses,
        networks=jax.tree.map(rows, params) if plan.record else None,
        moves=jnp.zeros(plan.num_steps, jnp.int32),
        pair_flips=zero,
        pattern_changes=zero,
    )


def _accept(problem, state: State, proposal, memory, move, slots, tol) -> State:
    """Take the proposal if its loss is lower, and note what happened."""
    value = loss(problem, proposal)
    better = value < state.value  # never true of NaN
    network = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), proposal, state.network
    )
    fall = jnp.where(better, state.value - value, 0)
    lasting = fall > tol * state.value
    flips = hamming(pattern(network, problem.x), pattern(state.network, problem.x))
    value = jnp.where(better, value, state.value)
    slot = slots[state.step + 1]
    put = lambda many, one: jax.lax.dynamic_update_index_in_dim(many, one, slot, 0)
    params = eqx.filter(network, eqx.is_inexact_array)
    accepted = jnp.where(better, move, Move.none).astype(jnp.int32)
    return State(
        network=network,
        value=value,
        memory=memory,
        step=state.step + 1,
        calm=jnp.where(lasting, 0, state.calm + 1),
        losses=put(state.losses, value),
        networks=None
        if state.networks is None
        else jax.tree.map(put, state.networks, params),
        moves=state.moves.at[state.step].set(accepted),
        pair_flips=state.pair_flips + flips,
        pattern_changes=state.pattern_changes + jnp.minimum(flips, 1),
    )


def trajectory(course: Course, begun: TwoLayer, state: State) -> Trajectory:
    """The trajectory of a finished run; beyond its end the network stays."""
    problem, steps = course.problem, course.steps
    floor = _rounding_level(problem)
    beyond = steps > state.step
    params = eqx.filter(state.network, eqx.is_inexact_array)

    def stay(many, last):
        shape = (-1,) + (1,) * last.ndim
        return jnp.where(beyond.reshape(shape), last[None], many[:-1])

    networks = None
    if state.networks is not None:
        networks = jax.tree.map(stay, state.networks, params)
    finite = jnp.isfinite(state.value)
    calm = (state.calm >= course.patience) | (state.value <= floor)
    outcome = Outcome.where(calm, Outcome.converged, Outcome.completed)
    return Trajectory(
        times=steps.astype(state.value.dtype),
        steps=steps,
        losses=jnp.where(finite, stay(state.losses, state.value), jnp.inf),
        saved=recorded(problem, begun, networks, course.plan.record),
        network=state.network,
        outcome=Outcome.where(finite, outcome, Outcome.diverged),
        events=None,
        accuracy=Accuracy(None, None),
        stats=Stats(
            num_steps=state.step,
            pair_flips=state.pair_flips,
            pattern_changes=state.pattern_changes,
            num_rejected=state.step
            - jnp.sum(state.moves != Move.none, dtype=jnp.int32),
        ),
        time_unit="steps",
        moves=state.moves,
    )
