"""Least squares across activation patterns for many initialisations, in a queue."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
from ..dynamics.flow_many import first_of
from ..dynamics.lane_queue import Process, compiled, run_queue
from ..dynamics.recording import Record
from ..dynamics.save import Every
from ..dynamics.trajectory import Trajectory
from ..networks.two_layer import TwoLayer
from ..problems.equations import LinearEquation
from ..problems.problem import Problem
from .anls import checked_course, is_key
from .training import Course, State, advance, goes_on, start, trajectory


def anls_many(
    problem: Problem | LinearEquation,
    networks: TwoLayer,
    *,
    num_steps: Any,
    method: Any = None,
    keys: Any = None,
    save: Any = Every(1),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
    tol: Any = 1e-9,
    patience: Any = 60,
    lanes: Any = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Train many networks by least squares, each as `anls` trains it alone.

    Runs end after different numbers of steps. Here those that have ended make room for
    others, where under `jax.vmap` all would wait for the longest.

    Args:
        problem: As in `anls`, the same for all.
        networks: Networks with a leading axis, one initialisation a row.
        num_steps: As in `anls`.
        method: As in `anls`.
        keys: Keys of the random candidates, one a network; None means
            `jax.random.split(jax.random.key(0), B)` for B networks.
        save: As in `anls`.
        record: As in `anls`.
        tol: As in `anls`.
        patience: As in `anls`.
        lanes: Networks that train together; a run may depend on it, see `key` in
            `anls`.
        progress: Called with the number of finished networks and of all, now and then.

    Returns:
        A trajectory with a leading axis on every array.

    Raises:
        TypeError: As `anls`, or if `keys` are not keys.
        ValueError: As `anls`, or if the networks have no leading axis or the keys are
            not as many.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.sine(num_data=30)
        >>> draw = lambda key: px.networks.unit_kinks(key, width=3, in_dim=1)
        >>> starts = jax.vmap(draw)(jax.random.split(jax.random.key(0), 5))
        >>> runs = px.anls_many(problem, starts, num_steps=20, lanes=2)
        >>> runs.losses.shape, bool((runs.losses[:, -1] < runs.losses[:, 0]).all())
        ((5, 21), True)
    """
    one, total = first_of(networks)
    course = checked_course(
        problem, one, num_steps, method, save, record, tol, patience
    )
    for leaf in jax.tree.leaves(eqx.filter(networks, eqx.is_array)):
        _checks.finite("networks", leaf)
    lanes = min(_checks.count("lanes", lanes), total)
    store = _start(course, networks, jax.random.key_data(_checked_keys(keys, total)))
    store, _ = run_queue(_PROCESS, course, store, lanes, progress)
    return _trajectories(course, networks, store)


def check_anls(
    problem: Problem | LinearEquation,
    network: TwoLayer,
    *,
    num_steps: Any,
    method: Any = None,
    tol: Any = 1e-9,
    patience: Any = 60,
    lanes: Any = 16,
) -> None:
    """Refuse what `anls_many` would refuse, without running it."""
    checked_course(problem, network, num_steps, method, Every(1), None, tol, patience)
    _checks.count("lanes", lanes)


def _checked_keys(keys: Any, total: int) -> Array:
    """A key a network."""
    if keys is None:
        return jax.random.split(jax.random.key(0), total)
    if not is_key(keys):
        raise TypeError(
            "Argument `keys` must be keys made by jax.random.key and split, but is "
            f"{keys!r}."
        )
    if keys.shape != (total,):
        raise ValueError(
            f"Argument `keys` must have one key for each of the {total} networks, but "
            f"has shape {keys.shape}."
        )
    return keys


class _Lane(eqx.Module):
    """A run and the data of its key."""

    run: State
    key: Array


@compiled
def _start(course: Course, networks, keys) -> _Lane:
    return eqx.filter_vmap(lambda net, key: _Lane(start(course, net), key))(
        networks, keys
    )


@compiled
def _trajectories(course: Course, networks, store: _Lane) -> Trajectory:
    one = lambda network, lane: trajectory(course, network, lane.run)
    return eqx.filter_vmap(one)(networks, store)


def _step(course: Course, kind: int) -> Callable[[_Lane], _Lane]:
    def step(lane: _Lane) -> _Lane:
        going = goes_on(course, lane.run)
        new = advance(course, lane.run, jax.random.wrap_key_data(lane.key))
        keep = lambda a, b: jnp.where(going, a, b)
        return _Lane(jax.tree.map(keep, new, lane.run), lane.key)

    return step


def _running(course: Course, lane: _Lane):
    return goes_on(course, lane.run)


def _only_kind(course: Course, lane: _Lane):
    return jnp.zeros((), jnp.int32)


def _at_rest(course: Course, lane: _Lane) -> _Lane:
    last = jnp.asarray(course.plan.num_steps, lane.run.step.dtype)
    return eqx.tree_at(lambda a: a.run.step, lane, last)


_PROCESS = Process(_step, _running, _only_kind, _at_rest, round=2, rounds=25)
