"""Running a sweep: every chunk stored as soon as it is trained."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .distributed import LOCAL, check_reachable, trained_by_dask
from .errors import SweepError
from .grid import grid
from .interrupts import heeded
from .lanes import Ready, prepare
from .locks import locked
from .manifest import FILE, read_manifest
from .memory import check_memory
from .opening import begin, check_fits, check_not_foreign, check_versions, finish
from .parts import Part, as_part
from .programs import warm_up
from .progress import Tally, meter
from .reading import as_dataset
from .spec import SweepSpec, read_spec
from .stopping import rounds
from .store import ZARR, Store, one_sentence, survey
from .workers import Task, trained


def sweep(
    spec: Any,
    out: Any = None,
    *,
    progress: bool = False,
    workers: int | None = None,
    part: Any = None,
    dask: str | None = None,
) -> Any:
    r"""Train every lane of every grid point and find its plateaus.

    Lane i starts from `jax.random.fold_in(jax.random.key(seed), i)` in every grid
    point: points are compared on common random numbers, and a lane is the same
    whatever the chunk, up to rounding (1e-15), and to the bit for the same chunk.
    Memory is bounded by the chunk and the number of workers. Every chunk is trained
    by one device, so that results do not depend on their number.

    Under `jax.distributed` every process trains its part of the chunks on its own
    devices, and waits for the others at the end.

    Args:
        spec: A `SweepSpec`, or the path of a TOML file.
        out: The folder to store results in. A sweep of the same specification that
            was stopped there goes on where it was. None keeps results in memory.
        progress: Whether to show lanes per second, time left and outcomes on stderr.
        workers: Chunks trained at the same time, each on one thread; one a core, or
            one an accelerator, if None. Results do not depend on it.
        part: "i/n" or (i, n): train only chunks i, i + n, i + 2n, … of the folder,
            while other processes train the other parts.
        dask: The address of a dask scheduler whose workers train the chunks, or
            "local" for processes on this machine. All must see the folder.

    Returns:
        An `xarray.Dataset` with dimensions point, lane, time, plateau; with `out`,
        loaded when it is used.

    Raises:
        SweepError: If 64-bit mode is off for a float64 specification, the folder
            holds another sweep or cannot be written, the disk is full, a chunk does
            not fit into memory, the versions are not those the folder was started
            with, or the scheduler cannot be reached; what is stored is safe.
        ValueError: If the specification or the part is not valid.
        TypeError: If a value in it has the wrong type.
        ImportError: If zarr or xarray, or for `dask` dask.distributed, is not
            installed.

    Example:
        >>> from plateaux.sweeps import SweepSpec
        >>> spec = SweepSpec(
        ...     name="two scales",
        ...     problem={"name": "sine", "num_data": 10},
        ...     network={"width": 3},
        ...     initialiser={"name": "he", "scale": [0.5, 1.0]},
        ...     method={"step_size": 0.05, "num_steps": 50},
        ...     recording={"num_times": 10},
        ...     sweep={"lanes": 4, "chunk": 4},
        ... )
        >>> data = sweep(spec)
        >>> dict(data.sizes)
        {'point': 2, 'lane': 4, 'time': 10, 'plateau': 128}
        >>> data["initialiser.scale"].values
        array([0.5, 1. ])
    """
    spec, part = as_spec(spec), as_part(part) or _own_part()
    _check_place(out, part, dask)
    _check_alone(spec, part, dask)
    here = dask in (None, LOCAL)
    if here and (out is None or not Path(out, FILE).exists()):
        # Compiling takes longest: it begins while the other points load their data.
        warm_up(spec, prepare(spec, grid(spec)[:1])[0])
    ready = prepare(spec)
    if out is None:
        check_memory(spec, ready, workers)
        done = np.zeros((len(ready), spec.num_chunks), bool)
        store = Store(spec, None, _units(ready))
        _fill(spec, _in_rounds(store, ready, done.copy(), workers), done, progress)
        return as_dataset(store.group.store, spec).load()
    directory = Path(out)
    with one_sentence(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked(directory, part):
        _run(spec, ready, directory, progress, workers, part, dask)
    _wait_for_processes()
    return as_dataset(directory / ZARR, spec)


def _run(
    spec: SweepSpec,
    ready: list[Ready],
    directory: Path,
    progress: bool,
    workers: int | None,
    part: Part | None,
    dask: str | None,
) -> None:
    """Train what a locked folder lacks."""
    done = _done(spec, ready, directory)
    tasks = _todo(done, part)
    if tasks and dask in (None, LOCAL):  # workers elsewhere look at their own memory
        check_memory(spec, ready, workers)
    store = begin(directory, spec, ready, _units(ready), alone=part is None)
    if spec.stop is not None:
        chunks = _in_rounds(store, ready, done.copy(), workers)
    elif dask is None:
        chunks = _stored(store, ready, tasks, workers)
    else:
        chunks = trained_by_dask(spec, directory, tasks, dask, workers)
    _fill(spec, chunks, done, progress)
    finish(directory, spec, enough=spec.stop is not None)


def as_spec(spec: Any) -> SweepSpec:
    """The specification; a path is read."""
    if isinstance(spec, SweepSpec):
        return spec
    if isinstance(spec, str | os.PathLike):
        return read_spec(spec)
    raise TypeError(
        "Argument `spec` must be a SweepSpec or the path of a TOML file, but is "
        f"{spec!r}."
    )


def _units(ready: list[Ready]) -> list[str]:
    return [one.time_unit for one in ready]


def _own_part() -> Part | None:
    """Under jax.distributed, the part of this process."""
    if jax.process_count() == 1:
        return None
    return Part(jax.process_index(), jax.process_count())


def _wait_for_processes() -> None:
    """Under jax.distributed, wait until all have stored their parts."""
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import sync_global_devices

        sync_global_devices("plateaux sweep")


def _check_place(out: Any, part: Part | None, dask: str | None) -> None:
    """Refuse shared work without a shared folder, before anything is computed."""
    if out is None and (part is not None or dask is not None):
        raise SweepError(
            "A sweep that several processes share must have a folder, but `out` is "
            "None; name one that all of them see."
        )
    if part is not None and dask is not None:
        raise SweepError(
            f"A sweep must be shared in one way, but has part {part} and dask; leave "
            "one out."
        )
    if dask is not None:
        check_reachable(dask)


def _check_alone(spec: SweepSpec, part: Part | None, dask: str | None) -> None:
    """Refuse to share a sweep that looks at its results as it goes."""
    if spec.stop is not None and (part is not None or dask is not None):
        raise SweepError(
            "A sweep with a table [stop] must be run by one process, which looks at "
            "all results, but is to be shared; leave the table or the sharing out."
        )


def _done(spec: SweepSpec, ready: list[Ready], directory: Path) -> np.ndarray:
    """Marks (point, chunk) of what a folder holds whole, if it is of this sweep."""
    check_not_foreign(directory)
    if not (directory / FILE).exists():
        return np.zeros((len(ready), spec.num_chunks), bool)
    check_fits(spec, directory, ready)
    done, _ = survey(spec, directory)  # damaged chunks are not done
    if not done.all():
        check_versions(read_manifest(directory), directory)
    return done


def _todo(done: np.ndarray, part: Part | None) -> list[Task]:
    mine = ~done if part is None else ~done & part.of(done)
    return [(point, chunk) for point, chunk in np.argwhere(mine).tolist()]


def _stored(
    store: Store, ready: list[Ready], tasks: list[Task], workers: int | None
) -> Iterator[tuple[Task, dict[str, np.ndarray]]]:
    """Chunks as they are trained by the threads of this process and stored."""
    for task, values in trained(store.spec, ready, tasks, workers):
        store.write(*task, values)
        yield task, values


def _in_rounds(
    store: Store, ready: list[Ready], done: np.ndarray, workers: int | None
) -> Iterator[tuple[Task, dict[str, np.ndarray]]]:
    """Chunks as they are stored, with a look at the results after every round."""
    for tasks in rounds(store.spec, store.arrays, done):
        yield from _stored(store, ready, tasks, workers)


def _fill(
    spec: SweepSpec,
    chunks: Iterator[tuple[Task, dict[str, np.ndarray]]],
    done: np.ndarray,
    progress: bool,
) -> None:
    """Show how the chunks come in."""
    tally = Tally(spec, done)
    with meter(tally, progress) as show, heeded() as heed:
        for _, values in chunks:
            tally.add(values)
            show()
            heed()
