"""Figures of exact flows: their events, and what exactness costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    COLORS,
    DASHES,
    ORANGE,
    SKY,
    VERMILLION,
    event_columns,
    legend_above,
    log_time,
    optional_ax,
    place_legend,
    slides,
)

# The kinds of `px.EventKind`: off, on, slide, collapse.
_WORDS = ("off", "on", "slides", "collapses")
_COLORS = (SKY, BLUE, VERMILLION, ORANGE)
_MARKERS = ("v", "^", "o", "X")


@optional_ax
def event_raster(
    trajectory: Any, *, time_unit: str = "", log: bool = True, ax: Any = None
) -> Any:
    """Draw the activation events of a flow, one row a neuron.

    A mark is an event: a datum goes off or on, begins to slide, or the neuron
    collapses. A bar is a time during which at least one datum slides on the neuron;
    the darker, the more of them. One that lasts to the end of the run is drawn to it.

    Args:
        trajectory: A run with events, of one network.
        time_unit: What one unit of time is, for the label; the run's own if empty.
        log: Whether time is logarithmic.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If the run has no events, or is a batch.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[0.0], [1.0]], [0.0, -1.0])
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.1], c=[0.5])
        >>> ax = event_raster(px.flow(problem, network, t1=10.0))
        >>> ax.get_ylabel()
        'neuron'
    """
    time, neuron, _, kind = columns = event_columns(trajectory.events)
    count = len(time)
    times = np.asarray(trajectory.times)
    losses = np.asarray(trajectory.losses)
    ended = np.isfinite(losses[-1]) or not count
    end = times[-1] if ended else max(time[-1], times[np.isfinite(losses)].max())
    for row, _, start, stop in slides(columns, end):
        ax.fill_between(
            [start, stop],
            row - 0.35,
            row + 0.35,
            color=VERMILLION,
            alpha=0.3,
            linewidth=0,
        )
    for code, words in enumerate(_WORDS):
        chosen = kind == code
        if not chosen.any():
            continue
        ax.plot(
            time[chosen],
            neuron[chosen],
            _MARKERS[code],
            color=_COLORS[code],
            markersize=5,
            markeredgewidth=0.4,
            markeredgecolor="white",
            label=words,
        )
    if not ended:
        ax.axvline(end, color="black", linewidth=0.8, linestyle=":", label="run ends")
    _neuron_axis(ax, neuron)
    if log:
        log_time(ax, times, time_unit or trajectory.time_unit)
    else:
        ax.set_xlabel(time_unit or trajectory.time_unit)
    ax.set_xlim(times[0], times[-1])
    if ax.get_legend_handles_labels()[1]:
        legend_above(ax, columns=5)
    return ax


@optional_ax
def work_precision(
    table: Mapping[str, Sequence[Any]],
    *,
    cost: str = "steps",
    error: str = "error",
    colors: Any = COLORS,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw error against cost for several methods, the median and the worst.

    One line a method through its settings: the median cost and error over its runs,
    and a thin line of the worst of both. A setting with a run that has no finite error
    has no worst; a cross marks its median as failed.

    Args:
        table: Method to its settings; a setting is a pair (costs, errors) of
            arrays over runs, shape (runs,), positive. A run that failed has error inf.
        cost: What a cost is, with its unit, for the label.
        error: What an error is, with its unit, for the label.
        colors: Colours in order of the methods, used again after the last.
        legend: Whether to draw a legend.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no method, or costs and errors do not fit together.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> table = {"explicit": [([10, 12], [1e-3, 3e-3]), ([30, 31], [1e-6, 2e-6])]}
        >>> ax = work_precision(table)
        >>> print(ax.lines[0].get_xdata())
        [11.  30.5]
    """
    if not table:
        raise ValueError(
            "Argument `table` must hold at least one method, but is empty."
        )
    for i, (name, settings) in enumerate(table.items()):
        pairs = [_pair(name, setting) for setting in settings]
        style = {"color": colors[i % len(colors)]}
        style["linestyle"] = DASHES[i // len(colors) % 4]
        median = np.array([[np.median(part) for part in pair] for pair in pairs])
        worst = np.array([[np.max(part) for part in pair] for pair in pairs])
        drawn = np.where(np.isfinite(median), median, np.nan)
        ax.plot(*drawn.T, marker="o", markersize=4, label=name, **style)
        seen = np.where(
            np.all(np.isfinite(worst), axis=1, keepdims=True), worst, np.nan
        )
        ax.plot(*seen.T, marker=".", markersize=3, linewidth=0.7, alpha=0.7, **style)
        failed = ~np.isfinite(worst[:, 1]) & np.isfinite(median[:, 1])
        if failed.any():
            words = "some runs failed"
            known = ax.get_legend_handles_labels()[1]
            ax.plot(
                *median[failed].T,
                "x",
                color="black",
                markersize=8,
                label=None if words in known else words,
            )
    ax.set(xscale="log", yscale="log", xlabel=cost, ylabel=error)
    if legend:
        ax.plot([], [], color="grey", linewidth=0.7, marker=".", label="worst of runs")
        place_legend(ax)
    return ax


_DISTANCES = {
    "distance": "parameters",
    "nearest_distance": "parameters, at the nearest time",
    "matched_distance": "parameters, neurons matched",
    "function_distance": "outputs",
}


@optional_ax
def distances(comparison: Any, *, time_unit: str = "flow time", ax: Any = None) -> Any:
    """Draw the distances of two runs over time, as `px.compare` measured them.

    Of a flow and descent, or of a flow and the same flow at half the tolerance: twice
    their distance then estimates the error along the run.

    Args:
        comparison: What `px.compare` returned.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[0.0], [1.0]], [0.0, -1.0])
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.1], c=[0.5])
        >>> keep = {"network": lambda problem, network: network}
        >>> fine, coarse = (
        ...     px.flow(problem, network, t1=10.0, rtol=rtol, record=keep)
        ...     for rtol in (5e-7, 1e-6)
        ... )
        >>> ax = distances(px.compare(fine, coarse, problem, curvature=False))
        >>> len(ax.lines)
        4
    """
    times = np.asarray(comparison.times)
    # Dashes too: the distances often coincide.
    styles = zip(COLORS, DASHES, strict=False)
    for (color, dash), (name, words) in zip(styles, _DISTANCES.items(), strict=True):
        values = getattr(comparison, name)
        if values is None:
            continue
        values = np.asarray(values)
        # Runs begin at one point; what is 0 has no place on a logarithmic axis.
        shown = np.where(values > 0, values, np.nan)
        ax.plot(times, shown, color=color, linestyle=dash, label=words)
    if np.isfinite(comparison.divergence_time):
        style = {"color": "black", "linestyle": ":", "linewidth": 0.8}
        ax.axvline(float(comparison.divergence_time), label="diverged", **style)
    log_time(ax, times, time_unit)
    ax.set(yscale="log", ylabel="distance")
    place_legend(ax)
    return ax


def _neuron_axis(ax, neuron) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.set_ylim(-0.5, (neuron.max() if len(neuron) else 0) + 0.5)
    ax.set_ylabel("neuron")


def _pair(name: str, setting: Any) -> tuple[np.ndarray, np.ndarray]:
    costs, errors = (np.asarray(part, dtype=float) for part in setting)
    if costs.ndim != 1 or costs.shape != errors.shape or costs.size == 0:
        raise ValueError(
            "Argument `table` must hold pairs (costs, errors) of one shape (runs,), "
            f"but {name!r} has shapes {costs.shape} and {errors.shape}."
        )
    return costs, errors
