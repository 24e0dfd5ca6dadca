"""Figures against depth: how norms, gradients and curvature vanish."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._axes import (
    BLUE,
    SKY,
    VERMILLION,
    legend_above,
    optional_ax,
    place_legend,
)
from ._fans import draw_fan

RIDGE = 0.45  # height of one side of a ridge; those of rows one apart do not touch
BINS_A_DECADE = 4


@optional_ax
def depth_fan(
    depths: Any,
    band: Any,
    probabilities: Sequence[float],
    *,
    law: Any = None,
    log: bool = True,
    quantity: str = "",
    label: str = "",
    color: Any = BLUE,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw quantiles of a number over lanes against depth, next to their exact law.

    Bands are those of `ensemble_band`. The law is dotted in black, one line a quantile.

    Args:
        depths: Depths L, increasing, shape (D,).
        band: Quantiles and their intervals from `px.statistics.quantile_band` of
            values of shape (lanes, D).
        probabilities: Probabilities of the quantiles, shape (q,).
        law: What the quantiles are by an exact law, shape (q, D) or, of the median
            alone, (D,); None for none.
        log: Whether the axis of the numbers is logarithmic; False for numbers that are
            logarithms themselves.
        quantity: What is drawn, for the label of the axis.
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
        >>> norms = np.array([[1.0, 0.5], [1.2, 0.1], [0.9, 0.3]])
        >>> ax = depth_fan([4, 8], quantile_band(norms, [0.5]), [0.5], law=[1.0, 0.3])
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['median', 'interval of the median', 'exact law']
    """
    depths = draw_fan(ax, depths, band, probabilities, label, color)
    if law is not None:
        lines = np.atleast_2d(np.asarray(law))
        if lines.ndim != 2 or lines.shape[1] != len(depths):
            raise ValueError(
                f"Argument `law` must have shape ({len(depths)},), or (q, "
                f"{len(depths)}) of several quantiles, but has shape {np.shape(law)}."
            )
        for i, line in enumerate(lines):
            words = None if i else f"{label}, exact law" if label else "exact law"
            style: dict[str, Any] = {"color": "black", "linewidth": 1.3, "zorder": 3}
            ax.plot(depths, line, ":", label=words, **style)
    if log and np.isfinite(ax.dataLim.minposy):
        ax.set_yscale("log")
    if np.all(depths > 0):
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="depth L", ylabel=quantity, xmargin=0)
    if legend:
        place_legend(ax)
    return ax


@optional_ax
def spectral_ridges(
    eigenvalues: Any, labels: Sequence[str], *, weights: Any = None, ax: Any = None
) -> Any:
    """Draw spectral densities as ridges over log₁₀|λ|, one a row, the first on top.

    Above its baseline stand the positive eigenvalues, below it, in another colour, the
    negative ones, both to one scale; zeros are told as a share at the right.

    Args:
        eigenvalues: λ of each row, or nodes of a spectral density, shape (m,), each
            row of its own length; of many lanes joined.
        labels: Names of the rows, such as depths.
        weights: Weight of each λ, likewise; equal weights if None.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no row, a row is empty or not finite, or shapes do not
            fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> ax = spectral_ridges([[1.0, -0.1, 0.0, 2.0], [1e-3, -1e-4]], ["4", "8"])
        >>> [text.get_text() for text in ax.texts]
        ['25 % zero', '0 % zero']
    """
    rows = [_row(values) for values in eigenvalues]
    if not rows or len(labels) != len(rows):
        raise ValueError(
            "Argument `labels` must name every row of `eigenvalues`, at least one, but "
            f"has {len(labels)} names for {len(rows)} rows."
        )
    masses = [np.ones_like(row) for row in rows] if weights is None else list(weights)
    for row, mass in zip(rows, masses, strict=True):
        if np.shape(mass) != row.shape:
            raise ValueError(
                "Argument `weights` must have the shapes of `eigenvalues`, but one has "
                f"{np.shape(mass)} for {row.shape}."
            )
    places = range(len(rows))[::-1]
    for place, row, mass in zip(places, rows, masses, strict=True):
        _ridge(ax, place, row, np.asarray(mass) / np.sum(mass))
    ax.set_yticks(places, list(labels))
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.set(xlabel="log₁₀ |λ|", ylim=(-0.6, len(rows) - 0.4))
    legend_above(ax)
    return ax


def _row(values: Any) -> np.ndarray:
    row = np.asarray(values)
    if row.ndim != 1 or not row.size or not np.all(np.isfinite(row)):
        raise ValueError(
            "Argument `eigenvalues` must hold rows of shape (m,) of finite numbers, at "
            f"least one, but one has shape {row.shape}."
        )
    return row


def _ridge(ax: Any, place: int, values: np.ndarray, mass: np.ndarray) -> None:
    """Histograms of one row: positive up, negative down, of one scale."""
    used = values != 0
    words = f"{100 * np.sum(mass[~used]):.3g} % zero"
    at: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "va": "center"}
    ax.annotate(words, (1.01, place), fontsize="small", color="0.35", **at)
    ax.axhline(place, color="0.75", linewidth=0.8, zorder=0)
    if not used.any():
        return
    sizes = np.log10(np.abs(values[used]))
    first, last = np.floor(sizes.min()), np.floor(sizes.max()) + 1
    edges = np.linspace(first, last, int(last - first) * BINS_A_DECADE + 1)
    sides = {True: ("λ > 0", BLUE, SKY), False: ("λ < 0", VERMILLION, VERMILLION)}
    counts = {
        up: np.histogram(
            sizes[(values[used] > 0) == up],
            edges,
            weights=mass[used][(values[used] > 0) == up],
        )[0]
        for up in sides
    }
    highest = max(c.max() for c in counts.values())
    named = ax.get_legend_handles_labels()[1]
    for up, (name, line, face) in sides.items():
        heights = place + (1 if up else -1) * RIDGE * counts[up] / highest
        words = None if name in named else name
        ax.stairs(
            heights, edges, baseline=place, fill=True, color=face, alpha=0.5,
            label=words,
        )  # fmt: skip
        ax.stairs(heights, edges, baseline=place, color=line, linewidth=0.8)
