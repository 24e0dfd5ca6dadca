"""Gradient flow of many initialisations, in a queue: see `lane_queue`."""

import functools as ft
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from ..networks.network import Network
from ..problems.problem import Problem, check_match
from ..problems.task import Task
from . import deep_state as deep, kinked_state as kinked, smooth_flow as smooth
from .deep_flow import finished_flow
from .deep_steps import attempt
from .equal_data import merge_equal, name_data
from .flow_arguments import Arguments, checked, is_deep, is_kinked
from .flow_results import deep_trajectory, smooth_trajectory, trajectory_of
from .kinked_flow import explicit_attempt
from .kinked_stiff import stiff_attempt
from .lane_queue import Process, compiled, run_queue
from .recording import Record
from .save import LogSpaced
from .trajectory import Trajectory


def flow_many(
    problem: Task,
    networks: Network,
    *,
    t1: Any,
    rtol: Any = None,
    atol: Any = None,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
    max_events: Any = 512,
    max_steps: Any = 10_000,
    method: Any = "auto",
    lanes: Any = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Gradient flow of many networks, each as `flow` computes it alone.

    Args:
        problem: Data and loss, the same for all.
        networks: Networks with a leading axis, one initialisation a row.
        t1: How long, in flow time.
        rtol: As in `flow`.
        atol: As in `flow`.
        save: As in `flow`.
        record: As in `flow`.
        max_events: As in `flow`.
        max_steps: As in `flow`.
        method: As in `flow`.
        lanes: Networks that run together; a lane's last digits may depend on it.
        progress: Called with the number of finished networks and of all, now and then.

    Returns:
        A trajectory with a leading axis on every array. A network that fails has its
        own `outcome`; the others do not notice.

    Raises:
        ValueError: As `flow`, or if the networks have no leading axis.
        TypeError: As `flow`.

    Example:
        >>> import plateaux as px
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> problem = px.Problem(x, jnp.abs(x[:, 0]))
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> draw = lambda key: px.TwoLayer(*(
        ...     jax.random.normal(k, shape)
        ...     for k, shape in zip(jax.random.split(key, 3), [(4, 1), (4,), (4,)])
        ... ))
        >>> runs = px.flow_many(problem, jax.vmap(draw)(keys), t1=10.0, lanes=2)
        >>> runs.losses.shape, bool((runs.losses[:, -1] < runs.losses[:, 0]).all())
        ((3, 200), True)
    """
    one, total = first_of(networks)
    check_match(problem, one)
    arguments = checked(problem, t1, rtol, atol, save, max_events, max_steps, method)
    lanes = min(_checks.count("lanes", lanes), total)
    recorded = tuple((record or {}).items())
    way = _way(problem, one, arguments)
    data, kept = problem, None
    if way is not _KINKED:
        arguments = arguments.without_series()
    elif isinstance(problem, Problem):
        data, kept = merge_equal(problem)
    states, _ = _run(way, data, networks, arguments, lanes, progress)
    runs = _trajectories(way, problem, networks, arguments, states, recorded)
    return runs if kept is None else name_data(runs, kept)


def first_of(networks: Any) -> tuple[Any, int]:
    """One of the networks, and how many there are."""
    arrays = eqx.filter(networks, eqx.is_array)
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(arrays)}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            "Argument `networks` must have one leading axis over initialisations, but "
            f"its arrays have leading sizes {sorted(sizes)}; build them with jax.vmap."
        )
    return eqx.combine(_first(arrays), networks), sizes.pop()


@eqx.filter_jit
def _first(arrays: Any) -> Any:
    return jax.tree.map(lambda a: a[0], arrays)


def lane_efficiency(
    problem: Problem, networks: Network, arguments: Arguments, lanes: int
) -> tuple[kinked.State, float]:
    """Final states of the kinked flows, and the share of places that were at work.

    Args:
        problem: Data and loss.
        networks: Networks with a leading axis.
        arguments: Checked arguments.
        lanes: Places in the batch.

    Returns:
        The states, one a network, and the lane efficiency.
    """
    states, steps = _run(_KINKED, problem, networks, arguments, lanes, None)
    used = int(jnp.sum(states.monitor.attempts))
    return states, used / max(steps * lanes, 1)


class _Way(NamedTuple):
    """How a kind of flow is run in a queue.

    Attributes:
        start: From problem, network and arguments to the state of a lane.
        process: What it does; problem, one of the networks and arguments are shared.
        trajectory: From problem, network, arguments, last state and what is recorded
            to the trajectory.
    """

    start: Callable[..., Any]
    process: Process
    trajectory: Callable[..., Trajectory]


def _way(problem: Task, network: Network, arguments: Arguments) -> _Way:
    if is_deep(problem, network, arguments.method):
        return _DEEP
    return _KINKED if is_kinked(problem, network) else _SMOOTH


def _run(way: _Way, problem, networks, arguments, lanes, progress):
    """Final states of all lanes, and the steps that the batch took."""
    one, _ = first_of(networks)
    store = _start(way, problem, networks, arguments)
    return run_queue(way.process, (problem, one, arguments), store, lanes, progress)


@compiled
def _start(way: _Way, problem, networks, arguments: Arguments) -> Any:
    return eqx.filter_vmap(ft.partial(way.start, problem, arguments))(networks)


@compiled
def _trajectories(way: _Way, problem, networks, arguments: Arguments, states, record):
    one = ft.partial(way.trajectory, problem, arguments, record)
    return eqx.filter_vmap(one)(networks, states)


def _one_kind(shared, state) -> Any:
    return jnp.zeros((), jnp.int32)


def _kinked_start(problem, arguments: Arguments, network) -> kinked.State:
    return kinked.start_state(problem, network, arguments.plan)


def _kinked_step(shared, stiff: int) -> Callable[[kinked.State], kinked.State]:
    problem, one, arguments = shared
    field = kinked.field_of(
        problem,
        one,
        arguments.rtol,
        arguments.atol,
        arguments.times,
        arguments.plan,
    )
    return ft.partial(stiff_attempt if stiff else explicit_attempt, field)


def _kinked_is_running(shared, state: kinked.State):
    return state.status == kinked.RUNNING


def _kinked_is_stiff(shared, state: kinked.State):
    return state.stiff.astype(jnp.int32)


def _kinked_at_rest(shared, state: kinked.State) -> kinked.State:
    return state._replace(status=jnp.asarray(kinked.COMPLETED, state.status.dtype))


def _kinked_trajectory(problem, arguments, record, network, state) -> Trajectory:
    return trajectory_of(problem, network, arguments, state, record)


def _smooth_field(problem, network, arguments: Arguments) -> smooth.Field:
    tolerance = smooth.Tolerance(arguments.rtol, arguments.atol)
    return smooth.field_of(
        problem,
        network,
        arguments.times,
        tolerance,
        arguments.max_steps,
        arguments.method,
    )


def _smooth_start(problem, arguments: Arguments, network) -> smooth.State:
    return smooth.start_state(_smooth_field(problem, network, arguments), network)


def _smooth_step(shared, kind: int) -> Callable[[smooth.State], smooth.State]:
    return ft.partial(smooth.attempt, _smooth_field(*shared))


def _smooth_is_running(shared, state: smooth.State):
    return smooth.is_running(_smooth_field(*shared), state)


def _deep_field(problem, network, arguments: Arguments) -> deep.Field:
    return deep.field_of(
        problem,
        network,
        arguments.times,
        arguments.rtol,
        arguments.atol,
        arguments.max_steps,
    )


def _deep_start(problem, arguments: Arguments, network) -> deep.State:
    field = _deep_field(problem, network, arguments)
    return deep.start_state(field, problem, network, arguments.max_events)


def _deep_step(shared, kind: int) -> Callable[[deep.State], deep.State]:
    field = _deep_field(*shared)

    def step(state: deep.State) -> deep.State:
        running, new = deep.is_running(field, state), attempt(field, state)
        return jax.tree.map(lambda a, b: jnp.where(running, a, b), new, state)

    return step


def _deep_is_running(shared, state: deep.State):
    return deep.is_running(_deep_field(*shared), state)


def _at_the_end(shared, state: Any) -> Any:
    _, _, arguments = shared
    return eqx.tree_at(lambda s: s.t, state, arguments.times[-1])


def _finished(field_of, finished_flow, trajectory) -> Callable[..., Trajectory]:
    """From a last state to what the run was, and from that to the trajectory."""

    def finish(problem, arguments, record, network, state) -> Trajectory:
        run = finished_flow(field_of(problem, network, arguments), state)
        return trajectory(problem, network, arguments, run, record)

    return finish


_KINKED = _Way(
    _kinked_start,
    Process(
        _kinked_step,
        _kinked_is_running,
        _kinked_is_stiff,
        _kinked_at_rest,
        round=8,
        rounds=50,
    ),
    _kinked_trajectory,
)
_SMOOTH = _Way(
    _smooth_start,
    Process(
        _smooth_step, _smooth_is_running, _one_kind, _at_the_end, round=4, rounds=50
    ),
    _finished(_smooth_field, smooth.finished_flow, smooth_trajectory),
)
_DEEP = _Way(
    _deep_start,
    Process(_deep_step, _deep_is_running, _one_kind, _at_the_end, round=8, rounds=50),
    _finished(_deep_field, finished_flow, deep_trajectory),
)
