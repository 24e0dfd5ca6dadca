"""Gradient flow: the exact limit of gradient descent for vanishing step size."""

import dataclasses
import functools as ft
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax

from .. import _checks
from ..networks.network import Network
from ..problems.problem import check_match
from ..problems.task import Task
from . import kinked_state as kinked
from .deep_flow import deep_flow
from .equal_data import merge_equal, name_data
from .flow_arguments import Arguments, checked, is_deep, is_kinked
from .flow_results import (
    deep_trajectory,
    estimated_error,
    smooth_trajectory,
    trajectory_of,
)
from .kinked_flow import explicit_attempt
from .kinked_stiff import stiff_attempt
from .recording import Record
from .save import LogSpaced
from .smooth_flow import smooth_flow
from .trajectory import Trajectory


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
        >>> import jax.numpy as jnp
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


def _kinked(
    problem, network, arguments: Arguments, record, reverse: bool
) -> Trajectory:
    merged, kept = merge_equal(problem)
    fixed = (merged, network, arguments)
    # Stiff steps are the same whatever method led to them: one program.
    any_method = (merged, network, dataclasses.replace(arguments, method="auto"))
    state = _begin(fixed)
    if reverse or not all(map(_checks.is_concrete, jax.tree.leaves((fixed, state)))):
        state = _in_one_program(fixed, reverse)
    else:  # The stiff method is compiled only where a run asks for it.
        while state.status == kinked.RUNNING:
            if state.stiff:
                state = _run_stiff(any_method, state)
            else:
                state = _run_explicit(fixed, state)
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


@eqx.filter_jit
def _deep(problem, network, arguments: Arguments, record) -> Trajectory:
    run = deep_flow(
        problem,
        network,
        times=arguments.times,
        rtol=arguments.rtol,
        atol=arguments.atol,
        max_steps=arguments.max_steps,
        max_events=arguments.max_events,
    )
    return deep_trajectory(problem, network, arguments, run, record)
