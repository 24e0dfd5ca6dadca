r"""The staircase: the rank of the features rises in steps while the loss falls.

A tread is a maximal interval of constant rank that lasts at least a factor `min_ratio`
in time; shorter excursions between two treads of one rank belong to it. A step leads
from one tread to the next. It is matched if the loss drops while it is taken, i.e. if
d log L/d log t < −`threshold` somewhere between a factor `min_ratio` before its begin
and one after its end.

After Yang, Zhao & Zhu (2024), arXiv:2412.05144; how a step is told from noise, and
matched, is this library's.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from ..dynamics.trajectory import Trajectory
from ._tables import Plateaus, Rows, finite_part, log_slopes, table_of
from .plateau import check_options


class Staircase(eqx.Module):
    """Treads in order of time, a table of fixed size, and the steps that end them.

    Attributes:
        treads: Intervals of constant rank; their dwells are the waiting times between
            steps, censored where the run ended first. `raw_count` is one more than
            the number of times the rank changed, excursions included.
        rank: Rank of each tread; −1 in unused rows.
        height: Rise of the rank from the tread to the next, or to the last rank seen
            if there is no next (negative if it falls); 0 where censored or unused.
        matched: Whether the loss drops at the step that ends the tread.
        num_steps: Number of treads that ended.
        num_drops: Intervals on which the loss drops, d log L/d log t < −threshold.
        spearman: Spearman correlation of log L and the rank over the saved times
            after the start, up to saturation; 0 by convention if either is constant.
        saturation: First saved time of the highest rank.
    """

    treads: Plateaus
    rank: Int[Array, " P"]
    height: Int[Array, " P"]
    matched: Bool[Array, " P"]
    num_steps: Int[Array, ""]
    num_drops: Int[Array, ""]
    spearman: Float[Array, ""]
    saturation: Float[Array, ""]


def staircase(
    trajectory: Trajectory,
    ranks: Any,
    *,
    max_treads: Any = 64,
    min_ratio: Any = 1.3,
    threshold: Any = 0.5,
) -> Staircase:
    r"""Treads and steps of the rank along a run; use `jax.vmap` for many runs.

    Args:
        trajectory: From any way of training, saved at many times: the schedule limits
            the resolution, and `px.log_spaced` suits the definition.
        ranks: The rank at every saved time, shape (t,), integers such as
            `px.diagnostics.epsilon_rank` gives of recorded spectra.
        max_treads: Rows of the table.
        min_ratio: End/start of a tread is at least this.
        threshold: How steeply the loss falls where it drops, −d log L/d log t.

    Returns:
        The staircase; of a run that ended early, up to its last finite loss.

    Raises:
        TypeError: If the ranks are not integers.
        ValueError: If they do not go with the saved times, or a number is out of range.

    Example:
        >>> import plateaux as px
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> problem = px.Problem(x, jnp.abs(x[:, 0]))
        >>> network = px.TwoLayer(w=[[1e-3], [-1e-3]], b=[0.0, 0.0], c=[1e-3, 1e-3])
        >>> run = px.descend(
        ...     problem, network, px.gradient_descent(0.1), num_steps=999,
        ...     record={"spectrum": px.diagnostics.spectrum},
        ... )
        >>> ranks = px.diagnostics.epsilon_rank(run.saved["spectrum"], 1e-2)
        >>> found = staircase(run, ranks)
        >>> print(found.rank[:2], found.height[:2], found.matched[:2])
        [0 1] [1 0] [ True False]

    Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    ranks = jnp.asarray(ranks)
    if not jnp.issubdtype(ranks.dtype, jnp.integer):
        raise TypeError(
            "Argument `ranks` must hold integers, one a saved time, but has dtype "
            f"{ranks.dtype}; px.diagnostics.epsilon_rank gives them of spectra."
        )
    if ranks.shape != trajectory.times.shape:
        raise ValueError(
            f"Argument `ranks` must have the shape {trajectory.times.shape} of the "
            f"saved times, but has shape {ranks.shape}; for many runs use jax.vmap."
        )
    max_treads = _checks.count("max_treads", max_treads)
    check_options(threshold=threshold, min_ratio=min_ratio)
    numbers = (jnp.asarray(v, trajectory.times.dtype) for v in (min_ratio, threshold))
    return _staircase(trajectory, ranks.astype(jnp.int32), max_treads, *numbers)


@eqx.filter_jit
def _staircase(run: Trajectory, ranks, size: int, min_ratio, threshold) -> Staircase:
    times, losses, last = finite_part(run)
    index = jnp.arange(times.size, dtype=jnp.int32)
    ranks = jnp.where(index > last, ranks[last], ranks)
    changes = jnp.diff(ranks) != 0
    one = jnp.ones(1, bool)
    starts, ends = jnp.concatenate([one, changes]), jnp.concatenate([changes, one])
    end = jnp.minimum(_next(ends), last)  # of the interval of constant rank
    lasts = starts & (times[end] >= min_ratio * times)
    # Neighbours of one rank are one tread: it opens where the rank is a new one.
    before = _previous(lasts)
    same = (before >= 0) & (ranks[before] == ranks)
    opens = lasts & ~same
    tread = jnp.cumsum(opens, dtype=jnp.int32)
    latest = jax.ops.segment_max(jnp.where(lasts, end, -1), tread, times.size + 1)
    closes = jnp.maximum(latest[tread], 0)
    rows = Rows(times, times[closes], censored=closes >= last)
    raw = jnp.sum(starts, dtype=jnp.int32)
    treads = table_of(rows, opens, size, losses, run, raw, jnp.zeros((), bool))
    place = jnp.nonzero(opens, size=size, fill_value=0)[0].astype(jnp.int32)
    used = jnp.arange(size, dtype=jnp.int32) < treads.count
    ended = used & ~treads.censored
    rank = jnp.where(used, ranks[place], -1)
    following = jnp.concatenate([used[1:], jnp.zeros(1, bool)])
    arrival = jnp.where(following, jnp.roll(place, -1), last)
    dropping = _dropping(times, losses, last, threshold)
    lowest = times[closes[place]] / min_ratio
    highest = times[arrival] * min_ratio
    seen = (times[None, 1:] > lowest[:, None]) & (times[None, :-1] < highest[:, None])
    saturation = jnp.argmax(ranks).astype(jnp.int32)
    return Staircase(
        treads=treads,
        rank=rank,
        height=jnp.where(ended, ranks[arrival] - rank, 0),
        matched=ended & jnp.any(seen & dropping[None, :], axis=1),
        num_steps=jnp.sum(ended, dtype=jnp.int32),
        num_drops=jnp.sum(dropping & ~_shifted(dropping), dtype=jnp.int32),
        spearman=_spearman(losses, ranks, (index > 0) & (index <= saturation)),
        saturation=times[saturation],
    )


def _next(marks: Bool[Array, " t"]) -> Int[Array, " t"]:
    """Index of the first mark at or after every place; the last place if none."""
    index = jnp.arange(marks.size, dtype=jnp.int32)
    return jax.lax.cummin(jnp.where(marks, index, marks.size - 1), reverse=True)


def _previous(marks: Bool[Array, " t"]) -> Int[Array, " t"]:
    """Index of the last mark before every place; −1 if none."""
    index = jnp.arange(marks.size, dtype=jnp.int32)
    found = jax.lax.cummax(jnp.where(marks, index, -1))
    return jnp.concatenate([jnp.full(1, -1, jnp.int32), found[:-1]])


def _shifted(marks: Bool[Array, " m"]) -> Bool[Array, " m"]:
    """Marks of the place before."""
    return jnp.concatenate([jnp.zeros(1, bool), marks[:-1]])


def _dropping(times, losses, last, threshold) -> Bool[Array, " m"]:
    """Intervals between saved times on which the loss drops."""
    slope = log_slopes(times, losses)
    index = jnp.arange(1, times.size - 1, dtype=jnp.int32)
    # From time 0 there is no slope in log time.
    return jnp.concatenate([jnp.zeros(1, bool), (slope < -threshold) & (index < last)])


def _spearman(losses, ranks, used) -> Float[Array, ""]:
    """Spearman correlation of two series over the places in use."""
    weight = used.astype(losses.dtype)
    count = jnp.maximum(jnp.sum(weight), 1)
    a, b = (_average_ranks(v, weight) for v in (losses, ranks.astype(losses.dtype)))
    a, b = (weight * (v - weight @ v / count) for v in (a, b))
    size = jnp.sqrt((a @ a) * (b @ b))
    return jnp.where(size > 0, a @ b / jnp.where(size > 0, size, 1), 0)


def _average_ranks(values, weight):
    """The ranks of the values in use among themselves; equal ones share their mean."""
    below = (values[None, :] < values[:, None]).astype(weight.dtype) @ weight
    equal = (values[None, :] == values[:, None]).astype(weight.dtype) @ weight
    return below + (equal + 1) / 2
