"""Figures of networks along training: kinks, activations, functions."""

from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    SKY,
    VERMILLION,
    arrays,
    event_columns,
    log_colors,
    log_time,
    optional_ax,
    slides,
)


@optional_ax
def kinks(
    times: Any,
    breakpoints: Any,
    data: Any,
    *,
    events: Any = None,
    time_unit: str = "",
    color: Any = BLUE,
    ax: Any = None,
) -> Any:
    """Draw where the kinks of a univariate network are, against log time.

    One line a neuron; the data are pale lines and the rug on the right. Where a kink
    slides along a datum, the datum's line is thick. The view is the range of
    the data and a quarter of it on either side: kinks further out, at infinity or
    undefined leave the figure.

    Args:
        times: Saved times, increasing, shape (t,).
        breakpoints: Positions of the kinks (see `px.patterns.breakpoints`),
            shape (t, n).
        data: Inputs of the data, shape (K,) or (K, 1).
        events: The run's events, whose slides are drawn; None for none.
        time_unit: What one unit of time is, for the label.
        color: Colour of the lines.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit, or there are no data.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = kinks([0.0, 1.0], [[0.1, 0.9], [0.3, float("inf")]], [0.0, 0.5, 1.0])
        >>> len(ax.lines)
        3
    """
    times, breakpoints = arrays(times, breakpoints=(breakpoints, 0))
    data = _column(data)
    low, high = data.min(), data.max()
    margin = (high - low) / 4 or 1.0
    ax.plot(
        times,
        _in_view(breakpoints, low - margin, high + margin),
        color=color,
        linewidth=0.9,
        alpha=0.8,
    )
    # The rug hangs on the right spine: x in parts of the axes, y in data units.
    ax.plot(
        np.full(data.size, 0.98),
        data,
        "_",
        color="black",
        markersize=8,
        markeredgewidth=0.6,
        transform=ax.get_yaxis_transform(),
        label="data",
    )
    ax.hlines(data, times[0], times[-1], color="0.88", linewidth=0.5, zorder=0)
    if events is not None:
        rows = slides(event_columns(events), times[-1])
        spans = [(data[k], start, end) for _, k, start, end in rows]
        level, begin, stop = np.array(spans).reshape(-1, 3).T
        ax.hlines(
            level, begin, stop, color=VERMILLION, linewidth=3, alpha=0.5, label="slides"
        )
    ax.set_ylim(low - margin, high + margin)
    ax.set_ylabel("kink position x")
    log_time(ax, times, time_unit)
    return ax


@optional_ax
def activation_raster(
    times: Any,
    activity: Any,
    *,
    rows: str = "neuron",
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw activity against log time, one row a neuron (or a pair).

    Counts are coloured from none (dark) to all (bright), flags in two colours. A
    value holds from its saved time to the next; the last has no next and is not
    drawn.

    Args:
        times: At least two saved times, increasing, shape (t,).
        activity: Active data of each neuron, integers of shape (t, n) (see
            `px.patterns.active_counts`), or any flags, Booleans of shape (t, rows).
        rows: What a row is, for the label.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes; a colour bar is added to their figure.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = activation_raster([0.0, 1.0, 2.0], [[3, 0], [2, 0], [2, 1]])
        >>> ax.get_ylabel()
        'neuron'
    """
    times, activity = arrays(times, activity=(activity, 0))
    if activity.ndim != 2 or times.size < 2:
        raise ValueError(
            "Argument `activity` must have shape (t, rows) with at least two times, "
            f"but has shape {activity.shape}."
        )
    flags = activity.dtype == bool
    mesh = ax.pcolormesh(
        times,
        np.arange(activity.shape[1] + 1) - 0.5,
        activity[:-1].T.astype(float),
        cmap=_two_colors() if flags else "cividis",
        vmin=0,
        vmax=1 if flags else None,
        rasterized=True,
    )
    bar = ax.figure.colorbar(mesh, ax=ax, label="" if flags else "active data")
    if flags:
        bar.set_ticks([0.25, 0.75], labels=["off", "on"])
    else:
        bar.locator = _whole_numbers()
        bar.update_ticks()
    ax.yaxis.set_major_locator(_whole_numbers())
    ax.set_ylabel(rows)
    log_time(ax, times, time_unit)
    return ax


@optional_ax
def function_snapshots(
    x: Any,
    outputs: Any,
    times: Any,
    *,
    data: tuple[Any, Any] | None = None,
    time_unit: str = "",
    ax: Any = None,
) -> Any:
    """Draw a univariate network's function at several times, coloured by log time.

    Early is dark, late is bright (viridis); time 0 has the colour of the first time
    after it.

    Args:
        x: Where the function was evaluated, increasing, shape (X,) or (X, 1).
        outputs: Its values, shape (t, X).
        times: Times of the snapshots, increasing, shape (t,).
        data: Inputs and targets to draw as points, (K,) or (K, 1) and (K,), or None.
        time_unit: What one unit of time is, for the label.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes; a colour bar is added to their figure.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = function_snapshots([0.0, 1.0], [[0.0, 0.0], [0.0, 1.0]], [0.0, 5.0])
        >>> len(ax.lines)
        2
    """
    times, outputs = arrays(times, outputs=(outputs, 0))
    x = _column(x)
    if outputs.shape[1:] != x.shape:
        raise ValueError(
            f"Argument `outputs` must have shape (t, {x.size}) to go with `x`, but has "
            f"shape {outputs.shape}."
        )
    colors = log_colors(times)
    for time, values in zip(times, outputs, strict=True):
        ax.plot(x, values, color=colors.to_rgba(time), linewidth=1.2)
    if data is not None:
        points, targets = _column(data[0]), np.asarray(data[1])
        ax.plot(points, targets, "o", color="black", markersize=3, label="data")
    ax.figure.colorbar(colors, ax=ax, label=time_unit or "time")
    ax.set_xlabel("x")
    ax.set_ylabel("f(x)")
    return ax


def _column(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.size == 0 or x.shape not in ((x.size,), (x.size, 1)):
        raise ValueError(
            "Inputs must be univariate, of shape (K,) or (K, 1) with at least one "
            f"entry, but have shape {x.shape}."
        )
    return x.reshape(-1)


def _in_view(positions: np.ndarray, low: float, high: float) -> np.ndarray:
    """NaN where a kink and both its neighbours in time are out of view.

    A kink that leaves at +∞ and returns from −∞ is then no line across the figure.
    """
    inside = (positions >= low) & (positions <= high)
    shown = inside.copy()
    shown[1:] |= inside[:-1]
    shown[:-1] |= inside[1:]
    return np.where(shown & np.isfinite(positions), positions, np.nan)


def _two_colors() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(["white", SKY])


def _whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=6, integer=True)
