"""The table that plateaus of every definition are kept in."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..dynamics.trajectory import Trajectory


class Plateaus(eqx.Module):
    """Plateaus in order of time, a table of fixed size.

    Attributes:
        start: When it begins; inf in unused rows.
        end: When it ends, or the last time seen if it is censored; inf in unused rows.
        dwell: end − start; 0 in unused rows.
        level: Loss at its end.
        drop: Fall of the loss from this level to the next plateau's level, or to the
            last loss seen if there is no next; 0 if censored.
        censored: Whether it was still running when the run, or its table of events,
            ended: the true dwell is at least this long.
        count: Rows in use.
        overflow: Whether there were more than the table holds (the first are kept),
            or the trajectory's own table of events was too small.
        raw_count: By pattern, the number of intervals between steps at which any
            pair flipped, chatter included; by slope the number of flat intervals
            before `min_ratio` is applied.
    """

    start: Float[Array, " P"]
    end: Float[Array, " P"]
    dwell: Float[Array, " P"]
    level: Float[Array, " P"]
    drop: Float[Array, " P"]
    censored: Bool[Array, " P"]
    count: Int[Array, ""]
    overflow: Bool[Array, ""]
    raw_count: Int[Array, ""]


class Rows(NamedTuple):
    """Candidates for rows of a table, with an axis each."""

    start: Float[Array, " m"]
    end: Float[Array, " m"]
    censored: Bool[Array, " m"]


def finite_part(run: Trajectory):
    """Times, losses with what follows the last finite one replaced by it, its index."""
    finite = jnp.isfinite(run.losses)
    last = jnp.maximum(jnp.sum(finite, dtype=jnp.int32) - 1, 0)
    return run.times, jnp.where(finite, run.losses, run.losses[last]), last


def log_slopes(times: Any, losses: Any) -> Float[Array, " m"]:
    """Slopes d log L/d log t between saved times from the second on; the first is 0."""
    log_loss = jnp.log(jnp.maximum(losses, jnp.finfo(losses.dtype).tiny))
    return jnp.diff(log_loss[1:]) / jnp.diff(jnp.log(times[1:]))


def table_of(rows: Rows, chosen, size: int, losses, run, raw, overflow) -> Plateaus:
    """The first `size` of the chosen rows, with levels and drops."""
    index = jnp.nonzero(chosen, size=size, fill_value=0)[0]
    found = jnp.sum(chosen, dtype=jnp.int32)
    used = jnp.arange(size, dtype=jnp.int32) < found
    start, end, censored = (column[index] for column in rows)
    level = jnp.interp(end, run.times, losses)
    following = jnp.concatenate([used[1:], jnp.zeros(1, bool)])
    after = jnp.where(following, jnp.roll(level, -1), losses[-1])
    return Plateaus(
        start=jnp.where(used, start, jnp.inf),
        end=jnp.where(used, end, jnp.inf),
        dwell=jnp.where(used, end - start, 0),
        level=jnp.where(used, level, 0),
        drop=jnp.where(used & ~censored, level - after, 0),
        censored=used & censored,
        count=jnp.minimum(found, size),
        overflow=overflow | (found > size),
        raw_count=raw,
    )
