"""How far a stored sweep has come."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .grid import grid
from .layout import dimensions
from .reading import open_sweep
from .spec import SweepSpec
from .stopping import interval_after
from .store import ZARR, import_zarr, lanes_of, survey
from .summary import at_end, counted


@dataclass(frozen=True)
class Status:
    """Counts of a stored sweep.

    Attributes:
        directory: Its folder.
        name: The name in its specification.
        spec_hash: The hash of its specification.
        points: Grid points.
        lanes: Lanes of all points.
        stored: Lanes that are stored whole.
        chunks: Chunks of all points.
        chunks_done: Chunks that are stored whole.
        chunks_damaged: Chunks with a damaged file; resuming computes them again.
        finished: Stored lanes that reached the end.
        censored: Stored lanes whose last plateau was still running at the end.
        failed: Stored lanes that did not.
        started: When the sweep was first started.
        ended: When its last chunk was stored, or None.
        runs: How often it was started.
        intervals: With a table [stop], by label of a grid point: estimate and ends of
            the interval that it looks at.
    """

    directory: str
    name: str
    spec_hash: str
    points: int
    lanes: int
    stored: int
    chunks: int
    chunks_done: int
    chunks_damaged: int
    finished: int
    censored: int
    failed: int
    started: str
    ended: str | None
    runs: int
    intervals: dict[str, tuple[float, float, float]] | None = None

    @property
    def complete(self) -> bool:
        """Whether every lane is stored that is wanted."""
        enough = self.intervals is not None and self.ended is not None
        return self.stored == self.lanes or enough


def status(directory: Any) -> Status:
    """How far a stored sweep has come; damaged chunks are counted, not refused.

    Args:
        directory: Its folder.

    Returns:
        The counts, from one pass over the store with one chunk in memory.

    Raises:
        SweepError: If the folder holds no sweep.
    """
    stored = open_sweep(directory, verify=False)
    spec, manifest = stored.spec, stored.manifest
    group = import_zarr().open_group(stored.directory / ZARR, mode="r")
    done, damaged = survey(spec, stored.directory)
    counts = np.zeros(4, int)
    for point, chunk in np.argwhere(done).tolist():
        counts += _counts(group, counted(spec), point, lanes_of(spec, chunk))
    return Status(
        directory=str(Path(directory)),
        name=spec.name,
        spec_hash=manifest["spec_hash"],
        points=dimensions(spec)["point"],
        lanes=dimensions(spec)["point"] * spec.sweep.lanes,
        stored=int(counts[0]),
        chunks=done.size,
        chunks_done=int(done.sum()),
        chunks_damaged=len(damaged),
        finished=int(counts[1]),
        censored=int(counts[2]),
        failed=int(counts[3]),
        started=manifest["started"],
        ended=manifest["finished"],
        runs=len(manifest["runs"]),
        intervals=None if spec.stop is None else _intervals(spec, group, done),
    )


def _intervals(spec: SweepSpec, group: Any, done: np.ndarray):
    """Of every point, after the lanes without a gap."""
    first_gap = np.argmin(np.append(done, np.zeros((len(done), 1)), axis=1), axis=1)
    lanes = np.minimum(first_gap * spec.chunk, spec.sweep.lanes).tolist()
    found = {}
    for point, some in zip(grid(spec), lanes, strict=True):
        middle, low, high = interval_after(spec, group, point.index, some)
        found[point.label] = (float(middle), float(low), float(high))
    return found


def _counts(group: Any, names: list[str], point: int, lanes: slice) -> np.ndarray:
    """Lanes of a chunk: all, finished, censored, failed."""
    outcome, *running = (group[name][point, lanes] for name in names)
    finished = np.sum(at_end(outcome))
    censored = sum(int(np.sum(np.any(rows, axis=-1))) for rows in running)
    return np.array([outcome.size, finished, censored, outcome.size - finished])
