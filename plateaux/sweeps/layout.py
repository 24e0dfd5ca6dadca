"""The variables of a sweep's store: names, dimensions, fill values, units."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dynamics import EventKind
from ..statistics import log_bins
from .grid import Settings, grid
from .initialisation import num_nodes
from .spec import SweepSpec
from .spec_tables import num_layers
from .summary import OUTCOMES

LANE = ("point", "lane")
ROW = ("point", "lane", "plateau")
UNITLESS = {"units": "1"}
_MONITORS = {
    "energy_residual": "L(0) − L(T) − ∫‖dθ/dt‖² dt, 0 for the exact flow",
    "sliding_time": "time with a kink that slides along a datum",
}
_AT_START = {
    "log_forward": "logarithm of rms |h_l| over rms |x|, the output last",
    "log_backward": "logarithm of the norm of dL/dh_l, that by the output last",
    "log_gradient": "logarithm of the norm of the gradient of a layer's parameters",
}
_DENSITY = {
    "density_nodes": "nodes of the spectral density of the Hessian",
    "density_weights": "share of the eigenvalues each node stands for",
}
_EXTREMES = {
    "largest_eigenvalue": "largest eigenvalue of the Hessian",
    "smallest_eigenvalue": "smallest eigenvalue of the Hessian",
}


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
    settings = [point.settings for point in grid(spec)]
    sizes = {
        "point": len(settings),
        "lane": spec.sweep.lanes,
        "time": max(map(_num_saved, settings)),
        "plateau": spec.plateaus.max_plateaus,
        "event": max(one["recording"]["max_events"] for one in settings),
        "part": spec.num_chunks,
        "bin": len(log_bins(spec.recording.accuracy)) + 1,
        "node": max(num_nodes(one["method"]) for one in settings),
        "layer": max(num_layers(one["network"]) for one in settings),
    }
    used = {dim for variable in variables(spec).values() for dim in variable.dims}
    return {dim: size for dim, size in sizes.items() if dim in used}


def _num_saved(settings: Settings) -> int:
    """Saved times of a point: at most one a step, where the method has steps."""
    wanted, steps = settings["recording"]["num_times"], settings["method"]
    return min(wanted, steps["num_steps"] + 1) if "num_steps" in steps else wanted


def chunk_shape(spec: SweepSpec, variable: Variable) -> tuple[int, ...]:
    """Shape of one chunk file: one batch of lanes of one point."""
    sizes = dimensions(spec) | {"point": 1, "lane": spec.chunk, "part": 1}
    return tuple(sizes[dim] for dim in variable.dims)


def variables(spec: SweepSpec) -> dict[str, Variable]:
    """The arrays that chunks of lanes are written to, by name."""
    if not spec.trains:
        return _at_start(spec) | {"done": _done()}
    floats, nan = spec.precision, float("nan")
    of_lanes = _curves(spec) | {
        "final_loss": Variable(
            LANE, floats, nan, {"long_name": "loss at the last saved time"} | UNITLESS
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
    for name, words in _MONITORS.items():
        attrs = {"long_name": words} | UNITLESS
        of_lanes[name] = Variable(LANE, floats, nan, attrs)
    for by in spec.plateaus.by:
        of_lanes |= {f"{by}_{key}": v for key, v in _table(by, floats).items()}
    if spec.recording.keep_events:
        of_lanes |= _events(floats)
    return of_lanes | {"done": _done()}


def _done() -> Variable:
    return Variable(LANE, "bool", False, {"long_name": "whether the lane is stored"})


def _at_start(spec: SweepSpec) -> dict[str, Variable]:
    """What is stored of lanes that are not trained."""
    row = lambda dims, words: Variable(
        dims, spec.precision, float("nan"), {"long_name": words} | UNITLESS
    )
    words = {"long_name": "whether the gradient is exactly zero"}
    size = {"long_name": "number of parameters"} | UNITLESS
    found = {"loss": row(LANE, "loss")}
    found |= {name: row((*LANE, "layer"), words) for name, words in _AT_START.items()}
    found |= {
        "dead": Variable(LANE, "bool", False, words),
        "num_parameters": Variable(LANE, "int32", -1, size),
        "outcome": Variable(LANE, "int8", -1, _outcome_attrs()),
    }
    if spec.method.looks_at != {"none"}:
        words = {"long_name": "whether both eigenvalues were found to tolerance"}
        found |= {name: row(LANE, words) for name, words in _EXTREMES.items()}
        found |= {"eigenvalues_found": Variable(LANE, "bool", False, words)}
    if "density" in spec.method.looks_at:
        found |= {n: row((*LANE, "node"), words) for n, words in _DENSITY.items()}
    return found


def _curves(spec: SweepSpec) -> dict[str, Variable]:
    """The loss along the run: of every lane, or counts of lanes by bin of the loss."""
    words = "loss"
    if spec.recording.curves == "each":
        attrs = {"long_name": words} | UNITLESS
        return {"loss": Variable((*LANE, "time"), spec.precision, float("nan"), attrs)}
    attrs = {
        "long_name": "lanes of a chunk by bin of the loss",
        "comment": f"bins of plateaux.statistics.log_bins({spec.recording.accuracy})",
    } | UNITLESS
    return {
        "loss_counts": Variable(("point", "part", "time", "bin"), "int32", 0, attrs)
    }


def _events(floats: str) -> dict[str, Variable]:
    """The table of activation events of every lane."""
    nan, row = float("nan"), (*LANE, "event")
    kinds = [kind for kind in EventKind if kind >= 0]
    flags = {
        "flag_values": [int(kind) for kind in kinds],
        "flag_meanings": " ".join(kind.name for kind in kinds),
    }
    words = {
        "event_time": (
            row,
            floats,
            nan,
            "time of the event",
            {"comment": "see time_unit"},
        ),
        "event_neuron": (row, "int32", -1, "neuron whose side changed", {}),
        "event_datum": (row, "int32", -1, "datum on which it changed", {}),
        "event_kind": (row, "int8", -1, "what the pair did", flags),
        "event_count": (LANE, "int32", -1, "number of events", {}),
        "event_overflow": (LANE, "bool", False, "whether the table was too small", {}),
    }
    return {
        name: Variable(dims, dtype, fill, {"long_name": said} | UNITLESS | more)
        for name, (dims, dtype, fill, said, more) in words.items()
    }


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
