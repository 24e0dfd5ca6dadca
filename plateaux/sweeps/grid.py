"""The points of a sweep's grid, and how two specifications differ."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .spec import TABLES, SweepSpec
from .tables import thaw

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Point:
    """One point of the grid: every leaf has one value.

    Attributes:
        index: Place in the grid, from 0.
        settings: Table name to leaf name to value.
        coordinates: Leaves with several values, "table.leaf" to value; None where a
            leaf means nothing for the point's choice.
    """

    index: int
    settings: Settings
    coordinates: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The swept leaves in words."""
        told = {k: v for k, v in self.coordinates.items() if v is not None}
        return ", ".join(f"{k}={thaw(v)}" for k, v in told.items()) or "single point"


def grid(spec: SweepSpec) -> list[Point]:
    """The points of the grid, the last swept leaf varying fastest.

    Args:
        spec: The specification.

    Returns:
        The points, in the order of the store.

    Example:
        >>> spec = SweepSpec(
        ...     name="grid",
        ...     problem={"name": ["sine", "runge"], "num_data": 20},
        ...     network={"width": 5},
        ...     initialiser={"name": "he", "scale": [0.5, 1.0]},
        ...     method={"step_size": 0.01, "num_steps": 100},
        ...     sweep={"lanes": 4},
        ... )
        >>> for point in grid(spec):
        ...     print(point.label)
        problem.name=sine, initialiser.scale=0.5
        problem.name=sine, initialiser.scale=1.0
        problem.name=runge, initialiser.scale=0.5
        problem.name=runge, initialiser.scale=1.0
    """
    tables = {header: getattr(spec, header) for header in TABLES}
    variants = [table.variants() for table in tables.values()]
    rows = [dict(zip(tables, row, strict=True)) for row in itertools.product(*variants)]
    paths = swept(spec)
    return [
        Point(i, row, {path: _look_up(row, path) for path in paths})
        for i, row in enumerate(rows)
    ]


def swept(spec: SweepSpec) -> list[str]:
    """Leaves with more than one value as "table.leaf", in the order of the grid."""
    paths: dict[str, None] = {}
    for header in TABLES:
        table = getattr(spec, header)
        leaves = {key: getattr(table, key) for key in table.keys()}
        for key, value in (leaves | dict(getattr(table, "options", {}))).items():
            nested = isinstance(value, Mapping)
            for name, entry in value.items() if nested else [(key, value)]:
                listed = isinstance(entry, tuple) and len(entry) > 1
                if listed and (header, name) != ("plateaus", "by"):
                    of = header == "plateaus" and nested
                    paths[f"{header}.{key}.{name}" if of else f"{header}.{name}"] = None
    return list(paths)


def find_point(spec: SweepSpec, point: Any) -> Point:
    """The point of that number or label, else a refusal."""
    points = grid(spec)
    for candidate in points:
        if point in (candidate.index, candidate.label):
            return candidate
    raise ValueError(
        f"Argument `point` must be a number from 0 to {len(points) - 1} or a point's "
        f"label, such as {points[0].label!r}, but is {point!r}."
    )


def differences(ours: SweepSpec, theirs: SweepSpec) -> list[tuple[str, Any, Any]]:
    """The leaves in which two specifications differ, with both values (None: absent).

    Args:
        ours: One specification.
        theirs: The other.

    Returns:
        Triples (leaf, our value, their value).
    """
    left, right = _flat(ours.to_dict()), _flat(theirs.to_dict())
    keys = list(left) + [key for key in right if key not in left]
    pairs = [(key, left.get(key), right.get(key)) for key in keys]
    return [(key, a, b) for key, a, b in pairs if json.dumps(a) != json.dumps(b)]


def _look_up(settings: Settings, path: str) -> Any:
    header, key = path.split(".", 1)
    return settings[header].get(key)


def _flat(entries: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in entries.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
