"""Gradient flow: the exact limit of gradient descent for vanishing step size."""

import dataclasses
import functools as ft
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from ..networks.activations import Activation, LeakyReLU, ReLU, ReLUPower
from ..networks.mlp import MLP
from ..networks.network import Network
from ..networks.two_layer import TwoLayer, imbalance_drift
from ..problems.losses import Exponential, Logistic, SquaredError
from ..problems.problem import Problem, check_match, loss
from ..problems.task import Task
from . import deep_flow as deep, kinked_state as kinked
from .equal_data import merge_equal, name_data
from .kinked_flow import explicit_attempt
from .kinked_stiff import stiff_attempt
from .recording import Record
from .save import LogSpaced, Save
from .smooth_flow import METHODS, SmoothFlow, smooth_flow
from .trajectory import Accuracy, EventKind, Events, Outcome, Stats, Trajectory

# The finest relative tolerance, in rounding units: a step's own round-off is a few.
_FINEST = 16
_DEFAULT_RTOL = {"float64": 1e-8, "float32": 1e-4}


def flow(
    problem: Task,
    network: Network,
    *,
    t1: Any,
    rtol: Any = None,
    atol: Any = None,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
    max_events: Any = 512,
    max_steps: Any = 10_000,
    method: Any = "auto",
    derivatives: Any = "forward",
    estimate_error: bool = False,
) -> Trajectory:
    r"""Train by gradient flow θ̇ = −∇L(θ), exactly.

    For `TwoLayer` networks with ReLU or leaky ReLU it is the Clarke subgradient flow
    θ̇ ∈ −∂L(θ), the limit of gradient descent as the step size vanishes, and its
    right-hand side is discontinuous. Activation events are located to round-off in
    time, kinks that slide along data are followed exactly: each mode is a smooth
    piece, integrated by Taylor series whose Bernstein coefficients prove that no event
    is missed. Networks with smooth activations, two-layer or deep, are integrated by a
    Rosenbrock method with their Hessian, or an explicit one if they are large. An
    `MLP` with ReLU or leaky ReLU is integrated by an explicit method with located
    events until its first slide, where the run ends with `Outcome.sliding`.

    A step's error is kept below rtol‖θ_i‖ + atol‖θ_i(0)‖ for every neuron i, θ_i its
    parameters: small neurons are followed as exactly as large ones, so plateaus that
    begin at initial sizes like 1e-12 end at the right time.

    Args:
        problem: Data and loss; with smooth activations an equation or a functional too.
        network: Initial network; for many at once use `flow_many`, or `jax.vmap`.
        t1: How long, in flow time; positive.
        rtol: Error allowed a step, relative to each neuron's own norm; None means
            1e-8 in double and 1e-4 in single precision.
        atol: Error allowed a step, relative to each neuron's norm at the start: what
            a neuron that has shrunk below it does is no longer resolved. None means
            rtol/1000.
        save: When to save: `px.log_spaced(num)` or `px.at(times)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, evaluated at the saved times.
        max_events: Rows of the table of events.
        max_steps: Most steps to try.
        method: "auto", "explicit" or "stiff"; auto changes to the stiff method where
            the explicit one is held back by stability.
        derivatives: "forward": `jax.jvp`, `jax.jacfwd`; "reverse": `jax.grad`,
            `jax.vjp`, whose memory grows with the root of `max_steps`; not of an `MLP`
            with a kinked activation. Both pass through crossings, slides and event
            times; where `stats.num_grazing` is not 0 they do not exist.
        estimate_error: Whether to run again at half the tolerance and estimate the
            error of the last parameters from the difference.

    Returns:
        The trajectory; `events` is None for smooth activations. How the run ended is
        its `outcome`; what lies beyond the end of a run that ended early has infinite
        loss.

    Raises:
        ValueError: If `t1` is not positive and finite, a tolerance is negative or
            finer than the precision can honour, or the network or loss has no flow.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> problem = px.Problem(x, jnp.abs(x[:, 0]))
        >>> network = px.TwoLayer(w=[[1.0], [-0.5]], b=[0.1, 0.3], c=[0.5, 0.5])
        >>> run = px.flow(problem, network, t1=50.0)
        >>> print(run.events.neuron[:3], run.events.datum[:3], run.events.count)
        [1 1 0] [15 14  9] 7

    Reference: Davis, Drusvyatskiy, Kakade & Lee (2020), arXiv:1804.07795, for the
    subgradient flow.
    """
    check_match(problem, network)
    arguments = checked(problem, t1, rtol, atol, save, max_events, max_steps, method)
    _checks.known("mode of derivatives", derivatives, ("forward", "reverse"))
    recorded = tuple((record or {}).items())
    if is_deep(problem, network, method):
        run, arguments = _deep, arguments.without_series()
    elif is_kinked(problem, network):
        run = ft.partial(_kinked, reverse=derivatives == "reverse")
    else:
        run = ft.partial(_smooth, reverse=derivatives == "reverse")
        arguments = arguments.without_series()
    trajectory = run(problem, network, arguments, recorded)
    if not estimate_error:
        return trajectory
    half = arguments.halved()
    error = estimated_error(trajectory.network, run(problem, network, half, ()).network)
    return eqx.tree_at(
        lambda t: t.accuracy.estimated_error,
        trajectory,
        error,
        is_leaf=lambda leaf: leaf is None,
    )


def check_flow(
    problem: Task,
    network: Network,
    *,
    t1: Any,
    rtol: Any = None,
    atol: Any = None,
    max_events: Any = 512,
    max_steps: Any = 10_000,
    method: Any = "auto",
    lanes: Any = 64,
) -> None:
    """Refuse what `flow_many` would refuse, without running it."""
    check_match(problem, network)
    checked(problem, t1, rtol, atol, LogSpaced(2), max_events, max_steps, method)
    _checks.count("lanes", lanes)
    if not is_deep(problem, network, method):
        is_kinked(problem, network)


def is_deep(problem: Task, network: Network, method: str) -> bool:
    """Whether the flow is that of an `MLP` with events, which is explicit only."""
    activation = network.activation
    if not isinstance(problem, Problem) or not isinstance(network, MLP):
        return False
    if not isinstance(activation, ReLU | LeakyReLU):
        return False
    if network.normalisation == "batch":
        raise ValueError(
            "Argument `network` must not normalise over the data for exact gradient "
            f"flow with {type(activation).__name__}, whose kinks every datum crosses "
            "alone; use a smooth activation, normalisation='layer', or px.descend."
        )
    if method == "stiff":
        raise ValueError(
            "Argument `method` must be 'auto' or 'explicit' for the flow of an MLP "
            f"with {type(activation).__name__}, but is 'stiff'."
        )
    return True


def is_kinked(problem: Task, network: Network) -> bool:
    """Whether the flow has events; a network or loss without any flow is refused."""
    activation = network.activation
    if not isinstance(problem, Problem):
        _check_smooth(problem, activation)
        return False
    if not activation.kinked:
        return False
    if not isinstance(activation, ReLU | LeakyReLU) or not isinstance(
        network, TwoLayer
    ):
        raise ValueError(
            "The network must be a TwoLayer or MLP with relu or leaky_relu, or have a "
            "smooth activation, to have a gradient flow, but is a "
            f"{type(network).__name__} with {type(activation).__name__}."
        )
    if isinstance(activation, LeakyReLU) and not 0 <= activation.slope < 1:
        raise ValueError(
            "The slope of a leaky ReLU must be in [0, 1) for gradient flow, but is "
            f"{activation.slope}."
        )
    if not isinstance(problem.loss, SquaredError | Logistic | Exponential):
        raise ValueError(
            "The loss must be squared, logistic or exponential for the flow of a "
            f"TwoLayer, but is {type(problem.loss).__name__}."
        )
    return True


def _check_smooth(problem: Task, activation: Activation) -> None:
    """Refuse activations with a derivative that jumps where derivatives count."""
    if activation.kinked or isinstance(activation, ReLUPower):
        raise ValueError(
            "The activation must be smooth, for example tanh, to have a gradient flow "
            f"of a {type(problem).__name__}, but is {activation}; train on it with "
            "px.descend."
        )


class Arguments(eqx.Module):
    """What `flow` and `flow_many` share, checked.

    Attributes:
        times: Saved times.
        rtol: Relative tolerance.
        atol: Tolerance relative to the size at the start.
        order: Order of the Taylor series, which follows the tolerance.
        max_events: Rows of the table.
        max_steps: Most steps.
        method: "auto", "explicit" or "stiff".
    """

    times: Float[Array, " t"]
    rtol: Float[Array, ""]
    atol: Float[Array, ""]
    order: int = eqx.field(static=True)
    max_events: int = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    method: str = eqx.field(static=True)

    def halved(self) -> "Arguments":
        """The same at half the tolerances."""
        both = lambda a: (a.rtol, a.atol)
        return eqx.tree_at(both, self, (self.rtol / 2, self.atol / 2))

    def without_series(self) -> "Arguments":
        """The same for methods without series: other tolerances share a program."""
        return dataclasses.replace(self, order=0)

    @property
    def plan(self) -> kinked.Plan:
        """What is fixed when the program is compiled."""
        return kinked.Plan(
            self.order,
            self.max_steps,
            self.max_events,
            self.times.size,
            self.method,
        )


def checked(problem, t1, rtol, atol, save, max_events, max_steps, method) -> Arguments:
    """The arguments of a flow, or a refusal."""
    dtype = problem.x.dtype
    t1 = _checks.positive("t1", t1)
    if not isinstance(save, Save):
        raise TypeError(
            "Argument `save` must be a schedule such as px.log_spaced(200), but is "
            f"{save!r}."
        )
    finest = _FINEST * float(jnp.finfo(dtype).eps)
    rtol = _DEFAULT_RTOL[dtype.name] if rtol is None else rtol
    if _checks.is_concrete(rtol) and not finest <= float(rtol) < 1:
        raise ValueError(
            f"Argument `rtol` must be from {finest:.1e}, the finest that {dtype} can "
            f"honour, to 1, but is {rtol}."
        )
    atol = rtol / 1000 if atol is None else atol
    if _checks.is_concrete(atol) and not 0 <= float(atol) < math.inf:
        raise ValueError(
            f"Argument `atol` must be finite and not negative, but is {atol}."
        )
    return Arguments(
        times=save.flow_times(t1, dtype),
        rtol=jnp.asarray(rtol, dtype),
        atol=jnp.asarray(atol, dtype),
        order=taylor_order(float(rtol) if _checks.is_concrete(rtol) else 1e-9),
        max_events=_checks.count("max_events", max_events),
        max_steps=_checks.count("max_steps", max_steps),
        method=_checks.known("method", method, METHODS),
    )


def taylor_order(rtol: float) -> int:
    """The order at which a Taylor method is cheapest, N = 1 − ½ log(tolerance).

    Example:
        >>> taylor_order(1e-8)
        12

    Reference: Jorba & Zou (2005), Experimental Mathematics 14, 99-117.
    """
    return max(4, math.ceil(1 - math.log(kinked.SAFETY * rtol) / 2))


def _kinked(
    problem, network, arguments: Arguments, record, reverse: bool
) -> Trajectory:
    merged, kept = merge_equal(problem)
    fixed = (merged, network, arguments)
    state = _begin(fixed)
    if reverse or not all(map(_checks.is_concrete, jax.tree.leaves((fixed, state)))):
        state = _in_one_program(fixed, reverse)
    else:  # The stiff method is compiled only where a run asks for it.
        while state.status == kinked.RUNNING:
            state = (_run_stiff if state.stiff else _run_explicit)(fixed, state)
    return name_data(_finish(problem, network, arguments, state, record), kept)


def _field(fixed) -> kinked.Field:
    problem, network, arguments = fixed
    return kinked.field_of(
        problem,
        network,
        arguments.rtol,
        arguments.atol,
        arguments.times,
        arguments.plan,
    )


@eqx.filter_jit
def _begin(fixed) -> kinked.State:
    problem, network, arguments = fixed
    return kinked.start_state(problem, network, arguments.plan)


@eqx.filter_jit
def _run_explicit(fixed, state: kinked.State) -> kinked.State:
    return run_explicit(_field(fixed), state)


@eqx.filter_jit
def _run_stiff(fixed, state: kinked.State) -> kinked.State:
    return run_stiff(_field(fixed), state)


@eqx.filter_jit
def _in_one_program(fixed, reverse: bool) -> kinked.State:
    end = run_recorded if reverse else run_to_end
    return end(_field(fixed), _begin(fixed))


@eqx.filter_jit
def _finish(problem, network, arguments: Arguments, state, record) -> Trajectory:
    return trajectory_of(problem, network, arguments, state, record)


def run_explicit(field: kinked.Field, state: kinked.State) -> kinked.State:
    """Explicit steps until the run ends or asks for the stiff method."""
    return jax.lax.while_loop(
        lambda s: (s.status == kinked.RUNNING) & ~s.stiff,
        lambda s: explicit_attempt(field, s),
        state,
    )


def run_stiff(field: kinked.Field, state: kinked.State) -> kinked.State:
    """Stiff steps until the run ends or asks for the explicit method."""
    return jax.lax.while_loop(
        lambda s: (s.status == kinked.RUNNING) & s.stiff,
        lambda s: stiff_attempt(field, s),
        state,
    )


def run_to_end(field: kinked.Field, state: kinked.State) -> kinked.State:
    """Steps of the two methods in turn; a batch waits for neither at every step."""
    if field.plan.method == "explicit":
        return run_explicit(field, state)
    return jax.lax.while_loop(
        lambda s: s.status == kinked.RUNNING,
        lambda s: run_stiff(field, run_explicit(field, s)),
        state,
    )


def run_recorded(field: kinked.Field, state: kinked.State) -> kinked.State:
    """The same steps in one loop that remembers enough to be run backwards."""
    both = lambda s: jax.lax.cond(
        s.stiff,
        lambda s: stiff_attempt(field, s),
        lambda s: explicit_attempt(field, s),
        s,
    )
    return eqxi.while_loop(
        lambda s: s.status == kinked.RUNNING,
        both,
        state,
        max_steps=field.plan.max_steps + 1,
        kind="checkpointed",
    )


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


@eqx.filter_jit
def _smooth(
    problem, network, arguments: Arguments, record, reverse: bool
) -> Trajectory:
    run = smooth_flow(
        problem,
        network,
        times=arguments.times,
        rtol=arguments.rtol,
        atol=arguments.atol,
        max_steps=arguments.max_steps,
        method=arguments.method,
        reverse=reverse,
    )
    return smooth_trajectory(problem, network, arguments, run, record)


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


@eqx.filter_jit
def _deep(problem, network, arguments: Arguments, record) -> Trajectory:
    run = deep.deep_flow(
        problem,
        network,
        times=arguments.times,
        rtol=arguments.rtol,
        atol=arguments.atol,
        max_steps=arguments.max_steps,
        max_events=arguments.max_events,
    )
    return deep_trajectory(problem, network, arguments, run, record)


def deep_trajectory(
    problem, network, arguments: Arguments, run: deep.DeepFlow, record
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
