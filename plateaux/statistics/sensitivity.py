"""Do conclusions depend on what is called a plateau? Definitions on the same lanes."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from . import _samples
from ._samples import Interval
from .agreement import Agreement, LanePlateaus, agreement
from .proportions import wilson
from .restricted_mean import restricted_mean
from .survival import kaplan_meier, median_survival

_COLUMNS = ("start", "end", "censored", "count")


class DefinitionRow(NamedTuple):
    """Plateaus of the pooled lanes by one definition.

    Attributes:
        definition: Its name.
        with_plateau: Share of lanes with a plateau, with its Wilson interval.
        num_plateaus: Mean number of plateaus of a lane, with Student's interval.
        overflowed: Lanes with more plateaus than their table holds.
        pooled_plateaus: Number of plateaus of all lanes.
        censored: Share of these still running at the end, with its Wilson interval;
            None without a plateau, like all that follows.
        median_dwell: Median dwell with its interval; inf if it is not reached.
        restricted_mean: Mean dwell up to the horizon with its interval; None too if
            the longest dwell is censored before the horizon.
    """

    definition: str
    with_plateau: Interval
    num_plateaus: Interval
    overflowed: int
    pooled_plateaus: int
    censored: Interval | None
    median_dwell: Interval | None
    restricted_mean: Interval | None


class SensitivityTable(NamedTuple):
    """Definitions of a plateau compared on the same lanes; `print` shows it as text.

    Attributes:
        lanes: Number of lanes.
        pooled_lanes: Lanes that enter the numbers.
        horizon: τ of the restricted means.
        rows: One a definition.
        agreements: One a pair of definitions.
    """

    lanes: int
    pooled_lanes: int
    horizon: float
    rows: tuple[DefinitionRow, ...]
    agreements: tuple[Agreement, ...]

    def __str__(self) -> str:
        head = ["definition", "with plateau", "plateaus", "censored"]
        head += ["median dwell", f"mean up to {self.horizon:g}"]
        rows = [
            [row.definition, *map(_words, (row.with_plateau, row.num_plateaus))]
            + [*map(_words, (row.censored, row.median_dwell, row.restricted_mean))]
            for row in self.rows
        ]
        text = [f"{self.pooled_lanes} of {self.lanes} lanes", _aligned([head, *rows])]
        pairs = [
            [f"{of.first}, {of.second}", _words(of.both), f"{of.kappa:.3g}"]
            + [_words(of.overlap)]
            for of in self.agreements
        ]
        if pairs:
            text.append(_aligned([["pair", "both", "kappa", "overlap"], *pairs]))
        return "\n\n".join(text)


def sensitivity_table(
    tables: Mapping[str, Any],
    *,
    horizon: Any,
    outcomes: Any,
    pool: Sequence[str] = ("completed",),
    confidence: float = 0.95,
) -> SensitivityTable:
    r"""Compare several definitions of a plateau on the same lanes.

    Each definition gets a row: how many lanes have a plateau, how many plateaus, how
    long they last, how many are censored; and each pair of definitions its
    agreement. For one lane with times A and B on a plateau by the two definitions,
    the Jaccard index is |A ∩ B|/|A ∪ B|, lengths in units of time: 1 if they mark the
    same, 0 if nothing in common. It is not log time: long plateaus count most. With
    p_o the share of lanes where the two agree whether there is a plateau, and p_e
    that of two independent definitions with the same shares, κ = (p_o − p_e)/(1 − p_e).

    As in `plateau_summary`, only lanes whose outcome is in `pool` enter, and dwells
    of one lane count as independent.

    Args:
        tables: Definition to its columns: `start` and `end`, floats of shape (B, P),
            and `censored`, Booleans of that shape, in order of time, of which the
            first `count`, integers of shape (B,), are used; perhaps `overflow`,
            Booleans of shape (B,). Other columns may be there: `vars` makes such a
            table of a batch of `px.plateaus`.
        horizon: τ > 0 of the restricted means, in units of time.
        outcomes: The outcome of each lane, a word each, shape (B,).
        pool: Outcomes whose lanes enter.
        confidence: Two-sided coverage of every interval.

    Returns:
        The table.

    Raises:
        TypeError: If a column is of the wrong kind.
        ValueError: If there is no definition, no lane is pooled, a column is missing,
            shapes disagree, or plateaus are not in order.

    Example:
        >>> loose = {"start": [[0.0, 4.0]], "end": [[3.0, 9.0]], "count": [2]}
        >>> strict = {"start": [[1.0, 5.0]], "end": [[3.0, 9.0]], "count": [2]}
        >>> for table in (loose, strict):
        ...     table["censored"] = [[False, True]]
        >>> table = sensitivity_table(
        ...     {"loose": loose, "strict": strict},
        ...     horizon=4.0,
        ...     outcomes=["completed"],
        ... )
        >>> print(table.agreements[0].overlap.estimate)
        0.75

    Reference: Cohen (1960), Educ. Psychol. Meas. 20, 37-46.
    """
    _checks.positive("horizon", horizon)
    words = _samples.words("outcomes", outcomes)
    pooled = np.isin(words, list(pool))
    if not tables or not pooled.any():
        raise ValueError(
            "There must be at least one definition and one pooled lane, but there are "
            f"{len(tables)} definitions and {pooled.sum()} of {pooled.size} lanes with "
            f"outcomes in {tuple(pool)}."
        )
    used = {name: _used(name, of, pooled) for name, of in tables.items()}
    return SensitivityTable(
        lanes=pooled.size,
        pooled_lanes=int(pooled.sum()),
        horizon=float(horizon),
        rows=tuple(
            _row(name, of, float(horizon), confidence) for name, of in used.items()
        ),
        agreements=tuple(
            agreement(a, b, used[a], used[b], confidence)
            for a, b in itertools.combinations(used, 2)
        ),
    )


def _used(name: str, columns: Mapping[str, Any], pooled: np.ndarray) -> LanePlateaus:
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise ValueError(
            f"The table of {name!r} must have the columns {', '.join(_COLUMNS)}, but "
            f"lacks {', '.join(missing)}."
        )
    start = _samples.floats(f"{name}.start", columns["start"], ("B", "P"))
    end = _samples.floats(f"{name}.end", columns["end"], ("B", "P"))
    _samples.same_shape(f"{name}.end", end, start.shape)
    censored = _samples.booleans(f"{name}.censored", columns["censored"], start.shape)
    count = _samples.integers(f"{name}.count", columns["count"])
    _samples.same_shape(f"{name}.count", count, pooled.shape)
    _samples.rows_used(f"{name}.count", count, start.shape)
    inside = pooled[:, None] & (np.arange(start.shape[1]) < count[:, None])
    overflow = columns.get("overflow", np.zeros(pooled.shape, bool))
    overflow = _samples.booleans(f"{name}.overflow", overflow, pooled.shape)
    found = LanePlateaus(
        start=start[inside],
        end=end[inside],
        censored=censored[inside],
        count=count[pooled],
        overflowed=int(overflow[pooled].sum()),
    )
    _in_order(name, found)
    return found


def _in_order(name: str, of: LanePlateaus) -> None:
    lane = np.repeat(np.arange(of.count.size), of.count)
    follows = lane[1:] == lane[:-1]
    if (
        not np.all(np.isfinite(of.start) & np.isfinite(of.end))
        or np.any(of.end < of.start)
        or np.any(follows & (of.start[1:] < of.end[:-1]))
    ):
        raise ValueError(
            f"The used plateaus of {name!r} must be finite, in order of time and "
            "disjoint, but are not."
        )


def _row(
    name: str, of: LanePlateaus, horizon: float, confidence: float
) -> DefinitionRow:
    lanes, plateaus = of.count.size, of.start.size
    dwell = of.end - of.start
    shares = {"confidence": confidence}
    median = mean = censored = None
    if plateaus:
        curve = kaplan_meier(dwell, of.censored, confidence=confidence)
        median = median_survival(curve)
        censored = wilson(int(of.censored.sum()), plateaus, **shares)
        if horizon <= curve.end or not of.censored[dwell == curve.end].any():
            mean = restricted_mean(dwell, of.censored, horizon=horizon, **shares)
    return DefinitionRow(
        definition=name,
        with_plateau=wilson(int(np.sum(of.count > 0)), lanes, **shares),
        num_plateaus=_samples.cut(_samples.mean_interval(of.count, confidence), np.inf),
        overflowed=of.overflowed,
        pooled_plateaus=plateaus,
        censored=censored,
        median_dwell=median,
        restricted_mean=mean,
    )


def _words(of: Interval | None) -> str:
    return "-" if of is None else "{:.3g} [{:.3g}, {:.3g}]".format(*map(float, of))


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
