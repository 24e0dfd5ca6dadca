"""The sections of a report that set grid points side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..plot._axes import COLORS
from ..statistics import PlateauSummary, log_rank, restricted_mean
from . import figures
from .axes import Facet, batches, facets
from .groups import LATER, Group, dwells, failures, share_with_plateau
from .html import Markup, figure, join, section, table, tag
from .words import first_numbers, interval, number

Summaries = Mapping[str, PlateauSummary]
Swept = Mapping[str, Sequence[Any]]
MOST_PICTURES = 8  # of one kind; a page with more of them would not be read
MOST_LANES = 24
HOW_TO_READ = tag(
    "p",
    "The share of plateaus that last longer than a time, with 95 % intervals, and "
    "ticks where plateaus were still running. At risk are the plateaus that were seen "
    "to last at least so long. Plateaus count as independent, those of one lane too.",
)
HATCHED = tag(
    "p",
    "Statistics of the grid points over two swept settings. Hatched: there is no such "
    "number. ∞: half of the plateaus outlast what was seen, or half of the lanes have "
    "no finite last loss.",
)


def survival(
    groups: Sequence[Group], summaries: Sequence[Summaries], swept: Swept
) -> Markup:
    """Survival curves of the dwells, several grid points a picture, with risk tables.

    Below each picture stand a test of equal survival and the restricted means.
    """
    parts = [
        part
        for by in dict.fromkeys(by for of in summaries for by in of)
        for part in _survival_pictures(groups, summaries, swept, by)
    ]
    if not parts:
        return Markup()
    drawn = _drawn(groups, swept)
    return section("How long plateaus last", HOW_TO_READ, *drawn, *parts)


def over_the_grid(
    groups: Sequence[Group], summaries: Sequence[Summaries], swept: Swept
) -> Markup:
    """Heat maps over two swept settings, if there are two."""
    found = facets(swept)
    if not found:
        return Markup()
    shown, statistics = found[:MOST_PICTURES], _statistics(groups, summaries)
    parts = [_heat_maps(facet, statistics) for facet in shown]
    parts.insert(0, HATCHED)
    if len(found) > len(shown):
        words = f"The first {len(shown)} of {len(found)} settings of the others."
        parts.insert(0, tag("p", words))
    return section("Over the grid", *parts)


def last_losses(groups: Sequence[Group], swept: Swept) -> Markup:
    """Distributions of the last losses, and how far they are from proven bounds."""
    parts = []
    for numbers in _parts(groups, swept):
        some = [groups[i] for i in numbers if len(groups[i].lanes)]
        color = dict(zip((of.label for of in some), COLORS, strict=False))
        losses = {of.label: of.final for of in some}
        ratios = {of.label: losses[of.label] / of.bound for of in some if of.bound}
        for values, bound, words in (
            (losses, None, "last losses"),
            (ratios, 1.0, "last losses over the proven bound"),
        ):
            if values:
                colors = [color[name] for name in values]
                png = figures.final_losses(values, colors, bound)
                alt = f"Distributions of the {words}: {_and(values)}."
                parts.append(figure(png, alt, "", width=46))
    if not parts:
        return Markup()
    words = (
        "Share of stored lanes that end at or below a loss, and, where a proven bound "
        "is known, at or below so many times the bound. A line that stays below 1 "
        "lacks the lanes without a finite loss."
    )
    pictures = tag("div", *parts, class_="row")
    return section("Last losses", tag("p", words), *_drawn(groups, swept), pictures)


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


def _survival_pictures(groups, summaries, swept, by) -> Iterable[Markup]:
    """Pictures of one definition, side by side under their heading; maybe none."""
    found = []
    for numbers in _parts(groups, swept):
        of = {groups[i].label: groups[i] for i in numbers}
        known = {i: summaries[i][by].dwell for i in numbers if by in summaries[i]}
        curves = {groups[i].label: c for i, c in known.items() if c is not None}
        units = {of[name].time_unit for name in curves}
        if len(curves) > 1 and len(units) == 1:
            png = figures.comparison(curves, of, by)
            alt = f"Survival curves of the dwells of plateaus by {by}: {_and(curves)}."
            words = _tested({name: dwells(of[name], by) for name in curves})
            found.append(figure(png, alt, words, width=46))
    if found:
        yield tag("h3", f"Plateaus by {by}")
        yield tag("div", *found, class_="row")


def _tested(seen: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Log-rank test between groups, and their mean dwells up to a common horizon."""
    durations, censored = (
        np.concatenate(parts) for parts in zip(*seen.values(), strict=True)
    )
    sizes = [len(dwell) for dwell, _ in seen.values()]
    test = log_rank(durations, censored, np.repeat(np.arange(len(sizes)), sizes))
    horizon = min(float(dwell.max()) for dwell, _ in seen.values())
    if horizon <= 0:
        return f"Log-rank test of equal survival: p = {number(test.p_value)}."
    means = [
        f"{name}: {interval(restricted_mean(*of, horizon=horizon))}"
        for name, of in seen.items()
    ]
    return (
        f"Log-rank test of equal survival: p = {number(test.p_value)}. Mean dwell, of "
        f"which at most {number(horizon)} counts: {_and(means)}."
    )


def _parts(groups: Sequence[Group], swept: Swept) -> list[range]:
    """Numbers of the groups that go into one picture, at most one a colour."""
    return batches(swept, len(groups), len(COLORS))[:MOST_PICTURES]


def _drawn(groups: Sequence[Group], swept: Swept) -> list[Markup]:
    """How many of the grid points the pictures show, if not all."""
    shown = sum(map(len, _parts(groups, swept)))
    if shown == len(groups):
        return []
    all_of_them = f"{len(groups)} grid points; the tables have all."
    return [tag("p", f"Drawn are the first {shown} of {all_of_them}")]


def _statistics(groups, summaries) -> dict[str, figures.Statistic]:
    """What heat maps show: title to a number a grid point."""
    known = dict.fromkeys(by for of in summaries for by in of)
    found: dict[str, figures.Statistic] = {}
    pairs = list(zip(groups, summaries, strict=True))
    units = {of.time_unit for of in groups}
    unit = units.pop() if len(units) == 1 else "time"
    whole = 0.0, 1.0
    for by in [LATER] if LATER in known else list(known)[:1]:
        medians = [
            _estimate(s[by].median_dwell) if by in s else np.nan for _, s in pairs
        ]
        shares = [share_with_plateau(g, by) if by in s else np.nan for g, s in pairs]
        statistic = figures.Statistic(medians, unit, "no plateau")
        found[f"median dwell of plateaus by {by}"] = statistic
        statistic = figures.Statistic(shares, "share", "none completed", whole)
        found[f"share of lanes with a plateau by {by}"] = statistic
    losses = [_median_loss(numbers) for numbers in summaries]
    found["median last loss"] = figures.Statistic(losses, "loss", "no lane")
    failed = [sum(map(len, failures(of).values())) for of in groups]
    parts = [
        n / (len(of.lanes) or np.nan) for n, of in zip(failed, groups, strict=True)
    ]
    statistic = figures.Statistic(parts, "share", "no lane", whole)
    found["share of lanes that failed"] = statistic
    return found


def _heat_maps(facet: Facet, statistics: Mapping[str, figures.Statistic]) -> Markup:
    (row, _), (column, _) = facet.rows, facet.columns
    where = f", at {facet.title}" if facet.title else ""
    pictures = [
        figure(
            figures.heat_map(facet, title, one),
            f"Heat map over {row} and {column}{where}: {title}.",
            "",
            width=46,
        )
        for title, one in statistics.items()
    ]
    heading = [tag("h3", facet.title)] if facet.title else []
    return join([*heading, tag("div", *pictures, class_="row")])


def _median_loss(of: Summaries) -> float:
    return float(next(iter(of.values())).final_loss.estimate[1]) if of else np.nan


def _estimate(interval: Any) -> float:
    return np.nan if interval is None else float(interval.estimate)


def _tally(of: Group) -> dict[str, int]:
    words, numbers = np.unique(of.outcomes, return_counts=True)
    return dict(zip(words.tolist(), numbers.tolist(), strict=True))


def _and(names: Iterable[str]) -> str:
    return "; ".join(names)
