"""The store of a sweep: a Zarr group, written one chunk of lanes at a time.

Every file is written beside its place and then moved there, and the mark `done` of a
chunk is written after all its arrays: a process that is killed leaves a chunk that
is done or one that is not, never a broken one. Every file carries a checksum.
"""

import contextlib
import errno
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SweepError
from .layout import Variable, chunk_shape, coordinates, dimensions, variables
from .spec import SweepSpec

ZARR = "store.zarr"


def import_zarr() -> Any:
    """The zarr module; a refusal that says how to install it if it is missing."""
    try:
        if importlib.util.find_spec("xarray") is None:  # needed later, slow to load
            raise ImportError("xarray is not installed")
        import zarr
    except ImportError as error:
        raise ImportError(
            "Sweeps need zarr and xarray, which are not installed; run "
            "`pip install 'plateaux[sweep]'`."
        ) from error
    return zarr


@contextlib.contextmanager
def one_sentence(directory: Path | None) -> Iterator[None]:
    """Turn an error of the file system into a refusal that says what is safe."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = (
            f"The disk must have room for the sweep, but the one of {directory} is full"
            if full
            else f"The folder {directory} must be writable, but is not "
            f"({error.strerror or error})"
        )
        raise SweepError(
            f"{what}; chunks stored so far are safe, and `plateaux sweep resume "
            f"{directory}` goes on from them."
        ) from error


_CONFIG_LOCK = threading.Lock()  # zarr's configuration is that of the whole process


@contextlib.contextmanager
def _fill_values_written(zarr: Any) -> Iterator[None]:
    """Arrays opened here write fill values: a chunk that is done has all its files."""
    with _CONFIG_LOCK, zarr.config.set({"array.write_empty_chunks": True}):
        yield


class Store:
    """The arrays of a sweep, in a folder or in memory.

    Attributes:
        spec: The specification.
        directory: The sweep's folder, or None in memory.
        group: The Zarr group.
        arrays: Its arrays by name.
    """

    def __init__(
        self,
        spec: SweepSpec,
        directory: Path | None,
        time_units: list[str] | None,
        *,
        tidy: bool = True,
    ):
        """Open the store for writing.

        Args:
            spec: The specification.
            directory: The sweep's folder, or None in memory.
            time_units: Units of time of the points; whatever of the store is missing
                is laid out. None if it has been.
            tidy: Whether to remove what killed processes were writing, which must
                not be what a living one is writing.
        """
        zarr = import_zarr()
        self.spec, self.directory = spec, directory
        place = zarr.storage.MemoryStore() if directory is None else directory / ZARR
        with one_sentence(directory), _fill_values_written(zarr):
            self.group = zarr.open_group(place, mode="a" if time_units else "r+")
            if tidy:
                self._remove_partial_files()
            if time_units:
                self._lay_out(time_units)
            self.arrays = {name: self.group[name] for name in variables(spec)}

    def write(self, point: int, chunk: int, values: dict[str, np.ndarray]) -> None:
        """Store a chunk of lanes, its mark last.

        Args:
            point: Grid point.
            chunk: Chunk of lanes.
            values: Values by variable with a leading lane axis, without padding.

        Raises:
            SweepError: If the disk is full or cannot be written.
        """
        lanes = lanes_of(self.spec, chunk)
        with one_sentence(self.directory):
            for name, array in self.arrays.items():
                if name == "times":  # the same for every lane
                    array[point] = _fitted(values[name][0], array, array.shape[1:])
                elif name != "done":
                    of_chunk = "part" in array.metadata.dimension_names
                    rows = slice(chunk, chunk + 1) if of_chunk else lanes
                    shape = (rows.stop - rows.start, *array.shape[2:])
                    array[point, rows] = _fitted(values.get(name), array, shape)
            self.arrays["done"][point, lanes] = True

    def _remove_partial_files(self) -> None:
        if self.directory is not None:
            for file in (self.directory / ZARR).rglob("*.partial"):
                file.unlink(missing_ok=True)

    def _lay_out(self, time_units: list[str]) -> None:
        sizes = dimensions(self.spec)
        for name, variable in variables(self.spec).items():
            if name not in self.group:
                _create(self.group, self.spec, sizes, name, variable)
        columns = coordinates(self.spec, time_units)
        for name, values in columns.items():
            if name not in self.group or not _holds(self.group[name], values):
                _coordinate(self.group, name, values)
        words = {
            "coordinates": " ".join(
                [*columns, *(["times"] if self.spec.trains else [])]
            ),
            "title": self.spec.name,
            "spec_hash": self.spec.hash,
        }
        if dict(self.group.attrs) != words:
            self.group.attrs.update(words)


def lanes_of(spec: SweepSpec, chunk: int) -> slice:
    """The lanes of a chunk that are stored."""
    return slice(chunk * spec.chunk, min((chunk + 1) * spec.chunk, spec.sweep.lanes))


def chunk_file(
    directory: Path, spec: SweepSpec, name: str, point: int, chunk: int
) -> Path:
    """The file of one variable that belongs to a chunk of lanes."""
    return _file(directory, name, variables(spec)[name], point, chunk)


def chunk_files(directory: Path, spec: SweepSpec, point: int, chunk: int) -> list[Path]:
    """The files of a chunk of lanes, in the order of the variables: its mark last."""
    names = variables(spec).items()
    return [_file(directory, name, v, point, chunk) for name, v in names]


def _file(directory: Path, name: str, variable: Variable, point: int, chunk: int):
    places = {"point": point, "lane": chunk}
    parts = [str(places.get(dim, 0)) for dim in variable.dims]
    return directory.joinpath(ZARR, name, "c", *parts)


def survey(
    spec: SweepSpec, directory: Path
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Which chunks of a folder are done, and which of them are damaged.

    Every file of a done chunk is read once and its checksum compared.

    Args:
        spec: The specification.
        directory: The sweep's folder.

    Returns:
        Marks (point, chunk), and pairs (point, chunk) that are marked but have a file
        that is missing or not whole.
    """
    done, damaged = marked(spec, directory), []
    for point, chunk in np.argwhere(done).tolist():
        if not is_stored(directory, spec, point, chunk):
            done[point, chunk] = False
            damaged.append((point, chunk))
    return done, damaged


def marked(spec: SweepSpec, directory: Path) -> np.ndarray:
    """Which chunks (point, chunk) have a mark that they are done."""
    marks = np.zeros((dimensions(spec)["point"], spec.num_chunks), bool)
    for mark in directory.joinpath(ZARR, "done", "c").glob("*/*"):
        if mark.name.isdigit():  # else a file that was being written
            marks[int(mark.parent.name), int(mark.name)] = True
    return marks


def is_stored(directory: Path, spec: SweepSpec, point: int, chunk: int) -> bool:
    """Whether a chunk is marked, and all its files are whole."""
    return all(map(_whole, chunk_files(directory, spec, point, chunk)))


def _whole(file: Path) -> bool:
    """Whether the file is there and ends with the CRC-32C of what comes before."""
    import google_crc32c

    try:
        raw = file.read_bytes()
    except OSError:
        return False
    return len(raw) > 4 and google_crc32c.value(raw[:-4]) == int.from_bytes(
        raw[-4:], "little"
    )


def _fitted(values: np.ndarray | None, array: Any, shape: tuple) -> np.ndarray:
    """The values, filled up to a shape: a shorter run, or a method without them."""
    filled = np.full(shape, array.fill_value, array.dtype)
    if values is not None:
        filled[tuple(map(slice, values.shape))] = values
    return filled


def _create(group, spec: SweepSpec, sizes, name: str, variable: Variable) -> None:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    group.create_array(
        name,
        shape=tuple(sizes[dim] for dim in variable.dims),
        chunks=chunk_shape(spec, variable),
        dtype=variable.dtype,
        fill_value=variable.fill,
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        dimension_names=variable.dims,
        attributes=dict(variable.attrs),
    )


def _coordinate(group: Any, name: str, values: np.ndarray) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        dtype="str" if values.dtype == object else values.dtype,
        dimension_names=("point",),
        overwrite=True,
    )
    array[:] = values


def _holds(array: Any, values: np.ndarray) -> bool:
    """Whether the array has these values (it may have been cut off before them)."""
    try:
        return [str(v) for v in array[:]] == [str(v) for v in values]
    except (ValueError, RuntimeError, OSError):
        return False
