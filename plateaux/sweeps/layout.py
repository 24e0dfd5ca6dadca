"""The variables of a sweep's store: names, dimensions, fill values, units."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .grid import grid
from .lanes import OUTCOMES
from .spec import SweepSpec

LANE = ("point", "lane")
ROW = ("point", "lane", "plateau")


@dataclass(frozen=True)
class Variable:
    """One array of the store.

    Attributes:
        dims: Names of the dimensions.
        dtype: Of the stored numbers.
        fill: What stands where nothing was written yet.
        attrs: Units and long name, in the words of the CF conventions.
    """

    dims: tuple[str, ...]
    dtype: str
    fill: Any
    attrs: Mapping[str, Any] = field(default_factory=dict)


def dimensions(spec: SweepSpec) -> dict[str, int]:
    """Sizes of the store's dimensions; shorter runs of a grid are padded with NaN."""
    sizes = [
        (
            point.settings["recording"]["num_times"],
            point.settings["method"]["num_steps"],
        )
        for point in grid(spec)
    ]
    saved = [min(num_times, num_steps + 1) for num_times, num_steps in sizes]
    return {
        "point": len(sizes),
        "lane": spec.sweep.lanes,
        "time": max(saved),
        "plateau": spec.plateaus.max_plateaus,
    }


def chunk_shape(spec: SweepSpec, variable: Variable) -> tuple[int, ...]:
    """Shape of one chunk file: one batch of lanes of one point."""
    sizes = dimensions(spec) | {"point": 1, "lane": spec.chunk}
    return tuple(sizes[dim] for dim in variable.dims)


def variables(spec: SweepSpec) -> dict[str, Variable]:
    """The arrays that chunks of lanes are written to, by name."""
    floats, nan = spec.precision, float("nan")
    of_lanes = {
        "loss": Variable(
            (*LANE, "time"), floats, nan, {"long_name": "loss", "units": "1"}
        ),
        "times": Variable(
            ("point", "time"),
            floats,
            nan,
            {"long_name": "saved times", "units": "1", "comment": "see time_unit"},
        ),
        "outcome": Variable(LANE, "int8", -1, _outcome_attrs()),
    }
    counts = {
        "num_steps": "steps taken before the run ended",
        "pair_flips": "times a pair (neuron, datum) changed side",
        "pattern_changes": "steps at which the activation pattern changed",
        "dead_neurons": "neurons that no datum activates at the end",
    }
    for name, words in counts.items():
        attrs = {"long_name": words, "units": "1"}
        of_lanes[name] = Variable(LANE, "int32", -1, attrs)
    for by in spec.plateaus.by:
        of_lanes |= {f"{by}_{key}": v for key, v in _table(by, floats).items()}
    done = Variable(LANE, "bool", False, {"long_name": "whether the lane is stored"})
    return of_lanes | {"done": done}


def coordinates(spec: SweepSpec, time_units: list[str]) -> dict[str, np.ndarray]:
    """What names points and lanes: numbers, labels, swept leaves, units of time."""
    points = grid(spec)
    columns = {
        "label": np.array([point.label for point in points], object),
        "time_unit": np.array(time_units, object),
    }
    for path in points[0].coordinates:
        columns[path] = column([point.coordinates[path] for point in points])
    return columns


def names(spec: SweepSpec) -> list[str]:
    """Names of all arrays of the store, coordinates first."""
    return [*coordinates(spec, []), *variables(spec)]


def column(values: list[Any]) -> np.ndarray:
    """Values of one leaf as an array; where it means nothing, NaN or the empty word."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known) and len(known) == len(values):
        return np.array(values, bool)
    if any(isinstance(value, bool | str | tuple) for value in known):
        return np.array(["" if v is None else _words(v) for v in values], object)
    whole = len(known) == len(values) and all(isinstance(v, int) for v in known)
    numbers = [float("nan") if value is None else value for value in values]
    return np.array(numbers, np.int64 if whole else np.float64)


def num_bytes(spec: SweepSpec) -> int:
    """Size of all arrays of the store before compression."""
    sizes = dimensions(spec)
    shapes = [
        [np.dtype(v.dtype).itemsize, *(sizes[dim] for dim in v.dims)]
        for v in variables(spec).values()
    ]
    return sum(int(np.prod(shape, dtype=object)) for shape in shapes)


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_words, value)) + "]"
    return str(value)


def _outcome_attrs() -> dict[str, Any]:
    return {
        "long_name": "why the run ended",
        "flag_values": list(range(len(OUTCOMES))),
        "flag_meanings": " ".join(OUTCOMES),
    }


def _table(by: str, floats: str) -> dict[str, Variable]:
    nan = float("nan")
    rows = {
        "start": (floats, nan, "when the plateau begins", "see time_unit"),
        "end": (floats, nan, "when the plateau ends", "see time_unit"),
        "dwell": (floats, nan, "end minus start", "see time_unit"),
        "level": (floats, nan, "loss at the end of the plateau", None),
        "drop": (floats, nan, "fall of the loss at the exit", None),
        "censored": ("bool", False, "whether it was still running at the end", None),
    }
    numbers = {
        "count": ("int32", -1, "number of plateaus", None),
        "raw_count": ("int32", -1, "number of plateaus before merging", None),
        "overflow": ("bool", False, "whether the table was too small", None),
    }
    every = itertools.chain(
        ((name, ROW, row) for name, row in rows.items()),
        ((name, LANE, row) for name, row in numbers.items()),
    )
    return {
        name: Variable(dims, dtype, fill, _attrs(f"{words}, by {by}", comment))
        for name, dims, (dtype, fill, words, comment) in every
    }


def _attrs(words: str, comment: str | None) -> dict[str, Any]:
    note = {} if comment is None else {"comment": comment}
    return {"long_name": words, "units": "1"} | note
