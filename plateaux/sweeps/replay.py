"""Replay: one lane again, with its networks, exactly as it was in the sweep."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from .. import _checks
from ..dynamics import Trajectory
from .errors import SweepError
from .grid import find_point
from .lanes import prepare
from .manifest import read_manifest
from .opening import check_fits
from .programs import draw_chunk, train_lanes
from .reading import stored_spec
from .spec import SweepSpec


def replay(source: Any, point: Any, lane: int) -> Trajectory:
    """Train one lane of a sweep again, and keep its networks at the saved times.

    The lane's whole chunk is trained in the same batch shape, so that its losses are
    those of the store to the bit, on the same versions and device.

    Args:
        source: The folder of a sweep, or a `SweepSpec`.
        point: Number or label of the grid point.
        lane: Number of the lane.

    Returns:
        The lane's trajectory; `saved["network"]` holds its networks with a leading
        axis of saved times.

    Raises:
        SweepError: If the folder holds no sweep, or its data have changed.
        ValueError: If there is no such point or lane.
        TypeError: If the lane is no integer.

    Example:
        >>> from plateaux.sweeps import SweepSpec
        >>> spec = SweepSpec(
        ...     name="one",
        ...     problem={"name": "sine", "num_data": 10},
        ...     network={"width": 3},
        ...     initialiser={"name": "he"},
        ...     method={"step_size": 0.05, "num_steps": 50},
        ...     recording={"num_times": 10},
        ...     sweep={"lanes": 4, "chunk": 4},
        ... )
        >>> run = replay(spec, 0, lane=2)
        >>> run.losses.shape, run.saved["network"].w.shape
        ((10,), (10, 3, 1))
    """
    spec, directory = _specification(source)
    if not spec.trains:
        raise SweepError(
            "A sweep whose lane is replayed must train, but this one looks at networks "
            "as they are drawn; one with the method 'descent' and the same seed starts "
            "from the same networks."
        )
    lane = _checks.count("lane", lane, at_least=0)
    if lane >= spec.sweep.lanes:
        raise ValueError(
            f"Argument `lane` must be below the number of lanes, {spec.sweep.lanes}, "
            f"but is {lane}."
        )
    ready = prepare(spec, [find_point(spec, point)])
    if directory is not None:
        check_fits(spec, directory, ready)
    one = dataclasses.replace(
        ready[0], plan=dataclasses.replace(ready[0].plan, keep_networks=True)
    )
    chunk, place = divmod(lane, spec.chunk)
    runs = train_lanes(one, draw_chunk(spec, one, chunk))
    arrays, static = eqx.partition(runs, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda leaf: leaf[place], arrays), static)


def _specification(source: Any) -> tuple[SweepSpec, Path | None]:
    if isinstance(source, SweepSpec):
        return source, None
    if isinstance(source, str | os.PathLike):
        directory = Path(source)
        return stored_spec(directory, read_manifest(directory)), directory
    raise SweepError(
        "Argument `source` must be a SweepSpec or the folder of a sweep, but is "
        f"{source!r}."
    )
