"""Figures over a grid of settings: a statistic of two of them, and how runs ended."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    optional_ax,
    short_number,
)

# Runs that came to their end are blue; what went wrong stands out.
OUTCOME_COLORS = {"completed": BLUE, "converged": SKY, "diverged": VERMILLION}
OTHERS = (ORANGE, PURPLE, GREEN, "0.35", "0.7")
TEXT: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small"}
NO_VALUE: dict[str, Any] = {
    "facecolor": "0.93",
    "edgecolor": "0.72",
    "hatch": "///",
    "linewidth": 0,
}


@optional_ax
def heat_map(
    values: Any,
    rows: Any,
    columns: Any,
    *,
    label: str = "",
    log: bool = False,
    missing: str = "none",
    limits: Any = None,
    ax: Any = None,
) -> Any:
    """Draw a statistic over two swept settings, a coloured and annotated cell each.

    Row i, column j of `values` is the cell at the i-th entry of the vertical axis,
    counted from below, and the j-th of the horizontal one, counted from the left. A
    cell without a value (NaN) is hatched in grey and holds the word `missing`; an
    infinite one has the colour of the end of the scale and its sign.

    Args:
        values: The statistic, shape (R, C).
        rows: Name of the vertical axis, and its R entries from below.
        columns: Name of the horizontal axis, and its C entries from the left.
        label: What the numbers are, for the colour bar.
        log: Whether colours follow the logarithm; numbers not above 0 then have the
            colour of the lowest.
        missing: The word in cells without a value.
        limits: Ends of the colour scale; the smallest and largest value if None.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes; a colour bar is added to their figure.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> share = [[0.1, 0.2, 0.4], [0.5, float("nan"), 1.0]]
        >>> ax = heat_map(share, ("scale", [0.1, 1.0]), ("step size", [1, 2, 3]))
        >>> [text.get_text() for text in ax.texts]
        ['0.1', '0.2', '0.4', '0.5', 'none', '1']
    """
    values = np.asarray(values, dtype=float)
    shape = len(rows[1]), len(columns[1])
    if values.shape != shape or not values.size:
        raise ValueError(
            f"Argument `values` must have shape {shape}, one number a row and column, "
            f"but has shape {values.shape}."
        )
    scale = _color_scale(values, log, limits)
    shown = np.ma.masked_invalid(np.clip(values, scale.vmin, scale.vmax))
    mesh = ax.pcolormesh(
        shown, norm=scale, cmap="viridis", edgecolors="white", linewidth=1.5
    )
    for (i, j), value in np.ndenumerate(values):
        if np.isnan(value):
            _hatched(ax, i, j)
        words = missing if np.isnan(value) else short_number(value)
        color = "0.2" if np.isnan(value) else _readable(mesh, shown[i, j])
        ax.text(j + 0.5, i + 0.5, words, color=color, **TEXT)
    for axis, (name, entries) in (("y", rows), ("x", columns)):
        ticks = np.arange(len(entries)) + 0.5
        ax.set(**{f"{axis}ticks": ticks, f"{axis}label": name})
        ax.set(**{f"{axis}ticklabels": [_entry(entry) for entry in entries]})
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(mesh, ax=ax, label=label)
    return ax


@optional_ax
def outcomes(counts: Mapping[str, Mapping[str, int]], *, ax: Any = None) -> Any:
    """Draw how runs ended: a bar a group, cut by outcome, its counts in words beside.

    A bar is the share of the group's runs, so that groups of different size can be
    compared; the first group is on top.

    Args:
        counts: Group to outcome to number of runs.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no group, or a count is negative.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = outcomes({"small step": {"completed": 3, "diverged": 1}})
        >>> ax.texts[0].get_text()
        '3 completed, 1 diverged'
    """
    if not counts:
        raise ValueError(
            "Argument `counts` must hold at least one group, but is empty."
        )
    kinds = _kinds(counts)
    other = iter(OTHERS * len(kinds))
    colors = {kind: OUTCOME_COLORS.get(kind) or next(other) for kind in kinds}
    totals = np.array([sum(of.values()) for of in counts.values()], dtype=float)
    place, left = np.arange(len(counts)), np.zeros(len(counts))
    for kind in kinds:
        share = _numbers(counts, kind) / np.maximum(totals, 1)
        ax.barh(place, share, left=left, color=colors[kind], height=0.7)
        left = left + share
    for i, of in enumerate(counts.values()):
        told = ", ".join(f"{of[kind]} {kind}" for kind in kinds if of.get(kind))
        words = told.replace("_", " ") or "no run"
        beside: dict[str, Any] = {"textcoords": "offset points", "va": "center"}
        beside |= {"fontsize": "small", "annotation_clip": False}
        ax.annotate(words, (1, i), (6, 0), **beside)
    ax.set_yticks(place, list(counts))
    ax.set(xlim=(0, 1), ylim=(len(counts) - 0.5, -0.5), xlabel="share of runs")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _numbers(counts: Mapping[str, Mapping[str, int]], kind: str) -> np.ndarray:
    """Runs of every group that ended so."""
    numbers = np.array([of.get(kind, 0) for of in counts.values()], dtype=float)
    if np.any(numbers < 0):
        raise ValueError(
            f"Argument `counts` must hold numbers of runs, but one of {kind!r} is "
            f"{int(numbers.min())}."
        )
    return numbers


def _kinds(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Outcomes that occur, those of `OUTCOME_COLORS` first."""
    found = dict.fromkeys(kind for of in counts.values() for kind in of)
    return sorted(found, key=lambda kind: kind not in OUTCOME_COLORS)


def _color_scale(values, log: bool, limits) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    usable = values[np.isfinite(values) & ((values > 0) | (not log))]
    if limits is None:
        limits = (usable.min(), usable.max()) if usable.size else (0.0, 1.0)
    low, high = map(float, limits)
    if log and 0 < low < high:
        return LogNorm(low, high)
    # One value alone: the middle of the scale.
    return Normalize(low, high) if low < high else Normalize(low - 1, low + 1)


def _hatched(ax, row: int, column: int) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((column, row), 1, 1, **NO_VALUE))
    # A quiet place for the word.
    plain = {"facecolor": NO_VALUE["facecolor"], "linewidth": 0}
    ax.add_patch(Rectangle((column + 0.12, row + 0.38), 0.76, 0.24, **plain))


def _readable(mesh, value) -> str:
    """Black on bright cells, white on dark ones, by relative luminance."""
    red, green, blue, _ = mesh.to_rgba(value)
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.45 else "white"


def _entry(entry: Any) -> str:
    return f"{entry:g}" if isinstance(entry, float) else str(entry)
