r"""Plateaus of a trajectory, by two definitions.

*By pattern* (after Ainsworth & Shin, arXiv:2007.07213): a maximal interval of
constant activation pattern. A pair that slides along a boundary, or that descent
makes chatter across it, counts as a third state beside on and off, so that a slide is
not a string of plateaus; the raw number is reported beside it.

*By slope*: a maximal interval on which the loss falls slowly on a log-log plot,
|d log L / d log t| < `threshold`, and which lasts at least a factor `min_ratio`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from ..dynamics.trajectory import Trajectory
from ._tables import Plateaus, Rows, finite_part, log_slopes, table_of

DEFINITIONS = ("slope", "pattern")


def plateaus(
    trajectory: Trajectory,
    *,
    by: Any = "slope",
    max_plateaus: Any = None,
    threshold: Any = 0.1,
    min_ratio: Any = 2.0,
) -> Plateaus:
    r"""Find the plateaus of one trajectory; use `jax.vmap` for many.

    Args:
        trajectory: From any way of training.
        by: "slope" or "pattern".
        max_plateaus: Rows of the table; None means 32 by slope, and by pattern one
            more than the table of events, which then always suffices.
        threshold: By slope: the largest |d log L/d log t| that counts as flat. The
            default 0.1 means a fall of less than 7 % while time doubles.
        min_ratio: By slope: end/start of a plateau is at least this. A plateau that
            begins with the run has start 0 and always qualifies.

    Returns:
        The table. By slope, start and end are saved times: the schedule limits the
        resolution. By pattern they are exact steps.

    Raises:
        ValueError: If `by` is unknown, a number is out of range, or patterns were
            not watched.

    Example:
        >>> import plateaux as px
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> problem = px.Problem(x, jnp.abs(x[:, 0]))
        >>> network = px.TwoLayer(w=[[1e-3], [-1e-3]], b=[0.0, 0.0], c=[1e-3, 1e-3])
        >>> run = px.descend(problem, network, px.gradient_descent(0.1), num_steps=999)
        >>> table = plateaus(run)
        >>> print(table.count, table.end[:2], table.censored[:2])
        2 [ 9.2 99.9] [False  True]

    Reference: Ainsworth & Shin (2021), arXiv:2007.07213, for plateaus by pattern.
    """
    check_options(by, max_plateaus, threshold, min_ratio)
    # Networks say nothing about plateaus, and of every kind were a program to compile.
    trajectory = eqx.tree_at(lambda run: (run.saved, run.network), trajectory, ({}, 0))
    if by == "slope":
        dtype = trajectory.losses.dtype
        numbers = (jnp.asarray(v, dtype) for v in (threshold, min_ratio))
        return _by_slope(trajectory, max_plateaus or 32, *numbers)
    return _by_pattern(trajectory, max_plateaus)


def check_options(
    by: Any = "slope",
    max_plateaus: Any = None,
    threshold: Any = 0.1,
    min_ratio: Any = 2.0,
) -> None:
    """Refuse options that `plateaus` would refuse of any trajectory."""
    _checks.known("definition of a plateau", by, DEFINITIONS)
    if max_plateaus is not None:
        _checks.count("max_plateaus", max_plateaus)
    _checks.positive("threshold", threshold)
    if _checks.is_concrete(min_ratio) and not min_ratio >= 1:
        raise ValueError(
            f"Argument `min_ratio` must be at least 1, but is {min_ratio}."
        )


@eqx.filter_jit
def _by_slope(run: Trajectory, size: int, threshold, min_ratio) -> Plateaus:
    times, losses, last = finite_part(run)
    flat = (jnp.abs(log_slopes(times, losses)) < threshold) & (
        jnp.arange(1, times.size - 1, dtype=jnp.int32) < last
    )
    # The interval from 0 to the first saved time has no slope in log time: it belongs
    # to the plateau of the interval after it, if that is one.
    none = jnp.zeros(1, bool)
    flat = jnp.concatenate([flat[:1] if flat.size else none, flat])
    starts = flat & ~jnp.concatenate([none, flat[:-1]])
    ends = flat & ~jnp.concatenate([flat[1:], none])
    raw = jnp.sum(starts, dtype=jnp.int32)
    # Every flat interval ends at the next index that is an end, itself included.
    index = jnp.arange(flat.size, dtype=jnp.int32)
    final = jax.lax.cummin(jnp.where(ends, index, flat.size - 1), reverse=True) + 1
    start, end = times[:-1], times[final]
    long = starts & (end >= min_ratio * start)
    rows = Rows(start, end, censored=final == last)
    return table_of(rows, long, size, losses, run, raw, jnp.zeros((), bool))


@eqx.filter_jit
def _by_pattern(run: Trajectory, size: int | None) -> Plateaus:
    events = run.events
    if events is None:
        raise ValueError(
            "The trajectory must have watched its patterns for plateaus by pattern, "
            "but has no events; train with `watch=True`."
        )
    times, losses, last = finite_part(run)
    stop = times[last]
    # Nothing is known beyond the last event of a table that was too small.
    latest = jnp.max(jnp.where(jnp.isfinite(events.time), events.time, 0), initial=0)
    stop = jnp.where(events.overflow, jnp.minimum(stop, latest), stop)
    edges = jnp.concatenate(
        [jnp.zeros_like(times[:1]), jnp.minimum(events.time, stop), stop[None]]
    )
    by_event = jnp.concatenate([events.time <= stop, jnp.zeros(1, bool)])
    rows = Rows(edges[:-1], edges[1:], censored=~by_event)
    proper = rows.end > rows.start
    changes = run.stats.pattern_changes
    raw = jnp.sum(proper, dtype=jnp.int32) if changes is None else changes + 1
    return table_of(
        rows, proper, size or proper.size, losses, run, raw, events.overflow
    )
