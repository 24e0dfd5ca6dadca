"""When a sweep has seen enough: intervals that are valid however often one looks."""

import functools as ft
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..stages.plateau import DEFINITIONS
from ..statistics import Interval, bernoulli_sequence, quantile_sequence
from . import tables
from .summary import at_end
from .tables import at_least, leaf, one_of, positive

STATISTICS = ("plateau", "failure", "below", "final_loss", "dwell")


@dataclass(frozen=True, kw_only=True)
class StopTable(tables.Table):
    """When a grid point has lanes enough: as soon as an interval is narrow enough.

    The interval is a confidence sequence of the point: it covers the truth at all
    chunks at once with the confidence, so that stopping by it does no harm.

    Attributes:
        statistic: "plateau": the share of lanes with a plateau; "failure": of those
            that did not reach the end; "below": of those whose last loss is below
            `threshold`; "final_loss": a quantile of the last loss; "dwell": one of
            the dwell of a lane's first plateau, among lanes that have one.
        width: The interval is narrow enough when it is no wider: for shares high −
            low, for quantiles high/low − 1.
        confidence: Of the interval, for every grid point by itself.
        by: The definition of a plateau.
        threshold: Of the statistic "below".
        probability: Of the quantile; 0.5 is the median.
        chunks: Chunks of a point between two looks.
        budget: Most lanes of all points together; None is all of them. The points
            with the widest intervals, relative to what is asked, come first.
    """

    header: ClassVar[str] = "stop"
    statistic: Any = leaf(one_of(lambda: STATISTICS), swept=False)
    width: Any = leaf(positive, swept=False)
    confidence: Any = leaf(tables.share, 0.95, swept=False)
    by: Any = leaf(one_of(lambda: DEFINITIONS), "slope", swept=False)
    threshold: Any = leaf(positive, None, swept=False)
    probability: Any = leaf(tables.share, 0.5, swept=False)
    chunks: Any = leaf(at_least(1), 4, swept=False)
    budget: Any = leaf(at_least(1), None, swept=False)

    def __post_init__(self):
        super().__post_init__()
        if (self.threshold is None) == (self.statistic == "below"):
            raise ValueError(
                "Argument `stop.threshold` must be given for the statistic 'below', "
                f"and for no other, but is {self.threshold!r} for {self.statistic!r}."
            )

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables of the store that it looks at."""
        return {
            "plateau": (f"{self.by}_count",),
            "failure": ("outcome",),
            "below": ("final_loss",),
            "final_loss": ("final_loss",),
            "dwell": (f"{self.by}_count", f"{self.by}_dwell", f"{self.by}_censored"),
        }[self.statistic]


def interval(stop: StopTable, lanes: Mapping[str, np.ndarray], chunk: int) -> Interval:
    """The interval of a point after the lanes that it has, which come in order.

    Args:
        stop: What is asked.
        lanes: The variables it looks at, with a leading axis of lanes.
        chunk: Lanes between two looks.

    Returns:
        Estimate and ends; from minus to plus infinity, or 0 to 1, before the first
        lane.
    """
    if stop.statistic in ("plateau", "failure", "below"):
        return _share(_successes(stop, lanes), chunk, stop.confidence)
    if stop.statistic == "final_loss":
        (values,) = (np.asarray(lanes[name], float) for name in stop.variables)
        return _quantile(stop, values, None, chunk)
    counts, dwells, censored = (np.asarray(lanes[name]) for name in stop.variables)
    some = counts > 0
    first = dwells[some, 0].astype(float)
    return _quantile(stop, first, censored[some, 0], chunk)


def narrowness(stop: StopTable, found: Interval) -> float:
    """Width of an interval in units of what is asked: at most 1 is narrow enough."""
    if stop.statistic in ("plateau", "failure", "below"):
        width = float(found.high - found.low)
    elif found.low > 0 and np.isfinite(found.high):
        width = float(found.high / found.low - 1)
    else:
        width = np.inf
    return width / stop.width


def next_round(
    stop: StopTable,
    done: np.ndarray,
    chunk: int,
    width_after: Callable[[int, int], float],
) -> list[tuple[int, int]]:
    """The chunks that are to be trained next, none if the sweep has seen enough.

    Every round takes `stop.chunks` chunks more of each point whose interval is too
    wide after those before; a point that is narrow enough rests for good. What a round
    takes follows from the rounds before it alone: a sweep that was stopped in the
    middle of one goes on as if it had not been.

    Args:
        stop: What is asked.
        done: Marks (point, chunk).
        chunk: Lanes of a chunk.
        width_after: From a point and a number of lanes to `narrowness` after them.

    Returns:
        Pairs (point, chunk), those of the widest point first.
    """
    points, chunks = done.shape
    left = done.size if stop.budget is None else stop.budget // chunk
    active = list(range(points))
    for first in range(0, chunks, stop.chunks):
        widths = {point: width_after(point, first * chunk) for point in active}
        active = sorted((p for p in active if widths[p] > 1), key=lambda p: -widths[p])
        of_round = range(first, min(first + stop.chunks, chunks))
        tasks = [(point, part) for point in active for part in of_round][:left]
        missing = [task for task in tasks if not done[task]]
        if missing or not tasks:
            return missing
        left -= len(tasks)
    return []


def rounds(spec: Any, arrays: Any, done: np.ndarray) -> Iterator[list[tuple[int, int]]]:
    """Chunks between two looks at the results: all at once where no rule is given.

    Args:
        spec: The specification.
        arrays: Arrays of the store by name, where results appear.
        done: Marks (point, chunk); those of a round are set when it has been trained.

    Yields:
        Pairs (point, chunk).
    """
    if spec.stop is None:
        yield [(point, chunk) for point, chunk in np.argwhere(~done).tolist()]
        return
    width_after = ft.lru_cache(maxsize=None)(
        lambda point, lanes: narrowness(
            spec.stop, interval_after(spec, arrays, point, lanes)
        )
    )
    while tasks := next_round(spec.stop, done, spec.chunk, width_after):
        yield tasks
        for task in tasks:
            done[task] = True


def interval_after(spec: Any, arrays: Any, point: int, lanes: int) -> Interval:
    """The interval of a point after its first lanes, looked at after every round."""
    known = {name: arrays[name][point, :lanes] for name in spec.stop.variables}
    return interval(spec.stop, known, spec.chunk * spec.stop.chunks)


def _successes(stop: StopTable, lanes: Mapping[str, np.ndarray]) -> np.ndarray:
    (values,) = (np.asarray(lanes[name]) for name in stop.variables)
    if stop.statistic == "plateau":
        return values > 0
    return ~at_end(values) if stop.statistic == "failure" else values < stop.threshold


def _looks(size: int, chunk: int) -> np.ndarray:
    """Sample sizes after each chunk."""
    return np.unique(np.minimum(np.arange(chunk, size + chunk, chunk), size))


def _share(successes: np.ndarray, chunk: int, confidence: float) -> Interval:
    if successes.size == 0:
        return Interval(np.nan, 0.0, 1.0)
    at = _looks(successes.size, chunk)
    running = np.cumsum(successes)[at - 1]
    return _last(bernoulli_sequence(running, at, confidence=confidence))


def _quantile(stop: StopTable, values: np.ndarray, censored: Any, chunk: int):
    if values.size == 0:
        return Interval(np.nan, -np.inf, np.inf)
    found = quantile_sequence(
        values,
        stop.probability,
        censored=censored,
        at=_looks(values.size, chunk),
        confidence=stop.confidence,
    )
    return _last(found)


def _last(sequence: Interval) -> Interval:
    return Interval(*(float(np.asarray(part)[-1]) for part in sequence))
