"""The sections of a report: each a function of groups, or of what was run."""

from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import Any

import numpy as np

from .. import __version__
from ..statistics import PlateauSummary
from . import figures
from .groups import FINE, LATER, Group
from .html import Markup, definitions, figure, section, table, tag
from .words import interval, meaning, number, setting

Summaries = Mapping[str, PlateauSummary]

HOW_COUNTED = (
    (
        "Lanes",
        "Only stored lanes are counted. Plateaus are pooled over the lanes that "
        "completed; last losses and dead networks are over all stored lanes, with "
        "loss ∞ for a lane that diverged.",
    ),
    (
        "Dwells",
        "Kaplan-Meier survival curves (Kaplan & Meier 1958), so that plateaus still "
        "running at the end count for as long as they were seen; Greenwood's variance "
        "on the log-log scale. ∞: half of the plateaus outlast what was seen. "
        "Several plateaus of one lane are treated as independent.",
    ),
    ("Proportions", "Wilson score intervals (Wilson 1927)."),
    (
        "Quantiles",
        "Values that occurred (no interpolation), with distribution-free intervals "
        "from order statistics (David & Nagaraja 2003, 7.1).",
    ),
    (
        "Dead network",
        "At the end, no datum activates any hidden neuron.",
    ),
    (
        "Proven bound",
        "No network of the grid point can have a smaller loss: that of the best fit by "
        "n + 1 separate lines, n the width (Bellman & Roth 1969). Known for two-layer "
        "ReLU networks with one input and the squared loss.",
    ),
    ("Intervals", "Brackets hold 95 % intervals, each for itself."),
)


def progress(groups: Sequence[Group], directory: str, enough: bool) -> Markup:
    """How much of the sweep is stored, with a notice if more is wanted."""
    stored = sum(len(group.lanes) for group in groups)
    planned = sum(group.planned for group in groups)
    if stored == planned:
        return tag("p", f"Finished: all {planned} lanes are stored.")
    if enough:
        words = f"Finished: {stored} of at most {planned} lanes were enough (see stop)."
        return tag("p", words)
    words = (
        f"Partly finished: {stored} of {planned} lanes are stored, and every number "
        f"below is about these. `plateaux sweep resume {quote(directory)}` trains the "
        "others."
    )
    return tag("p", words, class_="notice", role="note")


def what_was_run(spec: Mapping[str, Any], groups: Sequence[Group]) -> Markup:
    """The specification as a table; leaves with several values make the grid."""
    rows = [(key, setting(value)) for key, value in spec.items()]
    units = " or ".join(dict.fromkeys(group.time_unit for group in groups))
    return section(
        "What was run",
        table("Several values of a setting make the grid.", ("", "settings"), rows),
        tag("p", f"Unit of time: {units}."),
    )


def headline(groups: Sequence[Group], summaries: Sequence[Summaries]) -> Markup:
    """Numbers of every grid point."""
    lanes = table(
        "Lanes, outcomes and losses",
        (
            "grid point",
            "stored lanes",
            "outcomes",
            "dead networks",
            "last loss: median",
            "last loss: quartiles",
            "proven bound (median over it)",
        ),
        map(_lane_row, groups, summaries),
        class_="numbers",
    )
    plateaus = table(
        "Plateaus",
        (
            "grid point",
            "definition",
            "plateaus a lane: mean",
            "quartiles",
            "raw mean",
            "median dwell",
            "plateaus (still running)",
            "lanes pooled (table too small)",
        ),
        (
            _plateau_row(group, by, numbers)
            for group, of in zip(groups, summaries, strict=True)
            for by, numbers in of.items()
        ),
        class_="numbers",
    )
    return section("Numbers", lanes, plateaus, *_overflows(summaries))


def pictures(groups: Sequence[Group], summaries: Sequence[Summaries]) -> Markup:
    """One picture a grid point."""
    parts = []
    for group, of in zip(groups, summaries, strict=True):
        parts.append(tag("h3", group.label))
        if not len(group.lanes):
            parts.append(tag("p", "No lane of this grid point is stored yet."))
            continue
        curves = {f"by {by}": s.dwell for by, s in of.items() if s.dwell is not None}
        shaded = next(iter(of), None)
        png = figures.overview(group, curves, shaded)
        parts.append(figure(png, *_told(group, curves, shaded), width=66))
    return section("Grid point by grid point", *parts)


def definitions_used(
    groups: Sequence[Group], settings: list[Mapping[str, Mapping[str, Any]]]
) -> Markup:
    """What counts as a plateau, and how the numbers were made."""
    found = dict.fromkeys(by for group in groups for by in group.tables)
    meanings = [(f"Plateau by {by}", meaning(by, settings)) for by in found]
    return section("Definitions", definitions([*meanings, *HOW_COUNTED]))


def provenance(manifest: Mapping[str, Any]) -> Markup:
    """Versions, devices and git state of every start of the sweep."""
    runs = manifest.get("runs") or [{}]
    names = dict.fromkeys(name for run in runs for name in run.get("versions", {}))
    keys = ("started", "platform", "device", "num_devices", "num_cores")
    rows = [(key, *(run.get(key, "–") for run in runs)) for key in keys]
    rows += [
        (name, *(run.get("versions", {}).get(name) or "–" for run in runs))
        for name in names
    ]
    head = ("", *(f"start {i}" for i in range(1, len(runs) + 1)))
    told = [
        (key, _plain(manifest[key]))
        for key in ("spec_hash", "precision", "chunk", "started", "finished", "git")
        if key in manifest
    ]
    data = [
        (f"data of {label}", f"SHA-256 {digest}")
        for label, digest in manifest.get("data", {}).items()
    ]
    return section(
        "Versions and device",
        table("Every start of the sweep", head, rows),
        table("Manifest", ("entry", "value"), told + data),
    )


def reproduce(toml: str, directory: str, version: str | None) -> Markup:
    """The commands and the specification that give this page again, and a citation."""
    release = f"=={version}" if version else ""
    commands = (
        f"pip install 'plateaux[all]{release}'\n"
        f"plateaux sweep run spec.toml --out {quote(directory)}\n"
        f"plateaux report {quote(directory)}"
    )
    cite = (
        "The plateaux authors. plateaux: how neural networks train, and why the loss "
        f"stands still. Version {version or __version__}, Apache-2.0. Give the "
        "specification's hash (spec_hash above) with any number from this page."
    )
    return section(
        "Reproduce and cite",
        tag("p", "Save the specification below as spec.toml, then:"),
        tag("pre", commands),
        tag("pre", toml),
        tag("p", cite),
    )


def _plain(value: Any) -> str:
    return "–" if value is None else setting(value)


def _lane_row(group: Group, of: Summaries) -> Sequence[Any]:
    stored = f"{len(group.lanes)} of {group.planned}"
    bound = "–" if group.bound is None else number(group.bound)
    if not of:
        return group.label, stored, "–", "–", "–", "–", bound
    numbers = next(iter(of.values()))
    outcomes = ", ".join(f"{n} {word}" for word, n in numbers.outcomes.items())
    quartiles = numbers.final_loss.estimate
    return (
        group.label,
        stored,
        outcomes,
        interval(numbers.dead, percent=True),
        interval(numbers.final_loss, 1),
        f"{number(quartiles[0])} to {number(quartiles[2])}",
        f"{bound} ({number(quartiles[1] / group.bound)})" if group.bound else bound,
    )


def _plateau_row(group: Group, by: str, of: PlateauSummary) -> Sequence[Any]:
    if of.num_plateaus is None or of.num_plateaus_mean is None:
        return group.label, by, "–", "–", "–", "–", "–", "0"
    raw = group.tables[by].get("raw_count")
    quartiles = of.num_plateaus.estimate
    return (
        group.label,
        by,
        number(of.num_plateaus_mean),
        " / ".join(map(number, quartiles)),
        "–" if raw is None else number(raw[np.isin(group.outcomes, FINE)].mean()),
        interval(of.median_dwell),
        f"{of.pooled_plateaus} ({of.censored_plateaus})",
        f"{of.pooled_lanes} ({of.overflowed})",
    )


def _overflows(summaries: Sequence[Summaries]) -> Iterable[Markup]:
    """A notice for every definition whose tables were too small for some lanes."""
    for by in dict.fromkeys(by for of in summaries for by in of):
        numbers = [of[by] for of in summaries if by in of]
        lost = sum(n.overflowed for n in numbers)
        pooled = sum(n.pooled_lanes for n in numbers)
        if lost and by != LATER:
            words = (
                f"In {lost} of {pooled} pooled lanes more happened than the tables of "
                f"plateaus by {by} hold. Only the first plateaus are counted there: "
                "their number is a lower bound, and dwells are those of early ones. "
                "Raise max_plateaus or max_events."
            )
            yield tag("p", words, class_="notice", role="note")


def _told(group: Group, curves, shaded) -> tuple[str, str]:
    """Alternative text and caption of a grid point's picture."""
    medians = ", ".join(curves) or "none"
    alt = (
        f"Pictures of {group.label}: the loss of {len(group.lanes)} "
        f"lanes against log time; survival curves of dwells ({medians})"
    )
    caption = (
        "Median and quantiles of the loss over lanes; share of plateaus that last "
        "longer than a time, by definition, with ticks where plateaus were still "
        "running, and the number at risk"
    )
    if group.losses is None:
        return f"{alt}.", f"{caption}. Losses of single lanes are not stored."
    alt += "; the loss of typical lanes."
    caption += (
        ". Below: the lanes whose last loss is the median and the 10 % and 90 % "
        "quantiles"
    )
    shade = f"; plateaus by {shaded} shaded, hatched if still running."
    return alt, caption + ("." if shaded is None else shade)
