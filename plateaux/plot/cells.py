"""Figures of cells: their lines, their floors, and how far runs end from the best."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    COLORS,
    DASHES,
    GREEN,
    SKY,
    VERMILLION,
    arrays,
    legend_above,
    log_time,
    optional_ax,
    place_legend,
)


@optional_ax
def local_lines(
    x: Any, y: Any, lines: Any, *, outputs: Any = None, ax: Any = None
) -> Any:
    """Draw the groups of a univariate cell and their local regression lines.

    Groups are shaded in turn; each has the best fit's line, drawn to half-way into the
    gaps. Where two lines meet inside their gap, or two kinks there allow a jump, the
    gap is marked as one that can be joined; otherwise as one that the flow must leave.
    The mark is where the lines meet, or in the middle of the gap.

    Args:
        x: Inputs, shape (K,) or (K, 1).
        y: Targets, shape (K,).
        lines: What `px.patterns.local_lines` returned.
        outputs: The network's own outputs at the data, drawn thin; None for none.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 1.0, 2.0])
        >>> network = px.TwoLayer(w=[[1.0]], b=[-1.5], c=[1.0], p=[0.0, 0.0])
        >>> lines = px.patterns.local_lines(problem, network)
        >>> ax = local_lines(problem.x, problem.y, lines)
        >>> ax.get_ylabel()
        'y'
    """
    x = np.asarray(x)
    x = x[:, 0] if x.ndim == 2 else x
    order = np.asarray(lines.order)
    y = np.asarray(y)
    if x.shape != order.shape or y.shape != order.shape:
        raise ValueError(
            f"Arguments `x` and `y` must hold the {order.size} data of `lines`, but "
            f"have shapes {x.shape} and {y.shape}."
        )
    count = int(lines.count)
    first, last = (np.asarray(a)[:count] for a in (lines.first, lines.last))
    middle = (last[:-1] + first[1:]) / 2
    edge = 0.02 * (x.max() - x.min())
    edges = np.concatenate([[x.min() - edge], middle, [x.max() + edge]])
    for g in range(0, count, 2):
        ax.axvspan(edges[g], edges[g + 1], color=SKY, alpha=0.18, linewidth=0, zorder=0)
    ax.plot(x, y, "o", color="black", markersize=3.5, label="data", zorder=3)
    if outputs is not None:
        shown = np.asarray(outputs)[order]
        ax.plot(x[order], shown, color="grey", linewidth=1, label="network")
    for g in range(count):
        ends = edges[g : g + 2]
        heights = _line_at(lines, g, ends)
        words = "best fit of the cell" if g == 0 else None
        ax.plot(ends, heights, color=BLUE, linewidth=1.8, label=words)
    _mark_gaps(ax, lines, middle, edges)
    ax.set(xlabel="x", ylabel="y", xlim=(edges[0], edges[-1]))
    legend_above(ax)
    return ax


def _line_at(lines: Any, group: int, x: Any) -> Any:
    slope, height, center = (
        float(np.asarray(column)[group])
        for column in (lines.fitted_slope, lines.fitted_height, lines.center)
    )
    return height + slope * (x - center)


def _mark_gaps(ax, lines, middle, edges) -> None:
    """Where neighbouring lines meet, or fail to."""
    meet = np.asarray(lines.meet)[: len(middle)]
    good = np.asarray(lines.consistent)[: len(middle)]
    neurons = np.asarray(lines.neurons)[: len(middle)]
    inside = good & (neurons == 1) & np.isfinite(meet)
    place = np.where(inside, np.clip(meet, edges[0], edges[-1]), middle)
    for joined, marker, color, words in (
        (True, "D", GREEN, "lines can be joined in their gap"),
        (False, "X", VERMILLION, "lines meet outside their gap"),
    ):
        chosen = np.flatnonzero(good == joined)
        if not len(chosen):
            continue
        heights = [
            np.mean([_line_at(lines, int(g) + i, place[g]) for i in (0, 1)])
            for g in chosen
        ]
        ax.plot(
            place[chosen],
            heights,
            marker,
            color=color,
            markersize=7,
            markeredgecolor="white",
            linestyle="none",
            label=words,
            zorder=4,
        )


@optional_ax
def floors(
    times: Any,
    losses: Any,
    explanation: Any,
    *,
    bound: Any = None,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw a loss curve with the floor of every plateau as a step, and its latest exit.

    A floor is a bar from the start to the end of its plateau. Where an end is proven,
    a dotted line goes on from the bar to the latest exit, marked by a triangle.

    Args:
        times: Saved times, increasing, shape (t,).
        losses: Losses, shape (t,).
        explanation: What `px.explain` returned, of one run.
        bound: A loss that no network of this width goes below; None for none.
        time_unit: What one unit of time is, for the label; the explanation's if empty.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit, or the explanation is a batch.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[0.0], [1.0], [2.0]], [1.0, 0.0, 1.0])
        >>> network = px.TwoLayer(w=[[1.0]], b=[-0.2], c=[1.5], p=[0.0, 0.0])
        >>> keep = {"network": lambda problem, network: network}
        >>> run = px.flow(problem, network, t1=20.0, record=keep)
        >>> table = px.explain(problem, run, max_plateaus=4)
        >>> ax = floors(run.times, run.losses, table)
        >>> ax.get_ylabel()
        'loss'
    """
    times, losses = arrays(times, losses=(losses, 0))
    table = explanation.plateaus
    start, end = np.asarray(table.start), np.asarray(table.end)
    if start.ndim != 1:
        raise ValueError(
            "Argument `explanation` must be that of one run, but is a batch of shape "
            f"{start.shape[:-1]}; draw one lane at a time."
        )
    count = int(table.count)
    level = np.asarray(explanation.floor)
    latest = np.asarray(explanation.latest_exit)
    shown = np.where(np.isfinite(losses), losses, np.nan)
    ax.plot(times, shown, color=BLUE, label="loss")
    drawn = set()
    for i in range(count):
        words = "floor of the plateau"
        ax.plot(
            [start[i], end[i]],
            [level[i]] * 2,
            color=VERMILLION,
            linewidth=2.2,
            solid_capstyle="butt",
            label=None if words in drawn else words,
        )
        drawn.add(words)
        if not np.isfinite(latest[i]):
            continue
        words = "proven to end by"
        ax.plot([end[i], latest[i]], [level[i]] * 2, ":", color=VERMILLION, linewidth=1)
        ax.plot(
            [latest[i]],
            [level[i]],
            "<",
            color=VERMILLION,
            markersize=5,
            linestyle="none",
            label=None if words in drawn else words,
        )
        drawn.add(words)
    if bound is not None:
        style = {"color": "black", "linestyle": "--", "linewidth": 1}
        ax.axhline(float(bound), label="no network is below", **style)
    if np.isfinite(ax.dataLim.minposy):
        ax.set_yscale("log")
    ax.set_ylabel("loss")
    log_time(ax, times, time_unit or explanation.time_unit)
    far = latest[:count][np.isfinite(latest[:count])]
    ax.set_xlim(times[0], max([times[-1], *(1.4 * far)]))
    place_legend(ax)
    return ax


@optional_ax
def distribution(
    losses: Mapping[str, Any],
    bound: Any = None,
    *,
    colors: Any = COLORS,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw the distributions of final losses, or of their ratio to a proven bound.

    One line a name: the share of runs that end at or below a loss, or at or below so
    many times the bound. Runs that ended without a finite loss are counted but never
    reached, so that their line ends below 1.

    Args:
        losses: Name to final losses of its runs, shape (runs,).
        bound: The smallest possible loss, or a bound below it; positive. None if
            unknown: the axis is then the loss itself.
        colors: Colours in order of the names, used again after the last.
        legend: Whether to draw a legend.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no name or no run, or the bound is not positive.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = distribution({"flow": [2.0, 3.0, float("inf")]}, 1.0)
        >>> print(ax.lines[0].get_ydata().round(3))
        [0.    0.333 0.667 0.667]
    """
    if not losses:
        raise ValueError(
            "Argument `losses` must hold at least one distribution, but is empty."
        )
    unit = 1.0 if bound is None else float(bound)
    if not (np.isfinite(unit) and unit > 0):
        raise ValueError(f"Argument `bound` must be positive, but is {unit}.")
    found = {}
    for name, values in losses.items():
        values = np.asarray(values, dtype=float)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(
                "Argument `losses` must hold arrays of shape (runs,) with at least one "
                f"run, but {name!r} has shape {values.shape}."
            )
        found[name] = np.sort(values[np.isfinite(values)]) / unit, values.size
    ends = [ratios[-1] for ratios, _ in found.values() if ratios.size]
    right = 1.2 * max([*ends, 2.0] if bound is not None else ends or [1.0])
    for i, (name, (ratios, runs)) in enumerate(found.items()):
        left = ratios[:1] if ratios.size else np.array([right])
        steps = np.concatenate([left, ratios, [right]])
        share = np.concatenate([[0], np.arange(1, len(ratios) + 1), [len(ratios)]])
        style = {"color": colors[i % len(colors)]}
        style["linestyle"] = DASHES[i // len(colors) % 4]
        ax.step(steps, share / runs, where="post", label=name, **style)
    ax.set(
        xscale="log",
        ylim=(-0.02, 1.02),
        xlim=(None, right),
        xlabel="final loss",
        ylabel="share of runs at or below",
    )
    if bound is not None:
        style = {"color": "black", "linestyle": ":", "linewidth": 1}
        seen = ax.get_xlim()[0] <= 1.0
        ax.axvline(1.0, label="no network is below" if seen else None, **style)
        ax.set_xlabel("final loss / lower bound")
    _plain_ticks(ax)
    if legend:
        ax.legend(loc="lower right")
    return ax


def _plain_ticks(ax) -> None:
    """Ticks of a logarithmic axis in plain numbers, unless it spans many decades.

    1, 2, 5, 10, … suit a few decades; an axis within one has evenly spaced ticks.
    """
    from matplotlib import ticker

    low, high = ax.get_xlim()
    if high > 1e4 * low:
        return
    narrow = high < 4 * low
    locator = ticker.MaxNLocator(5) if narrow else ticker.LogLocator(subs=(1, 2, 5))
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
