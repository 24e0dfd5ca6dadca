r"""Gradient flow θ̇ = −∇L(θ) of networks with smooth activations.

Two methods share one adaptive loop: "stiff", the Rosenbrock method Rodas5P with the
exact Hessian, whose cost does not grow with stiffness, and "explicit", Dormand–Prince
5(4), for networks too large for a Hessian.

The error of a step is measured neuron by neuron, against the neuron's own size: a
network that starts at 1e-12 must grow by the right factor long before it is visible
in the loss, or it leaves its plateau at a wrong time.
"""

import functools as ft
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from ..networks.network import Network
from ..problems.problem import check_match
from ..problems.task import Task
from .error_control import first_step, neuron_norms, next_step, worst_ratio
from .explicit import explicit_step
from .gradient import evaluate
from .hessian import hessian
from .rosenbrock import GAMMA, lu_solver, rosenbrock_stages
from .saved_rows import (
    SavedRows,
    finished_rows,
    next_times,
    pad_times,
    start_rows,
    write_rows,
)
from .trajectory import Outcome

METHODS = ("auto", "explicit", "stiff")
# Up to here a dense Hessian and its factors cost less than the steps they save.
MOST_STIFF_PARAMETERS = 400


class SmoothFlow(eqx.Module):
    """How a smooth network flowed.

    Attributes:
        networks: Networks at the saved times, leading axis t; the last network where
            the run ended earlier.
        network: The last finite network.
        time: The time it belongs to.
        num_steps: Steps taken.
        steps: Steps taken up to each saved time.
        num_rejected: Steps tried and rejected.
        completed: Whether the run reached the last saved time.
        out_of_steps: Whether it ended because `max_steps` were tried.
        diverged: Whether it ended because the step size underflowed.
        energy: ∫‖θ̇‖² dt, which for exact flow is L(0) − L(time).
        local_error: Sum over all steps of the estimated relative error of the worst
            neuron; what the flow makes of these errors is not in it.
        method: "explicit" or "stiff".
    """

    networks: Network
    network: Network
    time: Float[Array, ""]
    num_steps: Int[Array, ""]
    steps: Int[Array, " t"]
    num_rejected: Int[Array, ""]
    completed: Bool[Array, ""]
    out_of_steps: Bool[Array, ""]
    diverged: Bool[Array, ""]
    energy: Float[Array, ""]
    local_error: Float[Array, ""]
    method: str = eqx.field(static=True)

    @property
    def outcome(self) -> Outcome:
        """Why it ended."""
        ended = Outcome.where(
            self.out_of_steps, Outcome.out_of_steps, Outcome.completed
        )
        return Outcome.where(self.diverged, Outcome.diverged, ended)


def smooth_flow(
    problem: Task,
    network: Network,
    *,
    times: Any,
    rtol: Any,
    atol: Any,
    max_steps: Any,
    method: str = "auto",
    reverse: bool = False,
) -> SmoothFlow:
    r"""Gradient flow of a network with a smooth activation.

    A step is accepted if for every neuron i, θ_i its incoming weights and bias (and
    in `TwoLayer` its outer weight),

        ‖error_i‖ ≤ rtol · max(‖θ_i‖, ‖θ_i⁺‖) + atol · ‖θ_i(0)‖,

    so `atol` is relative to the neuron's initial size. The affine part of `TwoLayer`
    and each output of an `MLP` count as one neuron more.

    Derivatives pass through; step sizes count as constants in them.

    Args:
        problem: Data and loss.
        network: Where the flow starts; for many at once use `jax.vmap`.
        times: Saved times, increasing from 0 to the horizon.
        rtol: Relative tolerance of a step.
        atol: Tolerance relative to the initial size of a neuron.
        max_steps: Most steps to try.
        method: "stiff", "explicit", or "auto": stiff for up to 400 parameters. A
            large network whose flow is stiff runs out of steps.
        reverse: Whether reverse-mode derivatives shall pass, at the price of memory
            that grows with the root of `max_steps`, a Python number then.

    Returns:
        The flow.

    Raises:
        ValueError: If `times` do not increase from 0, or the method is unknown.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 1.5]))
        >>> net = px.TwoLayer(w=[[0.1]], b=[0.0], c=[0.1], activation="tanh")
        >>> times = jnp.array([0.0, 1.0, 1e3])
        >>> run = smooth_flow(
        ...     problem, net, times=times, rtol=1e-6, atol=0.0, max_steps=10_000
        ... )
        >>> bool(run.completed), run.networks.w.shape
        (True, (3, 1, 1))
    """
    check_match(problem, network)
    times = _check_times(times, problem.x.dtype)
    _checks.known("method", method, METHODS)
    number = lambda value: jnp.asarray(value, times.dtype)
    tolerance = Tolerance(number(rtol), number(atol))
    # Loops that can be run backwards have a known length.
    most = _checks.count("max_steps", max_steps) if reverse else jnp.asarray(max_steps)
    return _flow(problem, network, times, tolerance, most, method)


class Tolerance(NamedTuple):
    """Of a step: relative, and relative to the size of a neuron at the start."""

    rtol: Float[Array, ""]
    atol: Float[Array, ""]


class _Attempt(NamedTuple):
    """A step that was tried; `energy` is its share of ∫‖θ̇‖² dt."""

    value: Float[Array, " p"]
    error: Float[Array, " p"]
    dense: Float[Array, "5 p"]
    slope: Float[Array, " p"]
    energy: Float[Array, ""]


class State(eqx.Module):
    """What the next step needs.

    Attributes:
        t: Time.
        y: θ.
        slope: θ̇, for the explicit method only.
        sizes: Norms of the neurons at the start.
        h: Step size to try.
        previous: Error of the last accepted step, in units of the tolerance.
        saved: θ at the saved times.
        energy: ∫‖θ̇‖² dt.
        local_error: Sum of errors, in units of the tolerance.
        num_steps: Steps taken.
        num_rejected: Steps rejected.
        underflow: Whether the step size is too small to move the time.
    """

    t: Float[Array, ""]
    y: Float[Array, " p"]
    slope: Float[Array, " p"]
    sizes: Float[Array, " groups"]
    h: Float[Array, ""]
    previous: Float[Array, ""]
    saved: SavedRows
    energy: Float[Array, ""]
    local_error: Float[Array, ""]
    num_steps: Int[Array, ""]
    num_rejected: Int[Array, ""]
    underflow: Bool[Array, ""]


def _check_times(times: Any, dtype: Any) -> Array:
    times = _checks.finite("times", jnp.asarray(times, dtype))
    if times.ndim != 1 or times.shape[0] < 2:
        raise ValueError(
            "Argument `times` must be one row of at least two times, but has shape "
            f"{times.shape}."
        )
    if not _checks.is_concrete(times):
        return times
    first, gap = float(np.asarray(times)[0]), float(np.min(np.diff(times)))
    if first != 0 or gap <= 0:
        raise ValueError(
            "Argument `times` must increase strictly from 0, but starts at "
            f"{first} and its smallest step is {gap}."
        )
    return times


class Field(NamedTuple):
    """The flow, and how its errors are measured.

    Attributes:
        build: From flat parameters to the network.
        velocity: From flat parameters to θ̇.
        step: From a state and a step size to a tried step.
        norms: θ to the norms of its neurons.
        tolerance: Relative, and relative to the size at the start.
        times: Saved times.
        max_steps: Most steps to try.
        method: "explicit" or "stiff".
    """

    build: Callable[[Array], Network]
    velocity: Callable[[Array], Array]
    step: Callable[[State, Array], _Attempt]
    norms: Callable[[Array], Array]
    tolerance: Tolerance
    times: Float[Array, " t"]
    max_steps: Any
    method: str


def field_of(
    problem: Task,
    network: Network,
    times: Float[Array, " t"],
    tolerance: Tolerance,
    max_steps: Any,
    method: str,
) -> Field:
    """The flow of networks like this one, whose own parameters do not matter."""
    params, static = eqx.partition(network, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)
    if method == "auto":
        method = "stiff" if flat.size <= MOST_STIFF_PARAMETERS else "explicit"
    build = lambda y: eqx.combine(unravel(y), static)
    velocity = lambda y: (
        -ravel_pytree(
            eqx.filter(evaluate(problem, build(y)).gradient, eqx.is_inexact_array)
        )[0]
    )
    if method == "stiff":
        step = lambda s, h: _stiff_attempt(velocity, problem, build, s.y, h)
    else:
        step = lambda s, h: explicit_attempt(velocity, s.slope, s.y, h)
    norms = neuron_norms(network)
    return Field(build, velocity, step, norms, tolerance, times, max_steps, method)


def start_state(field: Field, network: Network) -> State:
    """The state of a run that starts at a network."""
    y = ravel_pytree(eqx.filter(network, eqx.is_inexact_array))[0]
    zero, count = jnp.zeros((), y.dtype), jnp.zeros((), jnp.int32)
    slope = field.velocity(y)
    sizes = field.norms(y)
    return State(
        t=zero,
        y=y,
        slope=slope,
        sizes=sizes,
        h=first_step(sizes, field.norms(slope), field.times[-1]),
        previous=zero + 1,
        saved=start_rows(y, len(field.times)),
        energy=zero,
        local_error=zero,
        num_steps=count,
        num_rejected=count,
        underflow=~jnp.all(jnp.isfinite(slope)),
    )


def is_running(field: Field, s: State) -> Bool[Array, ""]:
    """Whether a run has not ended."""
    left = s.num_steps + s.num_rejected < field.max_steps
    return (s.t < field.times[-1]) & left & ~s.underflow


def attempt(field: Field, s: State) -> State:
    """Try one step and keep it if it is accurate enough; a run that ended stays."""
    running, end = is_running(field, s), field.times[-1]
    window = next_times(s.saved, pad_times(field.times))
    room = jnp.minimum(window[-1], end) - s.t
    # Step sizes are constants to derivatives, but for the way to the end.
    h = jnp.minimum(jax.lax.stop_gradient(s.h), room)
    t = jnp.where(h >= end - s.t, end, s.t + h)
    step = field.step(s, h)
    error = jax.lax.stop_gradient(_error_norm(field, s, step))
    finite = jnp.all(jnp.isfinite(step.value)) & jnp.all(jnp.isfinite(step.slope))
    finite = finite & jnp.isfinite(error) & jnp.isfinite(step.energy)
    accepted = finite & (error <= 1) & running

    tau = jnp.clip((jnp.minimum(window, end) - s.t) / h, 0, 1)
    powers = tau[:, None] ** jnp.arange(5)[None, :].astype(tau.dtype)
    passed = jnp.where(accepted, jnp.sum(window <= t), 0)
    saved = write_rows(s.saved, powers @ step.dense, s.num_steps + 1, passed)
    tried = jax.lax.stop_gradient(h)
    new_h, underflow = next_step(s, tried, error, accepted, finite, end)
    keep = lambda new, old: jnp.where(accepted, new, old)
    return State(
        t=keep(t, s.t),
        y=keep(step.value, s.y),
        slope=keep(step.slope, s.slope),
        sizes=s.sizes,
        h=new_h,
        previous=keep(jnp.maximum(error, 1e-4), s.previous),
        saved=saved,
        energy=s.energy + keep(step.energy, 0),
        local_error=s.local_error + keep(error, 0),
        num_steps=s.num_steps + accepted.astype(jnp.int32),
        num_rejected=s.num_rejected + (running & ~accepted).astype(jnp.int32),
        underflow=jnp.where(running, underflow, s.underflow),
    )


def _error_norm(field: Field, s: State, step: _Attempt) -> Float[Array, ""]:
    """Error of the worst neuron, in units of what is allowed."""
    norms, (rtol, atol) = field.norms, field.tolerance
    size = jnp.maximum(norms(s.y), norms(step.value))
    return worst_ratio(norms(step.error), rtol * size + atol * s.sizes)


def finished_flow(field: Field, s: State) -> SmoothFlow:
    """What a run that ended was."""
    end = field.times[-1]
    rows, steps = finished_rows(s.saved, s.y, s.num_steps)
    return SmoothFlow(
        networks=jax.vmap(field.build)(rows),
        network=field.build(s.y),
        time=s.t,
        num_steps=s.num_steps,
        steps=steps,
        num_rejected=s.num_rejected,
        completed=s.t >= end,
        out_of_steps=(s.t < end) & ~s.underflow,
        diverged=(s.t < end) & s.underflow,
        energy=s.energy,
        local_error=s.local_error * field.tolerance.rtol,
        method=field.method,
    )


@eqx.filter_jit
def _flow(problem, network, times, tolerance, max_steps, method) -> SmoothFlow:
    field = field_of(problem, network, times, tolerance, max_steps, method)
    loop = jax.lax.while_loop
    if isinstance(max_steps, int):
        recorded = {"kind": "checkpointed", "max_steps": max_steps + 1}
        loop = ft.partial(eqxi.while_loop, **recorded)
    goes_on = ft.partial(is_running, field)
    state = loop(goes_on, ft.partial(attempt, field), start_state(field, network))
    return finished_flow(field, state)


def _stiff_attempt(field, problem, build, y, h) -> _Attempt:
    r"""Rodas5P for (θ, E), Ė = ‖∇L‖², whose Jacobian is block triangular."""
    matrix = hessian(problem, build(y))
    gradient = -field(y)
    row = 2 * (gradient @ matrix)
    inner = lu_solver(-matrix, h)

    def solve(v):
        solved = inner(v[:-1])
        return jnp.append(solved, v[-1] + GAMMA * h * (row @ solved))

    extended = lambda v: with_energy(field(v[:-1]))
    step = rosenbrock_stages(extended, solve, jnp.append(y, jnp.zeros_like(h)), h)
    return _Attempt(
        value=step.value[:-1],
        error=step.error[:-1],
        dense=step.dense[:, :-1],
        slope=y,  # not used; any finite vector
        energy=step.value[-1],
    )


def explicit_attempt(field, slope, y, h) -> _Attempt:
    """A tried step of the explicit method for θ̇ = field(θ), whose slope is known."""
    extended = lambda v: with_energy(field(v[:-1]))
    start = jnp.append(y, jnp.zeros_like(h))
    step = explicit_step(extended, with_energy(slope), start, h)
    return _Attempt(
        value=step.value[:-1],
        error=step.error[:-1],
        dense=step.dense[:, :-1],
        slope=step.slope[:-1],
        energy=step.value[-1],
    )


def with_energy(slope: Array) -> Array:
    """(θ̇, Ė) with Ė = ‖θ̇‖²."""
    return jnp.append(slope, slope @ slope)
