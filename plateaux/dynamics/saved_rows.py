"""Parameters at saved times, written as an adaptive loop passes them.

A step that ends at time t may pass several saved times. It writes a window of rows
from the first that is still to come on; those beyond t are overwritten by the steps
that reach them, so that no step has to know how many it passes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Saved times that one step can hold.
WINDOW = 8


class SavedRows(NamedTuple):
    """θ at the saved times so far, and room for a window behind.

    Attributes:
        values: θ.
        steps: Steps taken up to each of them.
        position: Place of the next time to save.
    """

    values: Float[Array, "slots p"]
    steps: Int[Array, " slots"]
    position: Int[Array, ""]


def start_rows(start: Float[Array, " p"], num_times: int) -> SavedRows:
    """Rows that hold the start, the first of the saved times."""
    slots = num_times + WINDOW
    values = jnp.zeros((slots, len(start)), start.dtype).at[0].set(start)
    return SavedRows(values, jnp.zeros(slots, jnp.int32), jnp.int32(1))


def pad_times(times: Float[Array, " t"]) -> Float[Array, " slots"]:
    """The saved times with infinities behind."""
    return jnp.concatenate([times, jnp.full(WINDOW, jnp.inf, times.dtype)])


def next_times(rows: SavedRows, padded: Float[Array, " slots"]) -> Array:
    """The window of saved times that come next; a step ends before the last."""
    return jax.lax.dynamic_slice(padded, (rows.position,), (WINDOW,))


def write_rows(rows: SavedRows, values: Float[Array, "window p"], step, num_passed):
    """The rows with a window written, whose first `num_passed` stay."""
    place = (rows.position, jnp.zeros_like(rows.position))
    number = jnp.full(WINDOW, step, jnp.int32)
    return SavedRows(
        jax.lax.dynamic_update_slice(rows.values, values, place),
        jax.lax.dynamic_update_slice(rows.steps, number, (rows.position,)),
        rows.position + num_passed.astype(jnp.int32),
    )


def finished_rows(rows: SavedRows, last: Float[Array, " p"], num_steps):
    """θ and steps at every saved time; the last ones beyond the end of a run."""
    values, steps = rows.values[:-WINDOW], rows.steps[:-WINDOW]
    unsaved = jnp.arange(len(steps), dtype=jnp.int32) >= rows.position
    return (
        jnp.where(unsaved[:, None], last[None, :], values),
        jnp.where(unsaved, num_steps, steps),
    )
