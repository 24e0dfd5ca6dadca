"""What a paper says about a group of lanes: plateaus, dwells, deaths, losses."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _samples
from ._samples import Interval
from .proportions import wilson
from .quantiles import quantile_band
from .survival import SurvivalCurve, kaplan_meier, median_survival

QUARTILES = (0.25, 0.5, 0.75)


class PlateauSummary(NamedTuple):
    """Numbers of one group of lanes.

    Attributes:
        lanes: Number of lanes in the group.
        outcomes: Lanes by outcome, every lane counted once.
        pooled_lanes: Lanes whose plateaus enter all entries below but the last two.
        num_plateaus_mean: Mean number of plateaus of a pooled lane, or None if no
            lane is pooled.
        num_plateaus: Quartiles of the number of plateaus, each with its
            interval (shape (3,)), or None if no lane is pooled.
        overflowed: Pooled lanes with more plateaus than their table holds.
        pooled_plateaus: Number of plateaus whose dwells are pooled.
        censored_plateaus: How many of these were still running at the end.
        dwell: Survival curve of the dwells of all pooled plateaus, or None if there
            is no plateau.
        median_dwell: Median dwell with its interval, or None if there is no plateau.
        dead: P[dead network] with its Wilson interval, or None if not asked for.
        final_loss: Quartiles of the last loss over all lanes, each with its
            interval (shape (3,)); inf for lanes that diverged.
    """

    lanes: int
    outcomes: dict[str, int]
    pooled_lanes: int
    num_plateaus_mean: float | None
    num_plateaus: Interval | None
    overflowed: int
    pooled_plateaus: int
    censored_plateaus: int
    dwell: SurvivalCurve | None
    median_dwell: Interval | None
    dead: Interval | None
    final_loss: Interval


def plateau_summary(
    dwell: Any,
    censored: Any,
    count: Any,
    losses: Any,
    *,
    outcomes: Any,
    overflow: Any = None,
    dead: Any = None,
    pool: Sequence[str] = ("completed",),
    confidence: float = 0.95,
) -> PlateauSummary:
    """Plateau statistics of a group of lanes, on plain arrays.

    Outcomes are counted, never mixed unseen: numbers and dwells of plateaus are
    taken over the lanes whose outcome is in `pool` only, and `pooled_lanes` says
    how many these are. P[dead network] and the final losses are over all lanes (a
    lane that diverged has loss inf). Dwells of plateaus still running at the end
    count as censored. Quartiles are values that occurred: see `quantiles`.

    Args:
        dwell: Dwells, shape (B, P): one row a lane, its first `count` entries used.
        censored: Whether each plateau was still running at the end, shape (B, P).
        count: Plateaus of each lane, at most P, shape (B,).
        losses: Losses at the saved times, shape (B, t).
        outcomes: The outcome of each lane, a word each, shape (B,).
        overflow: Whether a lane had more plateaus than fit, shape (B,), or None.
        dead: Whether a lane ended as a dead network, shape (B,), or None.
        pool: Outcomes whose lanes enter the plateau statistics.
        confidence: Two-sided coverage of every interval.

    Returns:
        The numbers.

    Raises:
        TypeError: If an array is of the wrong kind.
        ValueError: If shapes disagree, there is no lane, or a count exceeds P.

    Example:
        >>> summary = plateau_summary(
        ...     dwell=[[1.0, 4.0], [2.0, 0.0]],
        ...     censored=[[False, True], [False, False]],
        ...     count=[2, 1],
        ...     losses=[[1.0, 0.1], [1.0, 0.2]],
        ...     outcomes=["completed", "completed"],
        ... )
        >>> summary.outcomes, summary.num_plateaus_mean
        ({'completed': 2}, 1.5)
        >>> print(summary.median_dwell.estimate)
        2.0
    """
    losses = _samples.floats("losses", losses, ("B", "t"))
    lanes = len(losses)
    labels = _samples.words("outcomes", outcomes)
    _samples.same_shape("outcomes", labels, (lanes,))
    dwell, censored, count = _table(dwell, censored, count, lanes)
    overflow = np.zeros(lanes, bool) if overflow is None else overflow
    overflow = _samples.booleans("overflow", overflow, (lanes,))

    pooled = np.isin(labels, list(pool))
    used = pooled[:, None] & (np.arange(dwell.shape[1])[None, :] < count[:, None])
    curve = (
        kaplan_meier(dwell[used], censored[used], confidence=confidence)
        if used.any()
        else None
    )
    return PlateauSummary(
        lanes=lanes,
        outcomes=_tally(labels),
        pooled_lanes=int(pooled.sum()),
        num_plateaus_mean=float(count[pooled].mean()) if pooled.any() else None,
        num_plateaus=quartiles(count[pooled], confidence),
        overflowed=int((overflow & pooled).sum()),
        pooled_plateaus=int(used.sum()),
        censored_plateaus=int((censored & used).sum()),
        dwell=curve,
        median_dwell=None if curve is None else median_survival(curve),
        dead=None if dead is None else _proportion(dead, lanes, confidence),
        final_loss=quantile_band(losses[:, -1], QUARTILES, confidence=confidence),
    )


def probability_below(
    losses: Any, times: Any, *, level: float, by: float, confidence: float = 0.95
) -> Interval:
    """P[loss below a level by a time]: share of lanes, with its Wilson interval.

    A lane counts if its loss was below the level at one of the saved times up to
    `by`. Every lane is in the denominator; one that diverged has loss inf.

    Args:
        losses: Losses at the saved times, shape (B, t).
        times: Saved times, increasing, shape (t,).
        level: The loss to fall below, above 0.
        by: The time to do so, within the saved times.
        confidence: Two-sided coverage of the interval.

    Returns:
        The share and its interval.

    Raises:
        ValueError: If shapes disagree, or `by` lies outside of the saved times.

    Example:
        >>> losses = [[1.0, 0.4], [1.0, 0.6], [1.0, 0.3], [1.0, 0.2]]
        >>> print(probability_below(losses, [0.0, 1.0], level=0.5, by=1.0).estimate)
        0.75
    """
    losses = _samples.floats("losses", losses, ("B", "t"))
    times = _samples.floats("times", times, ("t",))
    _samples.same_shape("times", times, losses.shape[1:])
    if not times[0] <= by <= times[-1]:
        raise ValueError(
            f"Argument `by` must lie within the saved times, {times[0]} to "
            f"{times[-1]}, but is {by}."
        )
    reached = np.any(losses[:, times <= by] < level, axis=1)
    return wilson(int(reached.sum()), len(losses), confidence=confidence)


def _table(dwell, censored, count, lanes):
    dwell = _samples.floats("dwell", dwell, ("B", "P"))
    censored = _samples.booleans("censored", censored, dwell.shape)
    count = _samples.integers("count", count)
    _samples.same_shape("count", count, dwell.shape[:1])
    if len(dwell) != lanes:
        raise ValueError(
            "Arguments `dwell` and `losses` must have one row a lane each, but have "
            f"{len(dwell)} and {lanes} rows."
        )
    _samples.rows_used("count", count, dwell.shape)
    return dwell, censored, count


def _tally(labels: np.ndarray) -> dict[str, int]:
    names, counts = np.unique(labels, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def quartiles(values: np.ndarray, confidence: float) -> Interval | None:
    """Quartiles of numbers with their intervals; None if there are no numbers."""
    if not values.size:
        return None
    return quantile_band(values.astype(float), QUARTILES, confidence=confidence)


def _proportion(flags: Any, lanes: int, confidence: float) -> Interval:
    flags = _samples.booleans("dead", flags, (lanes,))
    return wilson(int(flags.sum()), lanes, confidence=confidence)
