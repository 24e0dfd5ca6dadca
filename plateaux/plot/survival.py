"""Figure of survival curves."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._axes import COLORS, DASHES, log_time, optional_ax, place_legend

# Points below the axes: the table's heading, then a row a curve.
HEADING, ROW = 46.0, 12.0


@optional_ax
def survival_curves(
    curves: Mapping[str, Any],
    *,
    at_risk: Any = None,
    time_unit: str = "",
    colors: Any = COLORS,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw Kaplan-Meier curves of dwells as steps on log time.

    Each has its interval shaded and an upright tick where observations were
    censored, and ends at its longest observation. With `at_risk` a risk table stands
    under the axes: a row a curve, in the curves' order, with the number still under
    observation below each tick. The ticks of the time axis are then these times.

    Args:
        curves: Name to curve of `px.statistics.kaplan_meier`.
        at_risk: Times (m,) and a mapping of every name to its numbers at risk there,
            (m,): observations that lasted at least so long. None for no table.
        time_unit: What one unit of time is, for the label.
        colors: Colours in order of the curves, used again after the last.
        legend: Whether to draw a legend.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no curve, or the numbers at risk do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> from plateaux.statistics import kaplan_meier
        >>> curve = kaplan_meier([1.0, 2.0, 5.0], [False, False, True])
        >>> ax = survival_curves({"small scale": curve})
        >>> print(ax.lines[0].get_ydata().round(3))
        [1.    0.667 0.333 0.333]
        >>> table = [0.0, 1.0], {"small scale": [3, 3]}
        >>> ax = survival_curves({"small scale": curve}, at_risk=table)
        >>> [text.get_text() for text in ax.texts]
        ['number at risk', '3', '3']
    """
    if not curves:
        raise ValueError(
            "Argument `curves` must hold at least one curve, but is empty."
        )
    styles = [_style(i, colors) for i in range(len(curves))]
    for (name, curve), style in zip(curves.items(), styles, strict=True):
        _draw(ax, name, curve, style)
    ends = [np.concatenate([[0.0], c.times, [c.end]]) for c in curves.values()]
    log_time(ax, np.concatenate(ends), time_unit)
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel("share of plateaus that last longer")
    if at_risk is not None:
        _risk_table(ax, *_risk_rows(at_risk, curves), styles)
    if legend:
        place_legend(ax)
    return ax


def _style(place: int, colors: Any) -> dict[str, Any]:
    return {
        "color": colors[place % len(colors)],
        "linestyle": DASHES[place // len(colors) % len(DASHES)],
    }


def _draw(ax, name, curve, style):
    times = np.concatenate([[0.0], curve.times, [curve.end]])
    ax.step(times, _held(curve.survival), where="post", label=name, **style)
    ax.fill_between(
        times,
        _held(curve.low),
        _held(curve.high),
        step="post",
        color=style["color"],
        alpha=0.18,
        linewidth=0,
    )
    if not len(curve.censored_times):  # an empty unclipped line confuses the layout
        return
    ax.plot(
        curve.censored_times,
        curve.censored_survival,
        "|",
        color=style["color"],
        markersize=7,
        markeredgewidth=0.8,
        clip_on=False,
    )


def _held(values: np.ndarray) -> np.ndarray:
    """1 at the start, then the values, the last one held to the end."""
    values = np.concatenate([[1.0], values])
    return np.append(values, values[-1])


def _risk_rows(at_risk: Any, names: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Times (m,), and numbers at risk (m,) in the order of the curves."""
    times, counts = np.asarray(at_risk[0]), at_risk[1]
    missing = [name for name in names if name not in counts]
    if missing:
        raise ValueError(
            "Argument `at_risk` must have numbers for every curve, but has none for "
            f"{missing[0]!r}."
        )
    rows = [np.asarray(counts[name]) for name in names]
    for name, row in zip(names, rows, strict=True):
        if times.ndim != 1 or row.shape != times.shape:
            raise ValueError(
                "Argument `at_risk` must have one number a time and curve, but has "
                f"times of shape {times.shape} and, for {name!r}, numbers of shape "
                f"{row.shape}."
            )
    return times, rows


def _risk_table(ax, times, rows, styles) -> None:
    """Numbers below the ticks; a piece of the curve's line stands before its row."""
    whole = [t == 0 or np.log10(t) % 1 == 0 for t in times]
    ax.set_xticks(times, None if all(whole) else [f"{t:g}" for t in times])
    ax.set_xticks([], minor=True)
    small: dict[str, Any] = {
        "textcoords": "offset points",
        "annotation_clip": False,
        "fontsize": "small",
        "va": "center",
    }
    # As far left as the widest number needs.
    left = -14.0 - 3.2 * max(len(str(int(row.max(initial=0)))) for row in rows)
    start = {"xy": (0, 0), "xycoords": "axes fraction", "xytext": (left - 8, -HEADING)}
    ax.annotate("number at risk", color="0.35", **start, **small)
    for i, (row, style) in enumerate(zip(rows, styles, strict=True)):
        below = -HEADING - ROW * (i + 1)
        _piece_of_line(ax, left, below, style)
        for time, number in zip(times, row, strict=True):
            under = {"xy": (time, 0), "xycoords": ax.get_xaxis_transform()}
            words, place = f"{int(number)}", (0, below)
            ax.annotate(words, xytext=place, ha="center", **under, **small)


def _piece_of_line(ax, left: float, below: float, style) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    # Inches from the lower left corner of the axes.
    corner = ax.figure.dpi_scale_trans + ScaledTranslation(0, 0, ax.transAxes)
    ends, heights = [(left - 8) / 72, (left + 8) / 72], [below / 72] * 2
    ax.add_artist(Line2D(ends, heights, transform=corner, clip_on=False, **style))
