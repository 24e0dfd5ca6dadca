"""Events of a kinked flow: the new modes of one neuron, and their record."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from .kinked_state import TOO_MANY_SLIDES, State, Table
from .modes import Data, Modes, basis, replace_row
from .pivoting import Choice, choose_modes
from .trajectory import EventKind

_COLLAPSED = 1e-12  # of the neuron's norm: all its boundaries meet at v = 0


def apply_event(data: Data, e, state: State, which, event) -> State:
    """New modes of the neuron whose function changed its sign, and their record."""
    modes, (v, c, _) = state.modes, state.parameters
    i, k, is_pair, is_c, target = _crossing(modes, which)
    choice = choose_modes(
        *jax.lax.stop_gradient((data, e, c[i])),
        modes.on[i],
        modes.slides[i],
        k,
        target,
        release=is_c & event,
    )
    collapse = is_pair & _collapses(data, modes, v[i], c[i], i)
    on = jnp.where(collapse, False, choice.on)
    slides = jnp.where(collapse, -1, choice.slides)
    alive = lambda on, slides: jnp.any(on) | jnp.any(slides >= 0)
    dies = alive(modes.on[i], modes.slides[i]) & ~alive(on, slides)
    dies = dies & (data.slope_off == 0)
    at = jnp.where(event, i, modes.on.shape[0])  # nowhere without an event
    modes = Modes(
        replace_row(modes.on, at, on),
        replace_row(modes.slides, at, slides),
    )
    rows = jnp.where(slides >= 0, data.x1.T[:, slides], 0).T
    v_i = jnp.where(collapse, 0, basis(rows).project_out(v[i]))
    table, count = _record(state, choice, i, k, collapse, dies, event)
    overflow = event & choice.overflow & ~collapse
    unclear = event & (choice.repelling | collapse)
    return state._replace(
        parameters=state.parameters._replace(v=replace_row(v, at, v_i)),
        modes=modes,
        table=table,
        status=jnp.where(overflow, TOO_MANY_SLIDES, state.status).astype(jnp.int32),
        monitor=state.monitor._replace(
            ambiguous=state.monitor.ambiguous + unclear.astype(jnp.int32),
            idle=state.monitor.idle + jnp.where(event, count, 0),
        ),
    )


class Crossing(NamedTuple):
    """What the function with a changed sign says.

    Attributes:
        neuron: Whose function it is.
        datum: Of which pair; −1 if it is the neuron's outer weight.
        is_pair: Whether it is z of a pair that does not slide.
        is_c: Whether it is the outer weight of a neuron that slides.
        target: The mode that the pair takes if velocities leave the choice open.
    """

    neuron: Int[Array, ""]
    datum: Int[Array, ""]
    is_pair: Bool[Array, ""]
    is_c: Bool[Array, ""]
    target: Int[Array, ""]


def _crossing(modes: Modes, which) -> Crossing:
    """What the number of a function stands for; numbers as in `ModeFunctions`."""
    which = jnp.maximum(which, 0)
    num, num_data = modes.on.shape
    places = modes.slides.shape[1]
    pairs, slots = jnp.int32(num * num_data), jnp.int32(num * places)
    num_data, places = jnp.int32(num_data), jnp.int32(places)
    is_pair, is_c = which < pairs, which >= pairs + 2 * slots
    slot = jax.lax.rem(jnp.maximum(which - pairs, 0), slots)
    i = jnp.where(is_pair, jax.lax.div(which, num_data), jax.lax.div(slot, places))
    i = jnp.where(is_c, which - pairs - 2 * slots, i)
    i = jnp.clip(i, 0, num - 1)
    k = jnp.where(
        is_pair,
        jax.lax.rem(which, num_data),
        modes.slides[i, jax.lax.rem(slot, places)],
    )
    k = jnp.where(is_c, -1, k)
    to_on = jnp.where(is_pair, ~modes.on[i, k], which >= pairs + slots)
    target = jnp.where(to_on, EventKind.on, EventKind.off).astype(jnp.int32)
    return Crossing(i, k, is_pair, is_c, target)


def _collapses(data: Data, modes: Modes, v_i, c_i, i) -> Bool[Array, ""]:
    """Whether the neuron comes to v = 0, where it meets all its boundaries at once.

    A neuron that slides along d data moves on a line through v = 0; nothing else leads
    there in finite time but by a coincidence.
    """
    norm = jnp.sqrt(jnp.sum(v_i**2))
    on_line = jnp.sum(modes.slides[i] >= 0) == v_i.shape[0] - 1
    tiny = norm <= _COLLAPSED * jnp.sqrt(norm**2 + c_i**2)
    return (on_line | tiny) & (data.slope_off == 0)


def _record(state: State, choice: Choice, i, k, collapse, dies, event):
    """The table with the changed modes appended, the one that began it first."""
    table = state.table
    mine = choice.data == k
    changed = jnp.where(collapse, mine, choice.changed)
    kinds = jnp.where(collapse, EventKind.collapse, choice.kinds)
    rows = jnp.stack(
        [
            jnp.full(mine.size, i, jnp.int32),
            choice.data,
            kinds.astype(jnp.int32),
            choice.previous.astype(jnp.int32),
            jnp.full(mine.size, dies, jnp.int32),
        ],
        axis=1,
    )
    count = jnp.sum(changed, dtype=jnp.int32)
    leads = jnp.any(mine & changed).astype(jnp.int32)
    place = leads + jnp.cumsum(changed & ~mine, dtype=jnp.int32) - 1
    place = jnp.where(mine, 0, place) + table.count
    place = jnp.where(changed & event, place, table.time.size)
    return Table(
        table.time.at[place].set(state.time, mode="drop"),
        table.columns.at[place].set(rows, mode="drop"),
        table.count + jnp.where(event, count, 0),
    ), count
