"""Reading a sweep: its dataset, specification and manifest."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SweepError
from .grid import Point, grid
from .layout import names, variables
from .manifest import read_manifest
from .spec import SweepSpec
from .store import ZARR, import_zarr, survey

BLOCK = 4096  # lanes to read at a time, unless a chunk is more


@dataclass(frozen=True)
class Sweep:
    """A stored sweep, finished or not.

    Attributes:
        directory: Its folder.
        spec: What it was asked to do.
        manifest: Versions, device, git state, times.
        dataset: Its results, loaded when they are used; an `xarray.Dataset`.
    """

    directory: Path
    spec: SweepSpec
    manifest: Mapping[str, Any]
    dataset: Any

    @property
    def done(self) -> np.ndarray:
        """Which lanes are stored, shape (point, lane)."""
        return self.dataset["done"].values

    @property
    def points(self) -> list[Point]:
        """The points of the grid."""
        return grid(self.spec)

    @property
    def finished(self) -> bool:
        """Whether all lanes are stored."""
        return bool(np.all(self.done))

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """Every point and whole chunks of its lanes, a few thousand lanes at a time."""
        lanes = self.spec.sweep.lanes
        step = self.spec.chunk * max(1, BLOCK // self.spec.chunk)
        for point in range(self.dataset.sizes["point"]):
            for start in range(0, lanes, step):
                yield point, slice(start, min(start + step, lanes))


def open_sweep(directory: Any, *, verify: bool = True) -> Sweep:
    """Open the folder of a sweep for reading.

    Args:
        directory: The folder that `sweep` or `plateaux sweep run` wrote.
        verify: Whether to compare the checksums of all stored chunks first, which
            reads every file once.

    Returns:
        The sweep; lanes that are not done hold fill values (NaN, −1, False).

    Raises:
        SweepError: If the folder holds no sweep, or a stored file is damaged.
        ImportError: If zarr or xarray is not installed.
    """
    import_zarr()
    directory = Path(directory)
    manifest = read_manifest(directory)
    spec = stored_spec(directory, manifest)
    missing = [name for name in names(spec) if not _laid_out(directory, name)]
    if missing:
        raise SweepError(
            f"The folder {directory / ZARR} must hold all arrays of the sweep, but "
            f"{missing[0]} is missing; `plateaux sweep resume {directory}` lays it out."
        )
    dataset = as_dataset(directory / ZARR, spec)
    damaged = survey(spec, directory)[1] if verify else []
    if damaged:
        point, chunk = damaged[0]
        raise SweepError(
            f"Every stored file must be whole, but {len(damaged)} of the done chunks "
            f"of {directory} are damaged (first: point {point}, chunk {chunk}); "
            f"`plateaux sweep resume {directory}` computes them again and keeps the "
            "others."
        )
    return Sweep(directory, spec, manifest, dataset)


def _laid_out(directory: Path, name: str) -> bool:
    return directory.joinpath(ZARR, name, "zarr.json").is_file()


def stored_spec(directory: Path, manifest: Mapping[str, Any]) -> SweepSpec:
    """The specification in a manifest."""
    try:
        return SweepSpec.from_dict(manifest["spec"])
    except (ValueError, TypeError, KeyError) as error:
        raise SweepError(
            f"The manifest of {directory} must hold a specification, but: {error}"
        ) from error


def as_dataset(place: Any, spec: SweepSpec) -> Any:
    """The arrays of a Zarr store as an `xarray.Dataset`, loaded when they are used."""
    import xarray

    with warnings.catch_warnings():
        # What a killed process was writing when it was killed.
        warnings.filterwarnings("ignore", r"Object at \S*partial is not recognized")
        dataset = xarray.open_zarr(place, consolidated=False, chunks=None)
    coordinates = [name for name in names(spec) if name not in variables(spec)]
    times = [name for name in variables(spec) if name == "times"]
    return dataset.set_coords([*coordinates, *times])[list(variables(spec))]
