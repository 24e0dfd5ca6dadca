"""The pictures of a report, as PNG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import plot
from ..plot._axes import COLORS, require_matplotlib, time_ticks
from ..statistics import SurvivalCurve
from .axes import Facet
from .frames import Shown
from .groups import Group, at_risk, loss_band, plateaus_of_lane, typical_lanes

PROBABILITIES = (0.1, 0.25, 0.5, 0.75, 0.9)
DPI = 130
HALVES = (slice(0, 3), slice(3, 6))
THIRDS = (slice(0, 2), slice(2, 4), slice(4, 6))


def overview(
    of: Group, curves: Mapping[str, SurvivalCurve], shaded: str | None
) -> bytes:
    """One grid point: band of the loss, dwell survival, typical lanes below.

    Args:
        of: The point's lanes, at least one.
        curves: Definition to survival curve of the dwells.
        shaded: The definition whose plateaus are shaded, or None.

    Returns:
        A PNG.
    """
    single = of.losses  # of single lanes, where they are known
    canvas = _figure((9.5, 3.8 if single is None else 6.4))
    ratios = (1,) if single is None else (1, 0.8)
    cells = canvas.add_gridspec(len(ratios), 6, height_ratios=ratios)
    left, right = (canvas.add_subplot(cells[0, part]) for part in HALVES)
    band = loss_band(of, PROBABILITIES)
    plot.ensemble_band(of.times, band, PROBABILITIES, time_unit=of.time_unit, ax=left)
    left.set_title(f"loss of {len(of.lanes)} lanes", fontsize="medium")
    _survival(right, curves, of)
    if single is not None:
        thirds = [canvas.add_subplot(cells[1, part]) for part in THIRDS]
        _lanes(thirds, of, single, shaded)
    return _png(canvas)


def comparison(
    curves: Mapping[str, SurvivalCurve], groups: Mapping[str, Group], by: str
) -> bytes:
    """Survival curves of several grid points in one picture, with their risk table.

    Args:
        curves: Label to survival curve of the dwells.
        groups: Label to grid point, of one unit of time; each keeps its colour even
            where another has no curve.
        by: The definition of a plateau.

    Returns:
        A PNG.
    """
    canvas = _figure((6.2, 3.2 + 0.45 * len(curves)))
    ax = canvas.subplots()
    ticks = _ticks(curves)
    risk = ticks, {name: at_risk(groups[name], by, ticks) for name in curves}
    unit = groups[next(iter(curves))].time_unit
    colors = [COLORS[list(groups).index(name)] for name in curves]
    style: dict[str, Any] = {"colors": colors, "legend": False}
    plot.survival_curves(curves, at_risk=risk, time_unit=unit, ax=ax, **style)
    canvas.legend(loc="outside upper left", frameon=False, fontsize="small")
    return _png(canvas)


def final_losses(losses: Mapping[str, Any], colors: Sequence[str], bound: Any) -> bytes:
    """Distributions of final losses, or of their ratios to a bound.

    Args:
        losses: Label to final losses, or to their ratios to a bound, shape (B,).
        colors: A colour a label.
        bound: 1 if these are ratios, else None.

    Returns:
        A PNG.
    """
    canvas = _figure((6.2, 3.0 + 0.25 * len(losses)))
    ax = canvas.subplots()
    plot.distribution(losses, bound, colors=colors, legend=False, ax=ax)
    canvas.legend(loc="outside upper left", frameon=False, fontsize="small")
    return _png(canvas)


def outcomes(counts: Mapping[str, Mapping[str, int]]) -> bytes:
    """How the lanes of every grid point ended."""
    canvas = _figure((9.5, 0.9 + 0.3 * len(counts)))
    plot.outcomes(counts, ax=canvas.subplots())
    return _png(canvas)


class Statistic(NamedTuple):
    """A number of every grid point.

    Attributes:
        values: One a grid point; NaN where there is none.
        unit: What they are measured in.
        missing: The word where there is none.
        limits: Ends of the colour scale, or None.
    """

    values: Sequence[float]
    unit: str
    missing: str
    limits: tuple[float, float] | None = None


def heat_map(of: Facet, title: str, one: Statistic) -> bytes:
    """A statistic over two swept settings.

    Args:
        of: Where the grid points lie.
        title: What the numbers are.
        one: The numbers.

    Returns:
        A PNG.
    """
    canvas = _figure((6.2, max(1.3 + 0.5 * len(of.rows[1]), 2.4)))
    ax = canvas.subplots()
    padded = np.append(np.asarray(one.values, dtype=float), np.nan)
    values = padded[of.points]  # −1, no such grid point, is the last: NaN
    log = one.limits is None and _spans_decades(values)
    style = {"missing": one.missing, "limits": one.limits, "label": one.unit}
    plot.heat_map(values, of.rows, of.columns, log=log, ax=ax, **style)
    ax.set_title(title, fontsize="medium")
    return _png(canvas)


def run(of: Shown, plateaus: tuple[np.ndarray, ...], time_unit: str) -> bytes:
    """A run as a whole: loss, activations; if univariate, function and kinks too.

    Args:
        of: The run's networks, evaluated.
        plateaus: Columns start, end, censored of its plateaus.
        time_unit: What one unit of time is, in words.

    Returns:
        A PNG.
    """
    canvas = _figure((9.5, 6.4 if of.values is not None else 3.3))
    panels = iter(
        canvas.subplots(1 if of.values is None else 2, 2, squeeze=False).ravel()
    )
    unit: dict[str, Any] = {"time_unit": time_unit}
    times = of.times[of.frames]
    plot.loss_curve(of.times, of.losses, plateaus=plateaus, ax=next(panels), **unit)
    if len(times) > 1:
        active = of.pattern.sum(axis=2)
        plot.activation_raster(times, active, ax=next(panels), **unit)
    if of.values is not None:
        some = np.unique(np.linspace(0, len(times) - 1, 7).astype(int))
        data = of.x, of.targets
        drawn = of.points, of.values[some], times[some]
        plot.function_snapshots(*drawn, data=data, ax=next(panels), **unit)
    if of.kinks is not None:
        plot.kinks(times, of.kinks, of.x, ax=next(panels), **unit)
    for ax in panels:
        ax.set_axis_off()
    return _png(canvas)


def _spans_decades(values: np.ndarray) -> bool:
    """Whether finite numbers are positive, and some ten times others."""
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > 0 and known.max() >= 10 * known.min())


def _ticks(curves: Mapping[str, SurvivalCurve]) -> np.ndarray:
    """Times of a risk table, which the axis of the curves has ticks at."""
    times = [np.concatenate([[0.0], c.times, [c.end]]) for c in curves.values()]
    return time_ticks(np.concatenate(times), most=6)


def _survival(ax: Any, curves: Mapping[str, SurvivalCurve], of: Group) -> None:
    if curves:
        ticks = _ticks(curves)
        known = {name: name.removeprefix("by ") for name in curves}
        risk = ticks, {name: at_risk(of, by, ticks) for name, by in known.items()}
        unit = of.time_unit
        plot.survival_curves(curves, at_risk=risk, time_unit=unit, legend=False, ax=ax)
        # Above the axes, where it hides no curve, and narrower than they are.
        ax.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=3,
            frameon=False,
            fontsize="small",
            handlelength=1.4,
            columnspacing=1.0,
        )
        return
    ax.text(0.5, 0.5, "no plateau", ha="center", transform=ax.transAxes)
    ax.set_axis_off()


def _lanes(
    panels: Sequence[Any], of: Group, losses: np.ndarray, shaded: str | None
) -> None:
    chosen = list(typical_lanes(of).items())
    row = {number: i for i, number in enumerate(of.lanes.tolist())}
    for ax, (name, lane) in zip(panels, chosen, strict=False):
        plot.loss_curve(
            of.times,
            losses[row[lane]],
            plateaus=None if shaded is None else plateaus_of_lane(of, shaded, lane),
            legend=False,
            ax=ax,
        )
        ax.set_title(f"lane {lane} ({name})", fontsize="medium")
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()


def _figure(size: tuple[float, float]) -> Any:
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _png(canvas: Any) -> bytes:
    file = io.BytesIO()
    canvas.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()
