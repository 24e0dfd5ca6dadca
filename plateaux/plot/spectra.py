"""Figures of what is behind ε-ranks: spectra over time, and the bounds they give."""

from typing import Any

import numpy as np

from ._axes import (
    DASHES,
    arrays,
    check_one,
    columns,
    legend_above,
    line_color,
    line_names,
    log_colors,
    log_time,
    optional_ax,
    power,
    whole_numbers,
)

# Eigenvalues from here down are zeros and have no place on a logarithmic axis.
LEAST = 1e-300


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
    check_one("error", error)
    bounds = columns("bounds", bounds)
    bounds = np.where(np.isfinite(bounds) & (bounds > 0), bounds, np.nan)
    told = None
    if epsilon is not None:
        told = [f"bound, {name}" for name in _thresholds(epsilon).values()]
    names = line_names(told, bounds.shape[1], "epsilon", "bound")
    ax.plot(times, error, color="black", label="error")
    for i, name in enumerate(names):
        # A bound between two gaps is a dot.
        style: dict[str, Any] = {"marker": "o", "markersize": 1.5, "linewidth": 1.5}
        style |= {"markeredgewidth": 0, "color": line_color(i)}
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


def _thresholds(epsilon: Any) -> dict[float, str]:
    """Every ε and its name, such as ε = 3·10⁻⁵."""
    values = np.atleast_1d(np.asarray(epsilon, dtype=float))
    if values.ndim != 1 or not np.all(values > 0):
        raise ValueError(
            "Argument `epsilon` must hold thresholds above 0, one or of shape (e,), "
            f"but is {epsilon!r}."
        )
    return {float(value): f"ε = {power(value)}" for value in values}
