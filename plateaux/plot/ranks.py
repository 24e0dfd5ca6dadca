"""Figures of ε-ranks: the staircase, the spectra behind it, and what few ranks cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    COLORS,
    DASHES,
    SKY,
    arrays,
    legend_above,
    log_colors,
    log_time,
    optional_ax,
    power,
    until_diverged,
    whole_numbers,
)

# Eigenvalues from here down are zeros and have no place on a logarithmic axis.
LEAST = 1e-300
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
    _check_one("losses", losses)
    ranks = _columns("ranks", ranks)
    names = _names(labels, ranks.shape[1], "labels", "ε-rank")
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
        style: dict[str, Any] = {"drawstyle": "steps-post", "color": _color(i)}
        curves += twin.plot(times, shown, label=name, **style)
    if treads is not None:
        curves += _mark_steps(twin, treads)
    whole_numbers(twin.yaxis)
    twin.set_ylabel("ε-rank")
    if len(names) == 1:
        twin.yaxis.label.set_color(_color(0))
    legend_above(ax, *curves, columns=3)
    return ax


@optional_ax
def spectrum_waterfall(
    times: Any,
    eigenvalues: Any,
    *,
    epsilon: Any = None,
    by_index: bool = False,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw every eigenvalue of a spectrum as a line over log time.

    The colour of a line is its index i, dark for the largest. Dashed lines are
    thresholds: as many lines run above one as its ε-rank counts. Eigenvalues up to
    1e-300 count as 0 and are left out.

    Args:
        times: Saved times, increasing, shape (t,).
        eigenvalues: λ_i in decreasing order, shape (t, n), such as the `eigenvalues`
            of a recorded `px.diagnostics.spectrum`.
        epsilon: One threshold ε > 0, or several, shape (e,); none if None.
        by_index: Whether to draw every spectrum as a line over the index instead, its
            colour the time; a handful of times reads best.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes; a colour bar is added to their figure.

    Raises:
        ValueError: If shapes do not fit, or a threshold is not positive.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = spectrum_waterfall([0.0, 1.0], [[2.0, 0.1], [2.0, 0.5]], epsilon=0.3)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['ε = 0.3']
    """
    times, values = arrays(times, eigenvalues=(eigenvalues, 0))
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(
            "Argument `eigenvalues` must have shape (t, n), a spectrum a time, but has "
            f"shape {values.shape}."
        )
    usable = np.isfinite(values) & (values > LEAST)
    values = np.where(usable, values, np.nan)
    draw = _over_index if by_index else _over_time
    draw(ax, times, values, time_unit)
    if usable.any():
        ax.set_yscale("log")
    ax.set_ylabel("eigenvalue λ")
    if epsilon is not None:
        style = {"color": "black", "linewidth": 1}
        for i, (level, name) in enumerate(_thresholds(epsilon).items()):
            dashes = DASHES[1:][i % 3]
            ax.axhline(level, linestyle=dashes, label=name, **style)
        legend_above(ax, columns=3)
    return ax


@optional_ax
def error_bounds(
    times: Any,
    error: Any,
    bounds: Any,
    *,
    epsilon: Any = None,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw the error of one run and its lower bounds, one a threshold, over log time.

    The pale area between the error and the best bound is what the bounds leave open. A
    bound that is not positive says nothing and is left out.

    Args:
        times: Saved times, increasing, shape (t,).
        error: ‖f − u‖, shape (t,), the `error` of a recorded
            `px.diagnostics.error_bound`.
        bounds: Its `bound`, shape (t,), or of several thresholds, (t, e).
        epsilon: The thresholds ε > 0, e of them, for the legend.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit, or a threshold is not positive.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = error_bounds([1.0, 9.0], [0.5, 0.2], [0.4, -0.1], epsilon=1e-6)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['error', 'bound, ε = 10⁻⁶', 'gap to the best bound']
    """
    times, error, bounds = arrays(times, error=(error, 0), bounds=(bounds, 0))
    _check_one("error", error)
    bounds = _columns("bounds", bounds)
    bounds = np.where(np.isfinite(bounds) & (bounds > 0), bounds, np.nan)
    told = None
    if epsilon is not None:
        told = [f"bound, {name}" for name in _thresholds(epsilon).values()]
    names = _names(told, bounds.shape[1], "epsilon", "bound")
    ax.plot(times, error, color="black", label="error")
    for i, name in enumerate(names):
        # A bound between two gaps is a dot.
        style: dict[str, Any] = {"marker": "o", "markersize": 1.5, "linewidth": 1.5}
        style |= {"markeredgewidth": 0, "color": _color(i)}
        ax.plot(times, bounds[:, i], label=name, **style)
    best = np.fmax.reduce(bounds, axis=1)
    area: dict[str, Any] = {"color": "0.5", "alpha": 0.2, "linewidth": 0}
    ax.fill_between(times, best, error, label="gap to the best bound", **area)
    if np.isfinite(ax.dataLim.minposy):
        ax.set_yscale("log")
    ax.set_ylabel("error ‖f − u‖")
    log_time(ax, times, time_unit)
    legend_above(ax)
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


def _over_time(ax, times, values, time_unit: str) -> None:
    """A line an eigenvalue, coloured by its index."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    count = values.shape[1]
    # The last tenth of viridis is too pale for a line on white.
    shades = ListedColormap(colormaps["viridis"](np.linspace(0, 0.9, 256)))
    colors: Any = ScalarMappable(Normalize(1, max(count, 2)), cmap=shades)
    for i, line in enumerate(values.T, 1):
        ax.plot(times, line, color=colors.to_rgba(i), linewidth=1)
    bar = ax.figure.colorbar(colors, ax=ax, label="index i")
    whole_numbers(bar.ax.yaxis)
    log_time(ax, times, time_unit)


def _over_index(ax, times, values, time_unit: str) -> None:
    """A line a spectrum, coloured by its time."""
    colors = log_colors(times)
    index = np.arange(1, values.shape[1] + 1)
    for time, row in zip(times, values, strict=True):
        ax.plot(index, row, color=colors.to_rgba(time), linewidth=1)
    ax.figure.colorbar(colors, ax=ax, label=time_unit or "time")
    ax.set_xlabel("index i")
    whole_numbers(ax.xaxis)


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


def _columns(name: str, array: np.ndarray) -> np.ndarray:
    """Numbers of one or several thresholds as (t, e)."""
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(
            f"Argument `{name}` must have shape (t,), or (t, e) for several "
            f"thresholds, but has shape {array.shape}; draw one run at a time."
        )
    return array.reshape(len(array), -1)


def _check_one(name: str, array: np.ndarray) -> None:
    if array.ndim != 1:
        raise ValueError(
            f"Argument `{name}` must be that of one run, of shape (t,), but has shape "
            f"{array.shape}."
        )


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


def _names(given: Any, count: int, argument: str, word: str) -> list[str]:
    """A name a line: those given, or a word, numbered if there are several."""
    if given is None:
        return [word] if count == 1 else [f"{word} {i + 1}" for i in range(count)]
    if isinstance(given, str) or len(given) != count:
        raise ValueError(
            f"Argument `{argument}` must have one entry a line, {count}, but is "
            f"{given!r}."
        )
    return list(given)


def _thresholds(epsilon: Any) -> dict[float, str]:
    """Every ε and its name, such as ε = 3·10⁻⁵."""
    values = np.atleast_1d(np.asarray(epsilon, dtype=float))
    if values.ndim != 1 or not np.all(values > 0):
        raise ValueError(
            "Argument `epsilon` must hold thresholds above 0, one or of shape (e,), "
            f"but is {epsilon!r}."
        )
    return {float(value): f"ε = {power(value)}" for value in values}


def _color(i: int) -> str:
    return COLORS[i % len(COLORS)]
