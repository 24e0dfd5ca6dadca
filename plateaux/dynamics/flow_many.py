"""Gradient flow of many initialisations: a queue of lanes and a batch of fixed shape.

Every lane has its own steps, events and end. A batch of lanes takes some steps, the
finished ones are put away and their places filled from the queue, so that few places
ever wait. A lane's numbers do not depend on which lanes are beside it: the batch's
shape is always the same.
"""

import functools as ft
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

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
from .recording import Record
from .save import LogSpaced
from .trajectory import Trajectory

_ROUND = 8  # steps between two looks at which lanes have finished
_ROUNDS = 50  # rounds between two returns to the host, for progress and interrupts
# XLA's pool of threads gains nothing here, and can wait for ever for work that is
# done: https://github.com/PyAutoLabs/PyAutoFit/issues/1530.
_compiled: Any = ft.partial(
    eqx.filter_jit,
    compiler_options={"xla_cpu_multi_thread_eigen": False},  # pyright: ignore
)


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
    one, total = _first_of(networks)
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


def _first_of(networks: Network) -> tuple[Any, int]:
    """One of the networks, and how many there are."""
    arrays = eqx.filter(networks, eqx.is_array)
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(arrays)}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            "Argument `networks` must have one leading axis over initialisations, but "
            f"its arrays have leading sizes {sorted(sizes)}; build them with jax.vmap."
        )
    return eqx.combine(jax.tree.map(lambda a: a[0], arrays), networks), sizes.pop()


@_compiled
def _trajectories(problem, networks, arguments: Arguments, states, record):
    one = ft.partial(_trajectory, problem, arguments, record)
    return eqx.filter_vmap(one)(networks, states)


def _trajectory(problem, arguments, record, network, state) -> Trajectory:
    return trajectory_of(problem, network, arguments, state, record)


@_compiled
def _batch(run, problem, networks, arguments: Arguments, record) -> Trajectory:
    one = lambda network: run(problem, network, arguments, record)
    return eqx.filter_vmap(one)(networks)


class _Queue(NamedTuple):
    """All lanes, and the batch at work.

    Lanes that want the explicit and the stiff method never share a batch: a lane that
    changes its method goes back to the others and waits for the next turn.

    Attributes:
        store: States of all lanes, as they were when they last left the batch.
        states: States of the batch.
        lane: Which lane is in each place; the number of lanes if none.
        stiff: Which method the batch runs.
        attempts: Steps tried by the batch.
    """

    store: kinked.State
    states: kinked.State
    lane: Int[Array, " B"]
    stiff: Bool[Array, ""]
    attempts: Int[Array, ""]


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
    _, total = _first_of(networks)
    queue = _start(problem, networks, arguments, lanes)
    one, _ = _first_of(networks)
    while True:
        queue, left = _work((problem, one, arguments), queue, bool(queue.stiff))
        if progress is not None:
            progress(total - int(left), total)
        if left == 0:
            break
    used = int(jnp.sum(queue.store.monitor.attempts))
    return queue.store, used / max(int(queue.attempts) * lanes, 1)


@_compiled
def _start(problem, networks, arguments: Arguments, lanes: int) -> _Queue:
    begin = lambda network: kinked.start_state(problem, network, arguments.plan)
    store = eqx.filter_vmap(begin)(networks)
    empty = jnp.full(lanes, store.status.size, jnp.int32)
    places = jax.tree.map(lambda a: a[jnp.zeros(lanes, jnp.int32)], store)
    places = places._replace(status=jnp.full(lanes, kinked.COMPLETED, jnp.int32))
    return _refill(_Queue(store, places, empty, jnp.zeros((), bool), jnp.int32(0)))


def _refill(queue: _Queue) -> _Queue:
    """Put lanes away that have ended or want the other method; fill their places."""
    store, states, lane, stiff, attempts = queue
    total = store.status.size
    ours = lambda s: (s.status == kinked.RUNNING) & (s.stiff == stiff)
    stays = ours(states) & (lane < total)
    put = lambda rows, new: rows.at[lane].set(new, mode="drop")
    store = jax.tree.map(put, store, states)
    waiting = (store.status == kinked.RUNNING) & ~_within(lane, stays, total)
    # The other method's turn, when too few lanes are left for this one.
    same = waiting & (store.stiff == stiff)
    other = waiting & (store.stiff != stiff)
    at_work = jnp.sum(stays, dtype=jnp.int32)
    idle = (
        ~jnp.any(same)
        & (at_work * 2 <= lane.size)
        & (jnp.sum(other, dtype=jnp.int32) >= at_work)
    )
    change = idle & jnp.any(other)
    stiff = jnp.where(change, ~stiff, stiff)
    stays = stays & ~change
    chosen = jnp.where(change, other, same)
    (order,) = jnp.nonzero(chosen, size=lane.size, fill_value=total)
    order = order.astype(jnp.int32)
    rank = jnp.cumsum(~stays, dtype=jnp.int32) - 1
    lane = jnp.where(stays, lane, order[rank])
    take = lambda rows: rows[jnp.minimum(lane, total - 1)]
    states = jax.tree.map(take, store)
    # A place without a lane rests as a finished one.
    status = jnp.where(lane < total, states.status, kinked.COMPLETED)
    states = states._replace(status=status.astype(jnp.int32))
    return _Queue(store, states, lane, stiff, attempts)


def _within(lane, stays, total: int) -> Bool[Array, " L"]:
    """Which lanes are at work."""
    place = jnp.where(stays, lane, total)
    return jnp.zeros(total, bool).at[place].set(True, mode="drop")


@ft.partial(_compiled, donate="all-except-first")
def _work(fixed, queue: _Queue, stiff: bool) -> tuple[_Queue, Int[Array, ""]]:
    """Some rounds of steps of one method, and how many lanes are left."""
    problem, one, arguments = fixed
    total = queue.store.status.size
    field = kinked.field_of(
        problem,
        one,
        arguments.rtol,
        arguments.atol,
        arguments.times,
        arguments.plan,
    )
    attempt = stiff_attempt if stiff else kinked.explicit_attempt
    step = jax.vmap(lambda s: attempt(field, s))

    def one_round(carry):
        queue, rounds = carry
        states = jax.lax.fori_loop(0, _ROUND, lambda _, s: step(s), queue.states)
        queue = queue._replace(states=states, attempts=queue.attempts + _ROUND)
        going = (states.status == kinked.RUNNING) & (states.stiff == stiff)
        leaves = ~going & (queue.lane < total)
        queue = jax.lax.cond(jnp.any(leaves), _refill, lambda q: q, queue)
        return queue, rounds + 1

    def unfinished(carry):
        queue, rounds = carry
        waits = jnp.any(queue.lane < total) & (queue.stiff == stiff)
        return waits & (rounds < _ROUNDS)

    queue, _ = jax.lax.while_loop(unfinished, one_round, (queue, jnp.int32(0)))
    in_place = jnp.sum(queue.lane < total, dtype=jnp.int32)
    running = queue.store.status == kinked.RUNNING
    outside = jnp.sum(
        running & ~_within(queue.lane, queue.lane < total, total), dtype=jnp.int32
    )
    return queue, in_place + outside
