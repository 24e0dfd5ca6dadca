"""Numbers and settings in words."""

import inspect
from collections.abc import Mapping
from typing import Any

from ..plot._axes import short_number as number
from ..stages import plateaus
from ..statistics import Interval
from ..sweeps.spec_tables import hidden_widths

MEANING = {
    "slope": "A maximal interval of saved times on which the loss falls slowly on log "
    "axes, |d log L / d log t| < {threshold}, and whose end is at least {min_ratio} "
    "times its start (one that begins at time 0 always is). Start and end are saved "
    "times. The plateau that a run ends on is censored: it lasted at least so long.",
    "slope, later": "A plateau by slope that begins after time 0. Every loss is flat "
    "on log time in the beginning, so nearly every run has a plateau from time 0, "
    "which may only say how fast training began.",
    "pattern": "A maximal interval on which no neuron switches on or off at any datum "
    "(after Ainsworth & Shin 2021), watched at every step. A pair (neuron, datum) that "
    "flips again within {chatter_window} steps counts as sliding along the boundary, a "
    "third state beside on and off; the raw number counts every change. At most "
    "{max_events} changes a lane are kept; what follows is censored.",
}


def interval(of: Interval | None, index: int | None = None, *, percent: bool = False):
    """An estimate and its interval; a dash if there is none."""
    if of is None:
        return "–"
    parts = of if index is None else [part[index] for part in of]
    if percent:
        return "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * part for part in parts))
    return "{} [{}, {}]".format(*map(number, parts))


def first_numbers(numbers: list[int], most: int) -> str:
    """Whole numbers in words, those beyond the first `most` counted."""
    told = ", ".join(map(str, numbers[:most]))
    more = len(numbers) - most
    return f"{told} and {more} more" if more > 0 else told


def meaning(by: str, settings: list[Mapping[str, Mapping[str, Any]]]) -> str:
    """The definition of a plateau with the parameters of all grid points.

    Args:
        by: A definition, a key of `MEANING`.
        settings: Every grid point's tables of the specification.

    Returns:
        Sentences.
    """
    names = ("threshold", "min_ratio", "chatter_window", "max_events")
    used = {name: _used(name, by, settings) for name in names}
    return MEANING[by].format(**used)


def hidden_units(settings: Mapping[str, Mapping[str, Any]]) -> int:
    """Hidden neurons of a grid point's networks, over all layers."""
    return int(sum(hidden_widths(settings["network"])))


def setting(value: Any) -> str:
    """A leaf of a specification: a list as its entries, a table as "key = value"."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} = {setting(v)}" for key, v in _flat(value).items())
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a table, those of a table in it called "inner.key"."""
    leaves = {}
    for key, value in table.items():
        inner = _flat(value) if isinstance(value, Mapping) else None
        leaves |= (
            {key: value}
            if inner is None
            else {f"{key}.{k}": v for k, v in inner.items()}
        )
    return leaves


def _used(name: str, by: str, settings: list[Mapping[str, Mapping[str, Any]]]) -> str:
    """The values of a parameter over the grid, the library's default if not set."""
    parameter = inspect.signature(plateaus).parameters.get(name)
    default = "?" if parameter is None else parameter.default
    found = []
    for point in settings:
        flat = {key: v for table in point.values() for key, v in table.items()}
        found.append(setting(flat.get(f"{by}.{name}", flat.get(name, default))))
    return " or ".join(dict.fromkeys(found))
