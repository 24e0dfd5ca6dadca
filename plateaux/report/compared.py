"""The sections of a report that set grid points side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..plot._axes import COLORS
from ..statistics import PlateauSummary
from . import figures
from .axes import Facet, batches, facets
from .groups import LATER, Group, failures, share_with_plateau
from .html import Markup, figure, section, table, tag
from .words import first_numbers

Summaries = Mapping[str, PlateauSummary]
Swept = Mapping[str, Sequence[Any]]
MOST_PICTURES = 8  # of one kind; a page with more of them would not be read
MOST_LANES = 24


def survival(
    groups: Sequence[Group], summaries: Sequence[Summaries], swept: Swept
) -> Markup:
    """Survival curves of the dwells, several grid points a picture, with risk tables.

    A test between the curves, or their restricted means, belongs below each picture.
    """
    parts = list(_survival_pictures(groups, summaries, swept))
    return section("How long plateaus last", *parts) if parts else Markup()


def over_the_grid(
    groups: Sequence[Group], summaries: Sequence[Summaries], swept: Swept
) -> Markup:
    """Heat maps over two swept settings, if there are two."""
    found = facets(swept)
    if not found:
        return Markup()
    shown, statistics = found[:MOST_PICTURES], _statistics(groups, summaries)
    parts = [_heat_maps(facet, statistics) for facet in shown]
    if len(found) > len(shown):
        words = f"The first {len(shown)} of {len(found)} settings of the others."
        parts.insert(0, tag("p", words))
    return section("Over the grid", *parts)


def last_losses(groups: Sequence[Group], swept: Swept) -> Markup:
    """Distributions of the last losses, and how far they are from proven bounds."""
    parts = []
    for some in _parts(groups, swept):
        losses = {of.label: of.losses[:, -1] for of in some if len(of.lanes)}
        ratios = {
            of.label: losses[of.label] / of.bound
            for of in some
            if of.label in losses and of.bound
        }
        if losses:
            png = figures.final_losses(losses, ratios)
            alt = f"Distributions of the last losses of {_and(losses)}."
            caption = (
                "Share of stored lanes that end at or below a loss; a line that stays "
                "below 1 lacks the lanes without a finite loss."
            )
            beside = " Right: the same over the proven bound." if ratios else ""
            parts.append(figure(png, alt, caption + beside, width=66 if ratios else 46))
    return section("Last losses", *parts) if parts else Markup()


def failed(groups: Sequence[Group]) -> Markup:
    """How lanes ended, and the numbers of those that failed, by grid point."""
    counts = {of.label: _tally(of) for of in groups if len(of.lanes)}
    rows = [
        (of.label, word.replace("_", " "), f"{len(lanes)} of {len(of.lanes)}", numbers)
        for of in groups
        for word, lanes in failures(of).items()
        for numbers in [first_numbers(lanes.tolist(), MOST_LANES)]
    ]
    if not rows:
        return section("Failures", tag("p", "No stored lane failed."))
    words = (
        "How the stored lanes of every grid point ended. Failures are counted in the "
        "last losses, as ∞ where no finite loss is left, and not pooled for plateaus."
    )
    picture = figure(figures.outcomes(counts), words, words, width=66)
    head = ("grid point", "outcome", "lanes", "their numbers")
    told = "Lanes that failed. px.sweeps.replay(folder, grid point, lane) trains one "
    lanes = table(told + "again, with its networks.", head, rows)
    return section("Failures", picture, lanes)


def _survival_pictures(groups, summaries, swept) -> Iterable[Markup]:
    definitions = dict.fromkeys(by for of in summaries for by in of)
    parts = _parts(groups, swept)
    for by in definitions:
        for some in parts:
            found = {
                of.label: (of, curve)
                for of, numbers in zip(groups, summaries, strict=True)
                for curve in [numbers[by].dwell if by in numbers else None]
                if curve is not None and any(of is other for other in some)
            }
            units = {of.time_unit for of, _ in found.values()}
            if len(found) > 1 and len(units) == 1:
                yield _survival_picture(found, by)


def _survival_picture(found: Mapping[str, Any], by: str) -> Markup:
    alt = f"Survival curves of the dwells of plateaus by {by}: {_and(found)}."
    caption = (
        f"How long plateaus by {by} last: share of plateaus that last longer than a "
        "time, with 95 % intervals, and ticks where plateaus were still running. "
        "Below the axis, the plateaus that were seen to last so long."
    )
    curves = {name: curve for name, (_, curve) in found.items()}
    groups = {name: of for name, (of, _) in found.items()}
    return figure(figures.comparison(curves, groups, by), alt, caption, width=46)


def _parts(groups: Sequence[Group], swept: Swept) -> list[list[Group]]:
    """Groups that go into one picture, at most one a colour."""
    ranges = batches(swept, len(groups), len(COLORS))
    return [[groups[i] for i in numbers] for numbers in ranges[:MOST_PICTURES]]


def _statistics(groups, summaries) -> dict[str, tuple[list[float], str]]:
    """What heat maps show: label to a number a grid point, and a word for none."""
    known = dict.fromkeys(by for of in summaries for by in of)
    found: dict[str, tuple[list[float], str]] = {}
    pairs = list(zip(groups, summaries, strict=True))
    for by in [LATER] if LATER in known else list(known)[:1]:
        shares = [share_with_plateau(g, by) if by in s else np.nan for g, s in pairs]
        found[f"median dwell of plateaus by {by}"] = (
            [_estimate(s[by].median_dwell) if by in s else np.nan for s in summaries],
            "no plateau",
        )
        found[f"share of lanes with a plateau by {by}"] = shares, "no lane"
    found["median last loss"] = (
        [_median_loss(numbers) for numbers in summaries],
        "no lane",
    )
    found["share of lanes that failed"] = (
        [
            sum(map(len, failures(g).values())) / (len(g.lanes) or np.nan)
            for g in groups
        ],
        "no lane",
    )
    return found


def _heat_maps(facet: Facet, statistics: Mapping[str, tuple[Any, str]]) -> Markup:
    (row, _), (column, _) = facet.rows, facet.columns
    where = f" at {facet.title}" if facet.title else ""
    alt = f"Heat maps over {row} and {column}{where}: {_and(statistics)}."
    caption = (
        f"Statistics of the grid points over {row} and {column}{where}. Hatched: no "
        "such number. ∞: more than half of the plateaus outlast what was seen, or half "
        "of the lanes have no finite last loss."
    )
    return figure(figures.heat_maps(facet, statistics), alt, caption, width=60)


def _median_loss(of: Summaries) -> float:
    return float(next(iter(of.values())).final_loss.estimate[1]) if of else np.nan


def _estimate(interval: Any) -> float:
    return np.nan if interval is None else float(interval.estimate)


def _tally(of: Group) -> dict[str, int]:
    words, numbers = np.unique(of.outcomes, return_counts=True)
    return dict(zip(words.tolist(), numbers.tolist(), strict=True))


def _and(names: Iterable[str]) -> str:
    return "; ".join(names)
