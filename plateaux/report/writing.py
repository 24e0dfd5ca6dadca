"""Writing the report of a sweep's folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..sweeps import SweepError, open_sweep
from . import compared, sections
from .axes import coordinates
from .groups import Group, group, summary
from .html import Markup, page
from .view import chosen_lane, view as of_run
from .words import hidden_units

FILE = "report.html"


def report(
    directory: Any,
    out: Any = None,
    *,
    point: Any = None,
    lane: Any = None,
    view: bool = True,
) -> Path:
    """Write the report of a sweep: one HTML page that needs nothing beside itself.

    It says what was run, gives the numbers of every grid point (outcomes, number of
    plateaus, median dwell, dead networks, last losses) with intervals, failures by
    name and lane, survival curves with the numbers at risk, heat maps over two swept
    settings, distributions of last losses, one run with a slider for time, the
    definitions with their parameters, versions, and how to run it again. A sweep
    that is not finished gives a page about the lanes stored so far, and it says so.

    The run with the slider is trained again, with its chunk of lanes. If nothing else
    is asked for, it is the lane with the median dwell of the first grid point with
    plateaus. If it cannot be trained again, the page says why.

    Args:
        directory: The folder of a sweep.
        out: The file to write; `report.html` in the sweep's folder if None.
        point: Number or label of the grid point of the run with the slider.
        lane: Number of its lane.
        view: Whether to show a run with a slider.

    Returns:
        The file.

    Raises:
        SweepError: If the folder holds no sweep, there is no such grid point or lane,
            or the page cannot be written.
        ImportError: If matplotlib, zarr or xarray is not installed.

    Example:
        >>> report("no such folder")
        Traceback (most recent call last):
        plateaux.sweeps.errors.SweepError: ...
    """
    sweep = open_sweep(directory)
    if not sweep.spec.trains:
        raise SweepError(
            f"The sweep of a report must train, but {directory} looks at networks as "
            "they are drawn; px.sweeps.initial_summary sums it up."
        )

    def one_run(groups: Sequence[Group]) -> Markup:
        return of_run(sweep, groups, chosen_lane(groups, point, lane))

    text = render(
        dataset=sweep.dataset,
        settings=[point.settings for point in sweep.points],
        spec=sweep.spec.to_dict(),
        toml=sweep.spec.to_toml(),
        manifest=sweep.manifest,
        directory=str(directory),
        one_run=one_run if view else None,
    )
    file = Path(directory, FILE) if out is None else Path(out)
    _replace(file, text)
    return file


def render(
    *,
    dataset: Any,
    settings: Sequence[Mapping[str, Mapping[str, Any]]],
    spec: Mapping[str, Any],
    toml: str,
    manifest: Mapping[str, Any],
    directory: str,
    one_run: Callable[[Sequence[Group]], Markup] | None = None,
) -> str:
    """The page as text.

    Args:
        dataset: The sweep's `xarray.Dataset`.
        settings: Every grid point's tables of the specification.
        spec: The specification as plain values.
        toml: The specification as TOML.
        manifest: The manifest.
        directory: The sweep's folder, for the commands on the page.
        one_run: From the grid points to the section about one run, or None.

    Returns:
        HTML.
    """
    bounds = manifest.get("proven_bounds", {})
    enough = "stop" in spec and manifest.get("finished") is not None
    accuracy = spec.get("recording", {}).get("accuracy")
    groups = [
        group(dataset, i, hidden_units(s), bounds, accuracy)
        for i, s in enumerate(settings)
    ]
    summaries = [_summaries(of) for of in groups]
    swept = coordinates(dataset)
    version = (manifest.get("runs") or [{}])[-1].get("versions", {}).get("plateaux")
    return page(
        f"Sweep: {spec.get('name', 'sweep')}",
        [
            sections.progress(groups, directory, enough),
            sections.what_was_run(spec, groups),
            sections.headline(groups, summaries),
            compared.failed(groups),
            compared.survival(groups, summaries, swept),
            compared.over_the_grid(groups, summaries, swept),
            compared.last_losses(groups, swept),
            *([] if one_run is None else [one_run(groups)]),
            sections.pictures(groups, summaries),
            sections.definitions_used(groups, list(settings)),
            sections.provenance(manifest),
            sections.reproduce(toml, directory, version),
        ],
    )


def _summaries(of: Group) -> dict[str, Any]:
    return {by: summary(of, by) for by in of.tables} if len(of.lanes) else {}


def _replace(file: Path, text: str) -> None:
    """Write the page as a whole: a reader sees the old one or the new one."""
    partial = file.with_name(file.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise SweepError(
            f"The report must go to a folder that can be written, but {file} cannot: "
            f"{error.strerror or error}."
        ) from error
