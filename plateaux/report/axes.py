"""The swept settings of a sweep as axes, and its grid points as cells between them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MEANINGLESS = "–"  # a setting that does not belong to the point's choice


class Facet(NamedTuple):
    """Grid points laid out over two swept settings, all others fixed.

    Attributes:
        title: The fixed settings in words; empty if there are none.
        rows: Name of the vertical axis, and its R entries from below.
        columns: Name of the horizontal axis, and its C entries from the left.
        points: Number of the grid point of each cell, −1 where there is none,
            shape (R, C).
    """

    title: str
    rows: tuple[str, list[Any]]
    columns: tuple[str, list[Any]]
    points: np.ndarray


def coordinates(dataset: Any) -> dict[str, list[Any]]:
    """The swept settings, "table.leaf" to the value at every grid point.

    In the order of the grid: the last varies fastest along the points.
    """
    found = {
        str(name): [_value(v) for v in coordinate.values.tolist()]
        for name, coordinate in dataset.coords.items()
        if coordinate.dims == ("point",) and "." in str(name)
    }
    # A store keeps no order of its coordinates.
    return dict(sorted(found.items(), key=lambda item: -_first_change(item[1])))


def facets(swept: Mapping[str, Sequence[Any]]) -> list[Facet]:
    """Lay the grid points out over two swept settings, once for each rest of them.

    Numerical settings are taken before others, and the grid's first before later ones.

    Args:
        swept: Swept settings, name to the value at every grid point.

    Returns:
        One facet for each combination of the other settings; none if fewer than two
        settings have several values.
    """
    entries = {name: _entries(values) for name, values in swept.items()}
    several = [name for name in entries if len(entries[name]) > 1]
    chosen = sorted(several, key=lambda name: not _numerical(entries[name]))[:2]
    if len(chosen) < 2:
        return []
    row, column = sorted(chosen, key=several.index)
    rest = [name for name in several if name not in chosen]
    cells: dict[str, np.ndarray] = {}
    for point in range(len(swept[row])):
        title = ", ".join(f"{name}={swept[name][point]}" for name in rest)
        shape = len(entries[row]), len(entries[column])
        table = cells.setdefault(title, np.full(shape, -1))
        i, j = (entries[name].index(swept[name][point]) for name in (row, column))
        table[i, j] = point
    axes = (row, entries[row]), (column, entries[column])
    return [Facet(title, *axes, table) for title, table in cells.items()]


def batches(swept: Mapping[str, Sequence[Any]], count: int, most: int) -> list[range]:
    """Neighbouring grid points in parts of at most `most`, cut along the last axes.

    Args:
        swept: Swept settings, the last one varying fastest along the points.
        count: Number of grid points.
        most: Largest number of points of a part.

    Returns:
        Consecutive ranges of points: one if all fit, else whole blocks of the settings
        that vary fastest, else parts of `most`.
    """
    if count <= most:
        return [range(count)]
    block = 1
    for values in reversed(list(swept.values())):
        if block * len(_entries(values)) > most:
            break
        block *= len(_entries(values))
    size = most if block == 1 or count % block else block
    return [range(i, min(i + size, count)) for i in range(0, count, size)]


def _first_change(values: Sequence[Any]) -> int:
    """The first point whose value is not that of the point before."""
    changed = (i for i in range(1, len(values)) if values[i] != values[i - 1])
    return next(changed, len(values))


def _entries(values: Sequence[Any]) -> list[Any]:
    """Distinct values: numbers in increasing order, words as they come."""
    found = list(dict.fromkeys(values))
    return sorted(found) if _numerical(found) else found


def _numerical(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _value(value: Any) -> Any:
    return MEANINGLESS if value == "" or value != value else value
