"""The stored lanes of every grid point, taken from a sweep's dataset."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..stages.plateau import DEFINITIONS
from ..statistics import (
    Interval,
    PlateauSummary,
    histogram_quantiles,
    plateau_summary,
    quantile_band,
)

LATER = "slope, later"  # without the flat stretch that every run begins with
# Outcomes whose lanes enter the statistics of plateaus; every other is a failure.
FINE = ("completed", "converged")
SHARES = {"10 % quantile": 0.1, "median": 0.5, "90 % quantile": 0.9}


class Group(NamedTuple):
    """The stored lanes of one grid point, B of them.

    Attributes:
        label: The swept leaves in words.
        time_unit: What one unit of time is, in words.
        planned: Lanes asked for.
        lanes: Numbers of the stored lanes, shape (B,).
        times: Saved times, shape (t,).
        final: Losses at the last saved time, shape (B,).
        losses: Losses, shape (B, t), or None if histograms are stored instead.
        histogram: Lanes by saved time and bin of `log_bins`, shape (t, m), with the
            bins' accuracy; None if losses are stored.
        outcomes: Outcome of each lane, in a word, shape (B,).
        dead: Whether every hidden neuron ended dead, shape (B,), or None if unknown.
        tables: Definition to columns of its plateaus: dwell, censored (B, P) and
            count, overflow, perhaps raw_count (B,). `LATER` holds plateaus by slope
            that begin after time 0.
        rows: The lazy dataset of the point, for start and end of single lanes.
        bound: A loss that no network of the point can be below, or None if unknown.
    """

    label: str
    time_unit: str
    planned: int
    lanes: np.ndarray
    times: np.ndarray
    final: np.ndarray
    losses: np.ndarray | None
    histogram: tuple[np.ndarray, float] | None
    outcomes: np.ndarray
    dead: np.ndarray | None
    tables: Mapping[str, Mapping[str, np.ndarray]]
    rows: Any
    bound: float | None = None


def group(
    dataset: Any,
    point: int,
    units: int | None,
    bounds: Mapping[str, float],
    accuracy: float | None = None,
) -> Group:
    """The stored lanes of one grid point; lanes that are not done are left out.

    Args:
        dataset: A sweep's `xarray.Dataset`.
        point: The grid point.
        units: Hidden neurons of its networks, or None if unknown.
        bounds: Proven lower bounds of the loss, by label.
        accuracy: Of the bins of stored histograms.

    Returns:
        The group.
    """
    here = dataset.isel(point=point)
    done = here["done"].values
    times = here["times"].values
    saved = np.isfinite(times)  # shorter runs of the grid are padded with NaN
    dead = None if units is None else here["dead_neurons"].values[done] >= units
    label = _word(here, "label", f"point {point}")
    return Group(
        label=label,
        time_unit=_word(here, "time_unit", "time"),
        planned=done.size,
        lanes=np.flatnonzero(done),
        times=times[saved],
        final=here["final_loss"].values[done],
        losses=here["loss"].values[done][:, saved] if "loss" in here else None,
        histogram=_histogram(here, saved, accuracy),
        outcomes=_outcomes(here["outcome"], done),
        dead=dead,
        tables=_tables(here, done),
        rows=here,
        bound=bounds.get(label),
    )


def summary(of: Group, by: str) -> PlateauSummary:
    """The numbers of a group with plateaus by one definition."""
    columns = of.tables[by]
    return plateau_summary(
        columns["dwell"],
        columns["censored"],
        columns["count"],
        of.final[:, None],
        outcomes=of.outcomes,
        overflow=columns["overflow"],
        dead=of.dead,
        pool=FINE,
    )


def at_risk(of: Group, by: str, times: Any) -> np.ndarray:
    """Number of pooled plateaus that were seen to last at least so long, shape (m,)."""
    ordered = np.sort(dwells(of, by)[0])
    return ordered.size - np.searchsorted(ordered, np.asarray(times))


def dwells(of: Group, by: str) -> tuple[np.ndarray, np.ndarray]:
    """Dwells of the pooled plateaus, and whether each was still running, shape (m,)."""
    columns, pooled = of.tables[by], np.isin(of.outcomes, FINE)
    used = np.arange(columns["dwell"].shape[1]) < columns["count"][:, None]
    used = used & pooled[:, None]
    return columns["dwell"][used], columns["censored"][used]


def share_with_plateau(of: Group, by: str) -> float:
    """Share of the pooled lanes with at least one plateau; NaN without a lane."""
    pooled = np.isin(of.outcomes, FINE)
    return (
        float(np.mean(of.tables[by]["count"][pooled] > 0)) if pooled.any() else np.nan
    )


def failures(of: Group) -> dict[str, np.ndarray]:
    """Outcome to numbers of its lanes, for every outcome that is a failure."""
    words = [str(w) for w in np.unique(of.outcomes) if w not in FINE]
    return {word: of.lanes[of.outcomes == word] for word in words}


def plateaus_of_lane(of: Group, by: str, lane: int) -> tuple[np.ndarray, ...]:
    """Columns start, end, censored of the used rows of one lane, by its number."""
    used = int(of.rows[f"{by}_count"].values[lane])
    names = (f"{by}_start", f"{by}_end", f"{by}_censored")
    here = of.rows[list(names)].isel(lane=lane)
    start, end, censored = (here[name].values[:used] for name in names)
    return start, end, censored


def typical_lanes(of: Group) -> dict[str, int]:
    """Numbers of the completed lanes whose last loss is low, median, high.

    Low and high are the 10 % and 90 % quantiles; a lane is named once.
    """
    completed = np.flatnonzero(np.isin(of.outcomes, FINE))
    order = completed[np.argsort(of.final[completed], kind="stable")]
    found: dict[int, str] = {}
    for name, share in SHARES.items():
        if order.size:
            rank = max(int(np.ceil(share * order.size - 1e-9)), 1) - 1
            found.setdefault(int(of.lanes[order[rank]]), name)
    return {name: lane for lane, name in found.items()}


def _word(here: Any, name: str, otherwise: str) -> str:
    return str(here[name].values) if name in here.variables else otherwise


def loss_band(of: Group, probabilities: tuple[float, ...]) -> Interval:
    """Quantiles of the loss at every saved time, with intervals where lanes are kept.

    From histograms they have the accuracy of the bins; such sweeps have so many lanes
    that the intervals would not be seen.
    """
    if of.losses is not None:
        return quantile_band(of.losses, probabilities)
    counts, accuracy = of.histogram or (np.zeros((0, 1), int), 0.5)
    found = histogram_quantiles(counts, accuracy, probabilities)
    return Interval(found, found, found)


def _histogram(here: Any, saved: np.ndarray, accuracy: float | None):
    if "loss_counts" not in here or accuracy is None:
        return None
    counts = np.zeros((int(saved.sum()), here.sizes["bin"]), np.int64)
    for part in range(here.sizes["part"]):
        counts += here["loss_counts"].isel(part=part).values[saved]
    return counts, accuracy


def _tables(here: Any, done: np.ndarray) -> dict[str, Mapping[str, np.ndarray]]:
    tables = {}
    for by in DEFINITIONS:
        # A method whose plateaus by this definition are not known has counts of −1.
        count = here.get(f"{by}_count")
        if count is not None and _known(count.values[done]):
            tables[by] = _table(here, by, done)
        if by == "slope" and by in tables:
            first = here["slope_start"].isel(plateau=0).values[done]
            tables[LATER] = _without_first(tables[by], first == 0)
    return tables


def _known(counts: np.ndarray) -> bool:
    return counts.size == 0 or bool(np.any(counts >= 0))


def _without_first(table: Mapping[str, np.ndarray], where: np.ndarray):
    """The plateaus of a table but the first, in the lanes where that is to go."""
    columns = {
        name: np.where(where[:, None], np.roll(table[name], -1, axis=1), table[name])
        for name in ("dwell", "censored")
    }
    return columns | {"count": table["count"] - where, "overflow": table["overflow"]}


def _table(here: Any, by: str, done: np.ndarray) -> dict[str, np.ndarray]:
    columns = ("dwell", "censored", "count", "raw_count", "overflow")
    names = {column: f"{by}_{column}" for column in columns}
    return {
        column: here[name].values[done]
        for column, name in names.items()
        if name in here.variables
    }


def _outcomes(outcome: Any, done: np.ndarray) -> np.ndarray:
    values = np.atleast_1d(outcome.attrs["flag_values"]).tolist()
    names = outcome.attrs["flag_meanings"].split()
    words = dict(zip(values, names, strict=True))
    return np.array([words[code] for code in outcome.values[done].tolist()], dtype=str)
