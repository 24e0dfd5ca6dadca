"""Figure of survival curves."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._axes import COLORS, DASHES, log_time, optional_ax, place_legend


@optional_ax
def survival_curves(
    curves: Mapping[str, Any],
    *,
    time_unit: str = "",
    colors: Any = COLORS,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw Kaplan-Meier curves of dwells as steps on log time.

    Each has its interval shaded and an upright tick where observations were
    censored, and ends at its longest observation.

    Args:
        curves: Name to curve of `px.statistics.kaplan_meier`.
        time_unit: What one unit of time is, for the label.
        colors: Colours in order of the curves, used again after the last.
        legend: Whether to draw a legend.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no curve.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> from plateaux.statistics import kaplan_meier
        >>> curve = kaplan_meier([1.0, 2.0, 5.0], [False, False, True])
        >>> ax = survival_curves({"small scale": curve})
        >>> print(ax.lines[0].get_ydata().round(3))
        [1.    0.667 0.333 0.333]
    """
    if not curves:
        raise ValueError(
            "Argument `curves` must hold at least one curve, but is empty."
        )
    for i, (name, curve) in enumerate(curves.items()):
        style = {"color": colors[i % len(colors)]}
        _draw(ax, name, curve, style | {"linestyle": DASHES[i // len(colors) % 4]})
    ends = [np.concatenate([[0.0], c.times, [c.end]]) for c in curves.values()]
    log_time(ax, np.concatenate(ends), time_unit)
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel("share of plateaus that last longer")
    if legend:
        place_legend(ax)
    return ax


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
