"""Figures of ε-ranks: the staircase over the loss, and the ranks of many starts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    SKY,
    arrays,
    check_one,
    columns,
    legend_above,
    line_color,
    line_names,
    log_time,
    optional_ax,
    until_diverged,
    whole_numbers,
)

RIDGE = 0.85  # Height of a ridge, in units of the distance between two.


@optional_ax
def rank_staircase(
    times: Any,
    losses: Any,
    ranks: Any,
    *,
    labels: Sequence[str] | None = None,
    treads: Any = None,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw the ranks of one run as steps over its loss, against log time.

    The loss is black, on the left axis; ranks are coloured, on the right one. A rank
    holds from its saved time to the next; where it is unknown (negative) there is a
    gap. A disk is a step of the staircase, at the end of the tread that it leaves:
    full if the loss drops there, empty if not.

    Args:
        times: Saved times, increasing, shape (t,).
        losses: Losses, shape (t,); cut before the first that is not finite.
        ranks: Ranks, shape (t,), or of several thresholds or layers, (t, e), such as
            `px.diagnostics.epsilon_rank` gives of recorded spectra.
        labels: Names of the ranks, e of them.
        treads: What `px.stages.staircase` returned for one of these ranks; None for
            no disks.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw the loss into; new ones if None.

    Returns:
        The axes of the loss. Those of the ranks lie over them and are the last of the
        figure, `ax.figure.axes[-1]`.

    Raises:
        ValueError: If shapes do not fit, or the staircase is of a batch.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = rank_staircase([0.0, 1.0, 9.0], [1.0, 0.9, 0.1], [1, 1, 2])
        >>> ax.figure.axes[-1].get_ylabel()
        'ε-rank'
    """
    times, losses, ranks = arrays(times, losses=(losses, 0), ranks=(ranks, 0))
    check_one("losses", losses)
    ranks = columns("ranks", ranks)
    names = line_names(labels, ranks.shape[1], "labels", "ε-rank")
    seen = until_diverged(losses)
    curves = ax.plot(times[:seen], losses[:seen], color="black", label="loss")
    if np.isfinite(ax.dataLim.minposy):
        ax.set_yscale("log")
    ax.set_ylabel("loss")
    log_time(ax, times, time_unit)
    twin = ax.twinx()
    twin.margins(x=0)  # or the shared axis is wider than the times
    for i, name in enumerate(names):
        shown = np.where(ranks[:, i] < 0, np.nan, ranks[:, i])
        style: dict[str, Any] = {"drawstyle": "steps-post", "color": line_color(i)}
        curves += twin.plot(times, shown, label=name, **style)
    if treads is not None:
        curves += _mark_steps(twin, treads)
    whole_numbers(twin.yaxis)
    twin.set_ylabel("ε-rank")
    if len(names) == 1:
        twin.yaxis.label.set_color(line_color(0))
    legend_above(ax, *curves, columns=3)
    return ax


@optional_ax
def rank_ridges(ranks: Any, labels: Sequence[str], *, ax: Any = None) -> Any:
    """Draw distributions of ranks as ridges, one a row, the first on top.

    A ridge is the histogram over whole numbers, all of one height; the black line in it
    is the median. Unknown ranks (negative) are left out; a row of such alone is empty.

    Args:
        ranks: One array of integers a row, shape (m,), each of its own length.
        labels: Names of the rows.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no row, a row does not hold integers, or labels do not
            fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = rank_ridges([[3, 3, 4], [8, 9]], ["start", "end"])
        >>> [float(line.get_xdata()[0]) for line in ax.lines]
        [3.0, 8.5]
    """
    rows = [_integers(row) for row in ranks]
    if not rows or len(labels) != len(rows):
        raise ValueError(
            "Argument `labels` must name every row of `ranks`, at least one, but has "
            f"{len(labels)} names for {len(rows)} rows."
        )
    places = range(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        if row.size:
            _ridge(ax, place, row)
    ax.set_yticks(places, list(labels))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="0.75", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.set(xlabel="ε-rank", ylim=(-0.1, len(rows)))
    whole_numbers(ax.xaxis)
    if ax.get_legend_handles_labels()[1]:
        legend_above(ax)
    return ax


def _mark_steps(ax, found: Any) -> list[Any]:
    """Disks where treads end; full where the loss drops."""
    if np.ndim(found.treads.count):
        raise ValueError(
            "Argument `treads` must be the staircase of one run, but is that of "
            f"{np.shape(found.treads.count)} runs; draw one at a time."
        )
    count = int(found.treads.count)
    end, censored = found.treads.end, found.treads.censored
    columns = (end, found.rank, found.matched, censored)
    end, rank, matched, censored = (np.asarray(c)[:count] for c in columns)
    style: dict[str, Any] = {"color": "black", "linestyle": "none", "zorder": 3}
    drawn = []
    for full, words in ((True, "step, loss drops"), (False, "step, no drop")):
        chosen = ~censored & (matched == full)
        face = {"markerfacecolor": "black" if full else "white", "label": words}
        if chosen.any():
            drawn += ax.plot(end[chosen], rank[chosen], "o", **style, **face)
    return drawn


def _ridge(ax, place: int, row: np.ndarray) -> None:
    """The histogram of a row, on its baseline, and the median."""
    edges = np.arange(row.min(), row.max() + 2) - 0.5
    counts = np.histogram(row, edges)[0]
    heights = place + RIDGE * counts / counts.max()
    ax.stairs(heights, edges, baseline=place, fill=True, color=SKY, alpha=0.6)
    ax.stairs(heights, edges, baseline=place, color=BLUE)
    words = None if ax.lines else "median"
    style: dict[str, Any] = {"color": "black", "linewidth": 1.5, "label": words}
    ax.plot([np.median(row)] * 2, [place, place + RIDGE], **style)


def _integers(row: Any) -> np.ndarray:
    """The known ranks of a row."""
    row = np.asarray(row)
    whole = np.issubdtype(row.dtype, np.integer) or not row.size
    if row.ndim != 1 or not whole:
        raise ValueError(
            "Argument `ranks` must hold one array of integers a row, of shape (m,), "
            f"but one has shape {row.shape} and dtype {row.dtype}."
        )
    return row[row >= 0]
