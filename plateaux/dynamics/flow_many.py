"""Gradient flow of many initialisations, in a queue: see `lane_queue`."""

import functools as ft
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from ..networks.network import Network
from ..problems.problem import Problem, check_match
from . import kinked_flow as kinked
from .equal_data import merge_equal, name_data
from .flow import (
    Arguments,
    checked,
    deep_trajectory,
    is_deep,
    is_kinked,
    smooth_trajectory,
    trajectory_of,
)
from .kinked_stiff import stiff_attempt
from .lane_queue import Process, compiled, run_queue
from .recording import Record
from .save import LogSpaced
from .trajectory import Trajectory


def flow_many(
    problem: Problem,
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
    if is_deep(one, arguments.method):
        run = deep_trajectory
    elif not is_kinked(problem, one):
        run = smooth_trajectory
    else:
        merged, kept = merge_equal(problem)
        states, _ = run_lanes(merged, networks, arguments, lanes, progress)
        runs = _trajectories(problem, networks, arguments, states, recorded)
        return name_data(runs, kept)
    parts = []
    for at in range(0, total, lanes):
        index = jnp.minimum(jnp.arange(at, at + lanes), total - 1)
        part = jax.tree.map(lambda a, i=index: a[i], eqx.filter(networks, eqx.is_array))
        part = eqx.combine(part, networks)
        parts.append(_batch(run, problem, part, arguments, recorded))
        if progress is not None:
            progress(min(at + lanes, total), total)
    join = lambda *rows: jnp.concatenate(rows)[:total]
    return jax.tree.map(join, *parts)


def first_of(networks: Any) -> tuple[Any, int]:
    """One of the networks, and how many there are."""
    arrays = eqx.filter(networks, eqx.is_array)
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(arrays)}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            "Argument `networks` must have one leading axis over initialisations, but "
            f"its arrays have leading sizes {sorted(sizes)}; build them with jax.vmap."
        )
    return eqx.combine(jax.tree.map(lambda a: a[0], arrays), networks), sizes.pop()


@compiled
def _trajectories(problem, networks, arguments: Arguments, states, record):
    one = ft.partial(_trajectory, problem, arguments, record)
    return eqx.filter_vmap(one)(networks, states)


def _trajectory(problem, arguments, record, network, state) -> Trajectory:
    return trajectory_of(problem, network, arguments, state, record)


@compiled
def _batch(run, problem, networks, arguments: Arguments, record) -> Trajectory:
    one = lambda network: run(problem, network, arguments, record)
    return eqx.filter_vmap(one)(networks)


def run_lanes(
    problem: Problem,
    networks: Network,
    arguments: Arguments,
    lanes: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[kinked.State, float]:
    """Final states of all lanes, and the share of places that were at work.

    Args:
        problem: Data and loss.
        networks: Networks with a leading axis.
        arguments: Checked arguments.
        lanes: Places in the batch.
        progress: Called with the number of finished lanes and of all.

    Returns:
        The states, one a network, and the lane efficiency.
    """
    one, _ = first_of(networks)
    store = _start(problem, networks, arguments)
    shared = (problem, one, arguments)
    states, steps = run_queue(_PROCESS, shared, store, lanes, progress)
    used = int(jnp.sum(states.monitor.attempts))
    return states, used / max(steps * lanes, 1)


@compiled
def _start(problem, networks, arguments: Arguments) -> kinked.State:
    begin = lambda network: kinked.start_state(problem, network, arguments.plan)
    return eqx.filter_vmap(begin)(networks)


def _step(shared, stiff: int) -> Callable[[kinked.State], kinked.State]:
    problem, one, arguments = shared
    field = kinked.field_of(
        problem,
        one,
        arguments.rtol,
        arguments.atol,
        arguments.times,
        arguments.plan,
    )
    return ft.partial(stiff_attempt if stiff else kinked.explicit_attempt, field)


def _is_running(shared, state: kinked.State):
    return state.status == kinked.RUNNING


def _is_stiff(shared, state: kinked.State):
    return state.stiff.astype(jnp.int32)


def _at_rest(shared, state: kinked.State) -> kinked.State:
    return state._replace(status=jnp.asarray(kinked.COMPLETED, state.status.dtype))


_PROCESS = Process(_step, _is_running, _is_stiff, _at_rest, round=8, rounds=50)
