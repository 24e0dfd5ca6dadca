"""How far two definitions of a plateau agree, lane by lane."""

from typing import NamedTuple

import numpy as np

from . import _samples
from ._samples import Interval
from .proportions import wilson


class LanePlateaus(NamedTuple):
    """Plateaus of the pooled lanes, those of one lane after those of another."""

    start: np.ndarray
    end: np.ndarray
    censored: np.ndarray
    count: np.ndarray
    overflowed: int


class Agreement(NamedTuple):
    """How far two definitions agree, lane by lane.

    Attributes:
        first: One definition.
        second: The other.
        both: Share of lanes where both find a plateau, with its Wilson interval.
        kappa: Cohen's κ of "the lane has a plateau"; NaN if both say the same of
            all lanes, where chance alone gives full agreement.
        overlap: Mean over lanes of the Jaccard index of the time on a plateau, with
            Student's interval cut to [0, 1]; None if no lane has a plateau.
        overlap_lanes: Lanes with a plateau by at least one of the two, over which
            that mean is taken.
    """

    first: str
    second: str
    both: Interval
    kappa: float
    overlap: Interval | None
    overlap_lanes: int


def agreement(
    first: str, second: str, a: LanePlateaus, b: LanePlateaus, confidence: float
) -> Agreement:
    """How far two definitions agree on the same lanes.

    Args:
        first: Name of one definition.
        second: Name of the other.
        a: The plateaus of the one.
        b: Those of the other.
        confidence: Two-sided coverage of the intervals.

    Returns:
        The agreement.
    """
    in_a, in_b = a.count > 0, b.count > 0
    both = int(np.sum(in_a & in_b))
    jaccard = _jaccard(a, b)
    jaccard = jaccard[~np.isnan(jaccard)]
    return Agreement(
        first=first,
        second=second,
        both=wilson(both, in_a.size, confidence=confidence),
        kappa=_kappa(in_a, in_b),
        overlap=(
            _samples.cut(_samples.mean_interval(jaccard, confidence), 1.0)
            if jaccard.size
            else None
        ),
        overlap_lanes=jaccard.size,
    )


def _kappa(a: np.ndarray, b: np.ndarray) -> float:
    chance = np.mean(a) * np.mean(b) + np.mean(~a) * np.mean(~b)
    if chance == 1:
        return float("nan")
    return float((np.mean(a == b) - chance) / (1 - chance))


def _jaccard(a: LanePlateaus, b: LanePlateaus) -> np.ndarray:
    """|A ∩ B|/|A ∪ B| of each lane; NaN where neither has a plateau of any length."""
    shared = np.array(
        [_shared(*of) for of in zip(*_by_lane(a), *_by_lane(b), strict=True)]
    )
    lengths = [
        np.array(
            [
                float(np.sum(end - start))
                for start, end in zip(*_by_lane(of), strict=True)
            ]
        )
        for of in (a, b)
    ]
    union = lengths[0] + lengths[1] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), np.nan)


def _by_lane(of: LanePlateaus) -> tuple[list[np.ndarray], list[np.ndarray]]:
    edges = np.cumsum(of.count)[:-1]
    return np.split(of.start, edges), np.split(of.end, edges)


def _shared(start_a, end_a, start_b, end_b) -> float:
    """Length of the intersection: time on a plateau by A while B is on one."""
    if not start_a.size or not start_b.size:
        return 0.0
    # Time spent in A grows with slope 1 on its plateaus and stands still between.
    times = np.stack([start_a, end_a], 1).ravel()
    spent = np.cumsum(np.stack([np.zeros(start_a.size), end_a - start_a], 1))
    at_end, at_start = (np.interp(at, times, spent) for at in (end_b, start_b))
    return float(np.sum(at_end - at_start))
