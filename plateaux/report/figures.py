"""The pictures of a report, as PNG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from .. import plot
from ..plot._axes import require_matplotlib
from ..statistics import SurvivalCurve, quantile_band
from .groups import Group, plateaus_of_lane, typical_lanes

PROBABILITIES = (0.1, 0.25, 0.5, 0.75, 0.9)
DPI = 150
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
    canvas = _figure((9.5, 6.4))
    cells = canvas.add_gridspec(2, 6, height_ratios=(1, 0.8))
    left, right = (canvas.add_subplot(cells[0, part]) for part in HALVES)
    band = quantile_band(of.losses, PROBABILITIES)
    plot.ensemble_band(of.times, band, PROBABILITIES, time_unit=of.time_unit, ax=left)
    left.set_title(f"loss of {len(of.lanes)} lanes", fontsize="medium")
    _survival(right, curves, of.time_unit)
    thirds = [canvas.add_subplot(cells[1, part]) for part in THIRDS]
    _lanes(thirds, of, shaded)
    return _png(canvas)


def comparison(curves: Mapping[str, SurvivalCurve], time_unit: str) -> bytes:
    """Survival curves of several grid points in one picture."""
    canvas = _figure((7.5, 3.6 + 0.25 * len(curves)))
    ax = canvas.subplots()
    plot.survival_curves(curves, time_unit=time_unit, legend=False, ax=ax)
    canvas.legend(loc="outside lower left")
    return _png(canvas)


def _survival(ax: Any, curves: Mapping[str, SurvivalCurve], time_unit: str) -> None:
    if curves:
        plot.survival_curves(curves, time_unit=time_unit, legend=False, ax=ax)
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


def _lanes(panels: Sequence[Any], of: Group, shaded: str | None) -> None:
    chosen = list(typical_lanes(of).items())
    row = {number: i for i, number in enumerate(of.lanes.tolist())}
    for ax, (name, lane) in zip(panels, chosen, strict=False):
        plot.loss_curve(
            of.times,
            of.losses[row[lane]],
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
