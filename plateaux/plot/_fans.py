"""Fans: quantiles over lanes as bands around a median, against anything."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._axes import VERMILLION, arrays, until_diverged

# Ticks above the highest value drawn are still numbers; what is beyond leaves the
# figure.
HIGHEST = 1e200


def draw_fan(
    ax: Any, x: Any, band: Any, probabilities: Sequence[float], label: str, color: Any
) -> np.ndarray:
    """Bands between quantiles p and 1 − p, the median with its interval; returns x."""
    parts = [(getattr(band, name), 1) for name in ("estimate", "low", "high")]
    names = ("band.estimate", "band.low", "band.high")
    x, *parts = arrays(x, **dict(zip(names, parts, strict=True)))
    rows = {round(float(p), 9): i for i, p in enumerate(probabilities)}
    if len(rows) != len(parts[0]):
        raise ValueError(
            "Argument `probabilities` must hold one number a quantile, "
            f"{len(parts[0])}, each different, but is {list(probabilities)}."
        )
    name = f"{label}, " if label else ""
    for p, i in sorted(rows.items()):
        mirror = rows.get(round(1 - p, 9))
        if p == 0.5:
            _median(ax, x, [part[i] for part in parts], name, color)
        elif mirror is None:
            words = f"{name}{100 * p:g} % quantile"
            ax.plot(x, _cut(parts[0][i]), ":", color=color, label=words)
        elif p < 0.5:
            words = f"{name}{100 * p:g}-{100 * (1 - p):g} %"
            style = {"color": color, "alpha": 0.12 + 0.6 * p, "label": words}
            _band(ax, x, parts[0][i], parts[0][mirror], style)
    return x


def _band(ax, x, lower, upper, style):
    seen = until_diverged(upper)
    edges = x[:seen], lower[:seen], upper[:seen]
    ax.fill_between(*edges, linewidth=0, **style)
    if 0 < seen < x.size:
        mark(ax, x[seen - 1], upper[seen - 1], "^", "above: diverged")


def _median(ax, x, parts, name, color):
    estimate, low, high = map(_cut, parts)
    ax.plot(x, estimate, color=color, label=f"{name}median")
    ax.plot(
        x,
        low,
        "--",
        color=color,
        linewidth=0.7,
        label=f"{name}interval of the median",
    )
    ax.plot(x, high, "--", color=color, linewidth=0.7)


def _cut(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def mark(ax, time, loss, marker, words):
    """A marker with a name in the legend, once."""
    known = ax.get_legend_handles_labels()[1]
    ax.plot(
        [time],
        [min(loss, HIGHEST)],
        marker,
        color=VERMILLION,
        markersize=7,
        clip_on=False,
        zorder=5,
        label=None if words in known else words,
    )
