"""Figures of the loss against log time: one run, and the band of many."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    SKY,
    arrays,
    log_time,
    optional_ax,
    place_legend,
    until_diverged,
)
from ._fans import HIGHEST, draw_fan, mark


@optional_ax
def loss_curve(
    times: Any,
    losses: Any,
    *,
    plateaus: Any = None,
    time_unit: str = "",
    label: str | None = None,
    color: Any = BLUE,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw the loss of one run against log time, with its plateaus shaded.

    Neighbouring plateaus alternate in shade; one still running at the end (censored)
    is hatched. A loss that diverged is cut before its first inf or NaN, and a cross
    marks the last finite value. Time 0 is drawn: up to the first saved time after it
    the time axis is linear.

    Args:
        times: Saved times, increasing, shape (t,).
        losses: Losses, shape (t,).
        plateaus: A table of `px.plateaus` for this run, or a triple of arrays
            (start, end, censored), shape (P,); rows with infinite or NaN start are
            unused.
        time_unit: What one unit of time is, for the label.
        label: Name of the curve in the legend.
        color: Colour of the curve.
        legend: Whether to draw a legend if there is something to name.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = loss_curve([0.0, 1.0, 10.0], [1.0, 0.9, 0.1])
        >>> ax.get_ylabel()
        'loss'
    """
    times, losses = arrays(times, losses=(losses, 0))
    if plateaus is not None:
        _shade(ax, *_rows(plateaus), first=times[0])
    seen = until_diverged(losses)
    ax.plot(times[:seen], losses[:seen], color=color, label=label)
    if 0 < seen < losses.size:
        mark(ax, times[seen - 1], losses[seen - 1], "x", "diverged")
        ax.update_datalim([(times[-1], losses[seen - 1])])
    _loss_axes(ax, times, time_unit, legend)
    return ax


@optional_ax
def ensemble_band(
    times: Any,
    band: Any,
    probabilities: Sequence[float],
    *,
    time_unit: str = "",
    label: str = "",
    color: Any = BLUE,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw quantiles of the loss over lanes against log time.

    Probabilities p and 1 − p bound a shaded band, the wider the paler; 1/2 is a
    line, between thin dashed lines at the ends of its interval; others are dotted
    lines. Where a quantile is infinite (these lanes diverged) the band is cut, with
    a triangle on its last finite upper edge.

    Args:
        times: Saved times, increasing, shape (t,).
        band: Quantiles and their intervals from `px.statistics.quantile_band`: an
            object with `estimate`, `low`, `high`, each of shape (q, t).
        probabilities: Probabilities of the quantiles, shape (q,).
        time_unit: What one unit of time is, for the label.
        label: Name of the group in the legend.
        color: Colour of the band.
        legend: Whether to draw a legend.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> from plateaux.statistics import quantile_band
        >>> losses = np.array([[1.0, 0.5], [1.0, 0.1], [1.0, 0.3]])
        >>> band = quantile_band(losses, [0.25, 0.5, 0.75])
        >>> ax = ensemble_band([0.0, 1.0], band, [0.25, 0.5, 0.75])
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['25-75 %', 'median', 'interval of the median']
    """
    times = draw_fan(ax, times, band, probabilities, label, color)
    _loss_axes(ax, times, time_unit, legend)
    return ax


def _rows(plateaus: Any) -> tuple[np.ndarray, ...]:
    columns = plateaus
    if hasattr(plateaus, "start"):
        columns = (plateaus.start, plateaus.end, plateaus.censored)
    start, end, censored = (np.asarray(column) for column in columns)
    if not start.shape == end.shape == censored.shape or start.ndim != 1:
        raise ValueError(
            "Argument `plateaus` must hold columns start, end, censored of one shape "
            f"(P,), but has shapes {start.shape}, {end.shape} and {censored.shape}; "
            "for a batch, draw one lane at a time."
        )
    used = np.isfinite(start)
    return start[used], end[used], censored[used].astype(bool)


def _shade(ax, starts, ends, censored, first):
    named = set()
    for i, (start, end, running) in enumerate(zip(starts, ends, censored, strict=True)):
        words = "plateau, still running" if running else "plateau"
        ax.axvspan(
            max(start, first),
            end,
            facecolor=SKY,
            edgecolor=BLUE,
            alpha=0.4 if i % 2 == 0 else 0.2,
            linewidth=0,
            hatch="///" if running else None,
            zorder=0,
            label=None if words in named else words,
        )
        named.add(words)


def _loss_axes(ax, times, time_unit, legend):
    if np.isfinite(ax.dataLim.minposy):  # a loss of 0, or never finite, has no log
        if ax.dataLim.ymax > HIGHEST:
            ax.set_ylim(ax.dataLim.minposy, HIGHEST)
        ax.set_yscale("log")
    ax.set_ylabel("loss")
    log_time(ax, times, time_unit)
    if legend:
        place_legend(ax)
