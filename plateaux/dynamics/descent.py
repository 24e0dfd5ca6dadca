"""Discrete training: gradient descent and every optax optimizer, as one scan."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from ..networks.network import Network, preactivations
from ..networks.two_layer import imbalance_drift
from ..problems.problem import Problem, check_match, loss
from ..problems.task import Task
from . import watch as watching
from .gradient import evaluate
from .lane_gradient import evaluate_unwatched
from .optimizer import plain_step_size
from .recording import Record, recorded
from .save import At, LogSpaced, Save
from .sorted_gradient import evaluate_sorted, in_order, sorting_pays, why_not_sorted
from .trajectory import Accuracy, Outcome, Stats, Trajectory

# optax mixes dtypes (float ** int32): callers who forbid that are not to be punished.
_OPTAX_PROMOTION = jax.numpy_dtype_promotion("standard")


def descend(
    problem: Task,
    network: Network,
    optimizer: Any,
    *,
    num_steps: Any,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
    watch: bool | None = None,
    chatter_window: Any = 100,
    max_events: Any = 512,
    gradient: str | None = None,
) -> Trajectory:
    r"""Train by gradient descent θ⁺ = θ − h∇L(θ), or by any optax optimizer.

    The whole run is one compiled scan. The activation pattern is watched at *every*
    step; a pair (neuron, datum) that flips again within `chatter_window` steps is
    sliding, see `plateaux.dynamics.watch`. A run whose loss or parameters stop being
    finite ends with `Outcome.diverged` and keeps the last finite network.

    `times` is flow time, step·h, where the optimizer is plain gradient descent
    (`px.gradient_descent` or an optax transformation recognised as such, for example
    `optax.sgd(h)`), so that it shares its axis with the flow; otherwise it counts
    steps. `Trajectory.time_unit` says which.

    Args:
        problem: Data and loss, a linear equation or a functional.
        network: Initial network; for many at once use `jax.vmap`.
        optimizer: `px.gradient_descent(h)` or an optax transformation; those that ask
            for the value, gradient or value function (line searches) get them.
        num_steps: Number of steps, at least 1.
        save: When to save: `px.log_spaced(num)`, `px.every(k)` or `px.at(times)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, evaluated at the saved times, e.g.
            `{"network": lambda problem, network: network}`.
        watch: Whether to watch the pattern; None means where the activation has a
            kink.
        chatter_window: Flips of a pair within so many steps belong together; at
            least 32.
        max_events: Rows of the table of events.
        gradient: How gradients are computed: "dense" looks at every pair (neuron,
            datum); "sorted" takes O(n + K), up to a logarithm, for two-layer networks
            with one input and a piecewise-linear activation whose pattern is not
            watched. None takes the faster one. They agree up to rounding.

    Returns:
        The trajectory. Reverse-mode derivatives pass through the whole run and
        recompute each stretch of 32 steps.

    Raises:
        ValueError: If shapes, step size, counts or saved times are not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> problem = px.Problem(x, jnp.abs(x[:, 0]))
        >>> network = px.TwoLayer(w=[[1.0], [-0.5]], b=[0.0, 0.0], c=[0.5, 0.5])
        >>> run = px.descend(problem, network, px.gradient_descent(0.1), num_steps=500)
        >>> bool(run.losses[-1] < 1e-3 * run.losses[0])
        True
    """
    check_match(problem, network)
    num_steps = _checks.count("num_steps", num_steps)
    chatter_window = _checks.count(
        "chatter_window", chatter_window, at_least=watching.WORD
    )
    max_events = _checks.count("max_events", max_events)
    if not isinstance(save, Save):
        raise TypeError(
            "Argument `save` must be a schedule such as px.log_spaced(200), but is "
            f"{save!r}."
        )
    optimizer, step_size = _understood(optimizer)
    steps = save.steps(num_steps, _known(step_size, save))
    watch = network.activation.kinked if watch is None else bool(watch)
    along = _is_sorted(gradient, problem, network, watch)
    plan = _Plan(num_steps, watch, chatter_window, max_events, along)
    return _descend(
        problem,
        network,
        optimizer,
        None if step_size is None else jnp.asarray(step_size, problem.x.dtype),
        jnp.asarray(steps, jnp.int32),
        jnp.asarray(_slots(steps, num_steps)),
        in_order(problem) if along and isinstance(problem, Problem) else None,
        plan,
        tuple((record or {}).items()),
    )


class _Plan(NamedTuple):
    """What is fixed when the program is compiled."""

    num_steps: int
    watch: bool
    chatter_window: int
    max_events: int
    along_sorted_data: bool


class _State(eqx.Module):
    """What the next step needs.

    Attributes:
        network: θ.
        optimizer: The optimizer's state.
        alive: Whether everything is finite so far.
        step: Steps taken while alive.
        squares: Σ‖∇L‖² so far.
        losses: Loss by saved time, and one place for what is not saved.
        networks: Networks by saved time, likewise, or None.
    """

    network: Any
    optimizer: Any
    alive: Bool[Array, ""]
    step: Int[Array, ""]
    squares: Float[Array, ""]
    losses: Float[Array, " slots"]
    networks: Any


def _understood(optimizer: Any) -> tuple[Any, Any]:
    """The optimizer to run, or None and the step size of plain gradient descent."""
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            "Argument `optimizer` must be px.gradient_descent(step_size) or an optax "
            f"transformation, but is {optimizer!r}."
        )
    step_size = plain_step_size(optimizer)
    if step_size is None:
        return optax.with_extra_args_support(optimizer), None
    return None, _checks.positive("step_size", step_size)


def _is_sorted(gradient: Any, problem: Any, network: Any, watch: bool) -> bool:
    """Whether gradients are computed along sorted data."""
    if gradient is not None:
        _checks.known("gradient", gradient, ("dense", "sorted"))
    obstacle = why_not_sorted(problem, network)
    if watch:
        obstacle = "patterns that are not watched, but `watch` is on"
    if gradient == "sorted" and obstacle:
        raise ValueError(f"The gradient 'sorted' must have {obstacle}; use 'dense'.")
    if gradient is None:
        return not obstacle and sorting_pays(network.width, problem.num_data)
    return gradient == "sorted"


def _known(step_size: Any, save: Save) -> float | None:
    """The step size as a number, for schedules that hold times."""
    if step_size is None or not isinstance(save, At):
        return None
    if not _checks.is_concrete(step_size):
        raise ValueError(
            "Argument `save` must not hold times if the step size is traced, but is "
            f"{save!r}; save steps with px.every or px.log_spaced."
        )
    return float(step_size)


def _slots(steps: np.ndarray, num_steps: int) -> np.ndarray:
    """Place of every step among the saved ones, rows of `WORD` steps."""
    rows = num_steps // watching.WORD + 1
    slots = np.full(rows * watching.WORD, len(steps), np.int32)
    slots[steps] = np.arange(len(steps))
    return slots.reshape(rows, watching.WORD)


@eqx.filter_jit
def _descend(
    problem, network, optimizer, step_size, steps, slots, ordered, plan, record
):
    state = _initial_state(network, optimizer, len(steps), keep=bool(record))
    data = problem if ordered is None else ordered
    z = preactivations(network, problem.x) if plan.watch else ()
    watch = watching.start(watching.sides(z), plan.max_events) if plan.watch else None

    def one_step(carry, slot_and_step):
        state, words = carry
        state, z = _advance(data, optimizer, step_size, plan, state, *slot_and_step)
        return (state, watching.push(words, z) if plan.watch else words), ()

    def one_word(carry, slots_and_steps):
        state, watch = carry
        words = watching.no_words(z)
        (state, words), _ = jax.lax.scan(one_step, (state, words), slots_and_steps)
        if plan.watch:
            first = slots_and_steps[1][0]
            watch = watching.read(watch, words, first, plan.chatter_window)
        return (state, watch), ()

    numbers = jnp.arange(slots.size, dtype=jnp.int32).reshape(slots.shape)
    remembered = jax.checkpoint(one_word, prevent_cse=False)
    (state, watch), _ = jax.lax.scan(remembered, (state, watch), (slots, numbers))
    return _finish(problem, network, step_size, steps, plan, record, state, watch)


def _initial_state(network, optimizer, num_saved: int, keep: bool) -> _State:
    params = eqx.filter(network, eqx.is_inexact_array)
    dtype = jax.tree.leaves(params)[0].dtype
    with _OPTAX_PROMOTION:
        opt_state = None if optimizer is None else optimizer.init(params)
    room = lambda leaf: jnp.zeros((num_saved + 1, *leaf.shape), leaf.dtype)
    return _State(
        network=network,
        optimizer=opt_state,
        alive=jnp.ones((), bool),
        step=jnp.zeros((), jnp.int32),
        squares=jnp.zeros((), dtype),
        losses=jnp.full(num_saved + 1, jnp.inf, dtype),
        networks=jax.tree.map(room, params) if keep else None,
    )


def _advance(problem, optimizer, step_size, plan, state: _State, slot, step):
    """Save the present network, then take one step, if the run still goes on."""
    look = evaluate if plan.watch else evaluate_unwatched
    look = evaluate_sorted if plan.along_sorted_data else look
    value, gradient, z = look(problem, state.network)
    params, static = eqx.partition(state.network, eqx.is_inexact_array)
    gradient = eqx.filter(gradient, eqx.is_inexact_array)
    if step_size is not None:
        moved = jax.tree.map(lambda t, g: t - step_size * g, params, gradient)
        opt_state = None
    else:
        with _OPTAX_PROMOTION:
            updates, opt_state = optimizer.update(
                gradient,
                state.optimizer,
                params,
                value=value,
                grad=gradient,
                value_fn=lambda p: loss(problem, eqx.combine(p, static)),
            )
            moved = optax.apply_updates(params, updates)
    # --- decide: a step counts if it ends at finite parameters ---
    alive = state.alive & jnp.isfinite(value)
    finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(moved)])
    unfinished = step < plan.num_steps
    goes_on = alive & jnp.all(finite)
    taken = goes_on & unfinished
    squares = optax.tree.norm(gradient, squared=True)
    keep = lambda new, old: jnp.where(taken, new, old)
    put = lambda rows, row: jax.lax.dynamic_update_index_in_dim(rows, row, slot, 0)
    state = _State(
        network=eqx.combine(jax.tree.map(keep, moved, params), static),
        optimizer=opt_state,
        alive=jnp.where(unfinished, goes_on, alive),
        step=state.step + taken.astype(jnp.int32),
        squares=state.squares + jnp.where(taken, squares, 0),
        losses=put(state.losses, jnp.where(alive, value, jnp.inf)),
        networks=None
        if state.networks is None
        else jax.tree.map(put, state.networks, params),
    )
    return state, z


def _finish(problem, start, step_size, steps, plan, record, state: _State, watch):
    """The trajectory of a finished run."""
    dtype = state.losses.dtype
    scale = jnp.ones((), dtype) if step_size is None else step_size
    residual = state.losses[0] - loss(problem, state.network) - scale * state.squares
    return Trajectory(
        times=steps.astype(dtype) * scale,
        steps=steps,
        losses=state.losses[:-1],
        saved=recorded(
            problem, start, jax.tree.map(lambda rows: rows[:-1], state.networks), record
        ),
        network=state.network,
        outcome=Outcome.where(state.alive, Outcome.completed, Outcome.diverged),
        events=None
        if watch is None
        else watching.events(
            watch, state.step, plan.chatter_window, problem.num_data, scale
        ),
        accuracy=Accuracy(
            imbalance_drift(start, state.network),
            None if step_size is None else residual,
        ),
        stats=Stats(
            num_steps=state.step,
            pair_flips=None if watch is None else watch.pair_flips,
            pattern_changes=None if watch is None else watch.pattern_changes,
        ),
        time_unit="steps" if step_size is None else problem.time_unit,
    )
