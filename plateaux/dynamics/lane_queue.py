"""A queue of lanes and a batch of fixed shape: who has finished makes room.

Every lane has its own number of steps. A batch takes some of them, the finished lanes
are put away and their places filled from the queue, so that few places ever wait. A
lane's numbers do not depend on which lanes are beside it: the batch's shape is always
the same.
"""

import functools as ft
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

# XLA's pool of threads gains nothing here, and can wait for ever for work that is
# done: https://github.com/PyAutoLabs/PyAutoFit/issues/1530.
ONE_THREAD: Any = {"xla_cpu_multi_thread_eigen": False}
compiled: Any = ft.partial(
    eqx.filter_jit,
    compiler_options=ONE_THREAD,  # pyright: ignore
)


@dataclass(frozen=True)
class Process:
    """What a lane does: functions of what all lanes share and of its state.

    Attributes:
        step: From what is shared and a kind of step to a function of a state; the
            states of lanes that do not want it stay as they are.
        running: Whether a state has not finished.
        kind: Which kind of step a state wants, an integer.
        rest: A state as a finished one.
        round: Steps between two looks at which lanes have finished.
        rounds: Rounds between two returns to the host, for progress and interrupts.
    """

    step: Callable[[Any, int], Callable[[Any], Any]]
    running: Callable[[Any, Any], Bool[Array, ""]]
    kind: Callable[[Any, Any], Int[Array, ""]]
    rest: Callable[[Any, Any], Any]
    round: int
    rounds: int


class Queue(NamedTuple):
    """All lanes, and the batch at work.

    Lanes that want steps of different kinds never share a batch: one that changes its
    kind goes back to the others and waits for the next turn.

    Attributes:
        store: States of all lanes, as they were when they last left the batch.
        states: States of the batch.
        lane: Which lane is in each place; the number of lanes if none.
        kind: Which kind of step the batch takes.
        steps: Steps taken by the batch.
    """

    store: Any
    states: Any
    lane: Int[Array, " B"]
    kind: Int[Array, ""]
    steps: Int[Array, ""]


def run_queue(
    process: Process,
    shared: Any,
    store: Any,
    lanes: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Any, int]:
    """Take all lanes to their ends.

    Args:
        process: What a lane does.
        shared: What all lanes share.
        store: Their first states, with a leading axis.
        lanes: Places in the batch.
        progress: Called with the number of finished lanes and of all.

    Returns:
        Their last states, and how many steps the batch took.
    """
    total = _size(store)
    queue = _begin(process, shared, store, lanes)
    while True:
        queue, left = _work((process, shared), queue, int(queue.kind))
        if progress is not None:
            progress(total - int(left), total)
        if left == 0:
            return queue.store, int(queue.steps)


def _size(store: Any) -> int:
    return jax.tree.leaves(eqx.filter(store, eqx.is_array))[0].shape[0]


@compiled
def _begin(process: Process, shared: Any, store: Any, lanes: int) -> Queue:
    empty = jnp.full(lanes, _size(store), jnp.int32)
    first = _rows(store, jnp.zeros(lanes, jnp.int32))
    places = eqx.filter_vmap(ft.partial(process.rest, shared))(first)
    zero = jnp.zeros((), jnp.int32)
    return _refill(process, shared, Queue(store, places, empty, zero, zero))


def _rows(states: Any, index: Int[Array, " m"]) -> Any:
    return jax.tree.map(lambda a: a[index], states)


def _refill(process: Process, shared: Any, queue: Queue) -> Queue:
    """Put lanes away that have ended or want another step; fill their places."""
    store, states, lane, kind, steps = queue
    total = _size(store)
    is_running = eqx.filter_vmap(ft.partial(process.running, shared))
    kind_of = eqx.filter_vmap(ft.partial(process.kind, shared))
    stays = is_running(states) & (kind_of(states) == kind) & (lane < total)
    put = lambda rows, new: rows.at[lane].set(new, mode="drop")
    store = jax.tree.map(put, store, states)
    waiting = is_running(store) & ~_within(lane, stays, total)
    # Another kind's turn, when too few lanes are left for this one.
    kinds = kind_of(store)
    same, other = waiting & (kinds == kind), waiting & (kinds != kind)
    at_work = jnp.sum(stays, dtype=jnp.int32)
    change = (
        ~jnp.any(same)
        & (at_work * 2 <= lane.size)
        & (jnp.sum(other, dtype=jnp.int32) >= at_work)
        & jnp.any(other)
    )
    kind = jnp.where(change, kinds[jnp.argmax(other)], kind)
    stays = stays & ~change
    chosen = waiting & (kinds == kind)
    (order,) = jnp.nonzero(chosen, size=lane.size, fill_value=total)
    rank = jnp.cumsum(~stays, dtype=jnp.int32) - 1
    lane = jnp.where(stays, lane, order.astype(jnp.int32)[rank])
    states = _rows(store, jnp.minimum(lane, total - 1))
    rest = lambda s, empty: jax.tree.map(
        lambda a, b: jnp.where(empty, b, a), s, process.rest(shared, s)
    )
    states = eqx.filter_vmap(rest)(states, lane == total)
    return Queue(store, states, lane, kind, steps)


def _within(lane, stays, total: int) -> Bool[Array, " L"]:
    """Which lanes are at work."""
    place = jnp.where(stays, lane, total)
    return jnp.zeros(total, bool).at[place].set(True, mode="drop")


@ft.partial(compiled, donate="all-except-first")
def _work(fixed, queue: Queue, kind: int) -> tuple[Queue, Int[Array, ""]]:
    """Some rounds of steps of one kind, and how many lanes are left."""
    process, shared = fixed
    total = _size(queue.store)
    step = eqx.filter_vmap(process.step(shared, kind))
    is_running = eqx.filter_vmap(ft.partial(process.running, shared))
    kind_of = eqx.filter_vmap(ft.partial(process.kind, shared))
    refill = ft.partial(_refill, process, shared)

    def one_round(carry):
        queue, rounds = carry
        states = jax.lax.fori_loop(0, process.round, lambda _, s: step(s), queue.states)
        queue = queue._replace(states=states, steps=queue.steps + process.round)
        going = is_running(states) & (kind_of(states) == kind)
        leaves = ~going & (queue.lane < total)
        queue = jax.lax.cond(jnp.any(leaves), refill, lambda q: q, queue)
        return queue, rounds + 1

    def unfinished(carry):
        queue, rounds = carry
        waits = jnp.any(queue.lane < total) & (queue.kind == kind)
        return waits & (rounds < process.rounds)

    queue, _ = jax.lax.while_loop(unfinished, one_round, (queue, jnp.int32(0)))
    in_place = jnp.sum(queue.lane < total, dtype=jnp.int32)
    outside = is_running(queue.store) & ~_within(queue.lane, queue.lane < total, total)
    return queue, in_place + jnp.sum(outside, dtype=jnp.int32)
