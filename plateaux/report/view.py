"""One run with a slider for time: which run, and the section that shows it."""

import importlib.resources
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ..sweeps import Sweep, SweepError, replay
from ..sweeps.lanes import make_network, make_problem
from . import figures
from .frames import Shown, as_json, shown
from .groups import DEFINITIONS, FINE, LATER, Group, plateaus_of_lane, typical_lanes
from .html import Markup, figure, section, tag
from .words import number

TITLE = "One run along time"
SCRIPT = "view.js"
MOST_BYTES = 2**30  # of networks that a replay keeps


class Choice(NamedTuple):
    """A lane to look at.

    Attributes:
        of: Its grid point.
        lane: Its number.
        by: The definition whose plateaus are shaded, or None.
        why: Why this one, in words.
    """

    of: Group
    lane: int
    by: str | None
    why: str


def telling_lane(groups: Sequence[Group]) -> Choice | None:
    """The lane with the median dwell, of the first grid point with plateaus.

    Among the pooled lanes with plateaus, the one whose longest dwell is the lower
    median; by plateaus that begin after time 0 if there are any. Without plateaus it
    is the lane with the median last loss, and None if no lane is stored.
    """
    for by in (LATER, *DEFINITIONS):
        for of in groups:
            longest = _longest_dwells(of, by)
            if longest.size:
                place = np.argsort(longest, kind="stable")[(longest.size - 1) // 2]
                lane = int(_with_plateaus(of, by)[place])
                why = (
                    "its longest dwell is the median over the lanes of this grid point "
                    f"that have plateaus (definition: {by})"
                )
                return Choice(of, lane, _table(by), why)
    for of in groups:
        for name, lane in reversed(typical_lanes(of).items()):
            if name == "median":
                return Choice(of, lane, None, "its last loss is the median")
        if len(of.lanes):
            return Choice(of, int(of.lanes[0]), None, "it is the first that is stored")
    return None


def chosen_lane(groups: Sequence[Group], point: Any, lane: Any) -> Choice | None:
    """The lane asked for, what is not asked for being chosen.

    Args:
        groups: All grid points.
        point: Number or label of a grid point, or None.
        lane: Number of a lane, or None.

    Returns:
        The choice; None if no lane is stored.

    Raises:
        SweepError: If there is no such grid point, or the lane is not stored.
    """
    if point is None and lane is None:
        return telling_lane(groups)
    some = list(groups) if point is None else [_find(groups, point)]
    if lane is None:
        return telling_lane(some)
    of = some[0]
    if lane not in of.lanes.tolist():
        raise SweepError(
            f"Argument `lane` must be a stored lane of grid point {of.label}, which "
            f"has {len(of.lanes)} of them, but is {lane!r}."
        )
    by = next((b for b in DEFINITIONS if b in of.tables), None)
    return Choice(of, int(lane), by, "it was asked for")


def view(sweep: Sweep, groups: Sequence[Group], choice: Choice | None) -> Markup:
    """The section: a run with a slider, or a sentence why it cannot be shown.

    Args:
        sweep: The stored sweep.
        groups: Its grid points.
        choice: The lane.

    Returns:
        HTML, with the script and the numbers in it.
    """
    if choice is None:
        return Markup()
    point = [of is choice.of for of in groups].index(True)
    settings, precision = sweep.points[point].settings, sweep.spec.precision
    try:
        problem = make_problem(settings["problem"], precision)
        _check_size(sweep.spec.chunk, settings, problem, precision)
        run = replay(sweep.directory, point, choice.lane)
    except (SweepError, ValueError, OSError) as error:
        words = f"Lane {choice.lane} of {choice.of.label} cannot be shown: {error}"
        return section(TITLE, tag("p", words, class_="notice", role="note"))
    return render(choice, shown(problem, run))


def render(choice: Choice, what: Shown) -> Markup:
    """The section of a run that was trained again.

    Args:
        choice: The lane.
        what: Its networks, evaluated.

    Returns:
        HTML.
    """
    of, lane, by = choice.of, choice.lane, choice.by
    table = _no_plateaus() if by is None else plateaus_of_lane(of, by, lane)
    png = figures.run(what, table, of.time_unit)
    numbers = as_json(what, table, of.time_unit)
    told = json.dumps(numbers, separators=(",", ":"), allow_nan=False)
    where = f"Lane {lane} of {of.label}"
    still = figure(png, f"{where}: the whole run.", _static_words(what), width=60)
    return section(
        TITLE,
        tag("p", f"{where}, shown because {choice.why}. ", *_notes(choice, what)),
        tag("div", id="run-view", class_="run"),
        tag("noscript", still),
        tag("p", _words(what, by), class_="caption"),
        # No "<" in a string ends the script early.
        tag(
            "script",
            Markup(told.replace("<", "\\u003c")),
            type="application/json",
            id="run-data",
        ),
        tag("script", Markup(_script())),
    )


def _check_size(chunk: int, settings: Any, problem: Any, precision: str) -> None:
    """Refuse a lane whose chunk has more networks than fit into memory."""
    shape = (problem.in_dim, problem.out_dim, precision)
    draw = lambda key: make_network(key, settings, *shape)
    leaves = jax.tree.leaves(jax.eval_shape(draw, jax.random.key(0)))
    one = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    size = one * chunk * settings["recording"]["num_times"]
    if size > MOST_BYTES:
        raise SweepError(
            f"the networks of its chunk must fit into {MOST_BYTES / 1e9:.3g} GB at all "
            f"saved times, but take {size / 1e9:.3g} GB; a smaller chunk or num_times "
            "does."
        )


def _script() -> str:
    place = importlib.resources.files("plateaux.report")
    return place.joinpath(SCRIPT).read_text("utf-8")


def _longest_dwells(of: Group, by: str) -> np.ndarray:
    """The longest dwell of every lane of `_with_plateaus`."""
    if by not in of.tables:
        return np.zeros(0)
    table, rows = of.tables[by], np.isin(of.lanes, _with_plateaus(of, by))
    used = np.arange(table["dwell"].shape[1]) < table["count"][:, None]
    return np.where(used, table["dwell"], 0.0)[rows].max(axis=1, initial=0.0)


def _with_plateaus(of: Group, by: str) -> np.ndarray:
    pooled = np.isin(of.outcomes, FINE)
    return of.lanes[pooled & (of.tables[by]["count"] > 0)]


def _table(by: str) -> str:
    return "slope" if by == LATER else by


def _find(groups: Sequence[Group], point: Any) -> Group:
    for i, of in enumerate(groups):
        if point in (i, of.label):
            return of
    raise SweepError(
        f"Argument `point` must be a number from 0 to {len(groups) - 1} or a point's "
        f"label, such as {groups[0].label!r}, but is {point!r}."
    )


def _no_plateaus() -> tuple[np.ndarray, ...]:
    return np.zeros(0), np.zeros(0), np.zeros(0, bool)


def _notes(choice: Choice, what: Shown) -> list[str]:
    """What a reader must know before believing the picture."""
    of, notes = choice.of, []
    stored = of.final[of.lanes.tolist().index(choice.lane)]
    last = np.array([stored, what.losses[-1]])
    if not (np.array_equal(*last[:, None]) or np.allclose(*last, rtol=1e-6)):
        notes.append(
            f"Trained again here its last loss is {number(last[1])}, but the stored "
            f"one is {number(last[0])}: versions or device have changed. "
        )
    shown_of = (("neurons", len(what.neurons), what.width),)
    shown_of += (("data", len(what.data), what.num_data),)
    for name, some, every in shown_of:
        if some < every:
            notes.append(f"{some} of {every} {name} are shown. ")
    return notes


def _words(what: Shown, by: str | None) -> str:
    first = (
        "Outputs against targets; on the diagonal they agree."
        if what.x is None
        else "The function and the data; dots and pale lines are kinks."
        if what.kinks is not None
        else "The function and the data."
    )
    loss = "The loss" + ("." if by is None else f", plateaus by {by} shaded.")
    raster = "Activations: coloured where a datum (across) switches a neuron (up) on."
    paths = "" if what.kinks is None else " Where the kinks go, data as pale lines."
    return (
        f"{first} {loss} {raster}{paths} Move the slider, or press the arrow keys; "
        "#t=2.5 at the end of the page's address opens it at that time."
    )


def _static_words(what: Shown) -> str:
    more = "" if what.x is None else ", the function at several times"
    return (
        f"The run as a whole (the slider needs JavaScript): its loss{more}, and its "
        "activations."
    )
