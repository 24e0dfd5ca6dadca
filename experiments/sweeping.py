"""A sweep as an experiment: its TOML file, what is stored, its groups in numbers."""

import re
import shutil
from pathlib import Path

import numpy as np
from drawing import save

import plateaux as px
from plateaux.report import groups
from plateaux.report.words import hidden_units

QUARTILES = ("25 %", "50 %", "75 %")
FEW = 8


def specification(script: str, **tables: dict) -> px.sweeps.SweepSpec:
    """That of the TOML file beside a script, with other entries in its tables."""
    entries = px.sweeps.read_spec(Path(script).with_suffix(".toml")).to_dict()
    for name, table in tables.items():
        entries[name] |= table
    return px.sweeps.SweepSpec.from_dict(entries)


def swept(spec: px.sweeps.SweepSpec, folder: Path) -> px.sweeps.Sweep:
    """Run the sweep, or go on with the same one where it was interrupted.

    A finished one is run again: other code may have made it.
    """
    if folder.exists():
        try:
            found = px.sweeps.status(folder)
            begun = found.spec_hash == spec.hash and not found.complete
        except px.sweeps.SweepError:
            begun = False
        if not begun:
            shutil.rmtree(folder)
    px.sweep(spec, folder)
    return px.sweeps.open_sweep(folder)


def by_point(sweep: px.sweeps.Sweep) -> list[groups.Group]:
    """The lanes of every grid point, as the report sums them up."""
    bounds = sweep.manifest["proven_bounds"]
    accuracy = sweep.spec.to_dict()["recording"].get("accuracy")
    return [
        groups.group(sweep.dataset, i, hidden_units(point.settings), bounds, accuracy)
        for i, point in enumerate(sweep.points)
    ]


def numbers(of: groups.Group) -> dict:
    """What a sweep claims of one group; intervals are [estimate, low, high]."""
    found = {by: groups.summary(of, by) for by in of.tables}
    one = next(iter(found.values()))
    quartiles = one.final_loss.estimate.tolist()
    return {
        "outcomes": one.outcomes,
        "last loss": dict(zip(QUARTILES, quartiles, strict=True)),
        "median last loss": [float(part[1]) for part in one.final_loss],
        "dead networks": interval(one.dead),
        "plateaus a run": {by: each.num_plateaus_mean for by, each in found.items()},
        "median dwell": {by: interval(each.median_dwell) for by, each in found.items()},
    }


def interval(of: px.statistics.Interval | None) -> list[float] | None:
    """[estimate, low, high], None if there is none."""
    return None if of is None else [float(np.ravel(part)[0]) for part in of]


def tell(found: dict[str, dict]) -> None:
    """The groups in words."""
    for label, each in found.items():
        median, low, high = each["median dwell"][groups.LATER] or [np.nan] * 3
        print(
            f"{label or 'all'}: median last loss {each['last loss']['50 %']:.4g}; "
            f"after the first one {each['plateaus a run'][groups.LATER]:.3g} plateaus "
            f"a run by slope, median dwell {median:.4g} ({low:.4g} to {high:.4g})"
        )


def draw(points: list[groups.Group], path: Path) -> None:
    """How long plateaus by slope last after the first one.

    One curve a group, of groups with at least FEW plateaus.
    """
    import matplotlib.pyplot as plt

    curves = {}
    for of in points:
        found = groups.summary(of, groups.LATER)
        if found.dwell is not None and found.pooled_plateaus >= FEW:
            curves[re.sub(r"\w+\.name=", "", of.label)] = found.dwell
    if not curves:
        return
    fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
    px.plot.survival_curves(curves, time_unit=points[0].time_unit, ax=ax)
    save(fig, path)


def study(script: str, spec: px.sweeps.SweepSpec, view: bool, out: Path) -> dict:
    """Run the sweep into out/sweep, report, print and draw it."""
    sweep = swept(spec, out / "sweep")
    page = px.report.report(sweep.directory, out / "report.html", view=view)
    points = by_point(sweep)
    found = {of.label: numbers(of) for of in points}
    tell(found)
    draw(points, out / f"{Path(script).stem}.png")
    print(f"report: {page}")
    return found
