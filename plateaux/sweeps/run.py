"""Running a sweep: chunks on all cores, each stored as soon as it is trained."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SweepError
from .grid import differences, grid
from .lanes import Ready, prepare
from .locks import locked
from .manifest import (
    FILE,
    environment,
    fingerprint,
    new_manifest,
    now,
    read_manifest,
    write_manifest,
)
from .programs import train_chunk, warm_up
from .progress import Tally, meter
from .reading import as_dataset, stored_spec
from .spec import SweepSpec, read_spec
from .store import ZARR, Store, one_sentence, survey


def sweep(
    spec: Any, out: Any = None, *, progress: bool = False, workers: int | None = None
) -> Any:
    r"""Train every lane of every grid point and find its plateaus.

    Lane i starts from `jax.random.fold_in(jax.random.key(seed), i)` in every grid
    point: points are compared on common random numbers, and a lane is the same
    whatever the chunk, up to rounding (1e-15), and to the bit for the same chunk.
    Memory is bounded by the chunk and the number of workers.

    Args:
        spec: A `SweepSpec`, or the path of a TOML file.
        out: The folder to store results in. A sweep of the same specification that
            was stopped there goes on where it was. None keeps results in memory.
        progress: Whether to show lanes per second, time left and outcomes on stderr.
        workers: Chunks trained at the same time, each on one thread; one a core if
            None. Results do not depend on it.

    Returns:
        An `xarray.Dataset` with dimensions point, lane, time, plateau; with `out`,
        loaded when it is used.

    Raises:
        SweepError: If 64-bit mode is off for a float64 specification, the folder
            holds another sweep or cannot be written, or the disk is full; what is
            stored is safe.
        ValueError: If the specification is not valid.
        TypeError: If a value in it has the wrong type.
        ImportError: If zarr or xarray is not installed.

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
    spec = as_spec(spec)
    if out is None or not Path(out, FILE).exists():
        # Compiling takes longest: it begins while the other points load their data.
        warm_up(spec, prepare(spec, grid(spec)[:1])[0])
    ready = prepare(spec)
    units = [one.time_unit for one in ready]
    if out is None:
        store = Store(spec, None, units)
        _fill(store, ready, progress, workers)
        return as_dataset(store.group.store, spec).load()
    directory = Path(out)
    with one_sentence(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        manifest = _open_manifest(directory, spec, ready)
        store = Store(spec, directory, units)
        _fill(store, ready, progress, workers)
        if manifest["finished"] is None:
            with one_sentence(directory):
                write_manifest(directory, manifest | {"finished": now()})
    return as_dataset(directory / ZARR, spec)


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


def default_workers() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_fits(spec: SweepSpec, directory: Path, ready: list[Ready]) -> dict[str, Any]:
    """The manifest of a folder, if it is of this specification and these data."""
    manifest = read_manifest(directory)
    stored = stored_spec(directory, manifest)
    unequal = differences(stored, spec)
    if unequal:
        leaf, there, here = unequal[0]
        more = f" and {len(unequal) - 1} more" if len(unequal) > 1 else ""
        raise SweepError(
            f"The specification must be the one {directory} was started with, but "
            f"`{leaf}` is {there!r} there and {here!r} here{more}; choose another "
            "folder."
        )
    for one in ready:
        if manifest["data"].get(one.point.label) != fingerprint(one.problem):
            raise SweepError(
                f"The data must be those {directory} was started with, but those of "
                f"point {one.point.label!r} have changed since; choose another folder."
            )
    return manifest


def _open_manifest(
    directory: Path, spec: SweepSpec, ready: list[Ready]
) -> dict[str, Any]:
    """The folder's manifest with this start noted, or a new one."""
    with one_sentence(directory):
        if (directory / FILE).exists():
            manifest = check_fits(spec, directory, ready)
            manifest["runs"].append(environment())
        elif (directory / ZARR).exists():
            raise SweepError(
                f"The folder must be new or hold a sweep, but {directory} has a {ZARR} "
                f"without {FILE}; choose another folder."
            )
        else:
            manifest = new_manifest(spec, ready)
        write_manifest(directory, manifest)
    return manifest


def _fill(
    store: Store, ready: list[Ready], progress: bool, workers: int | None
) -> None:
    """Train and store every chunk that is not done."""
    spec = store.spec
    if store.directory is None:
        done = np.zeros((len(ready), spec.num_chunks), bool)
    else:
        done, _ = survey(spec, store.directory)  # damaged chunks are not done
    tasks = [(point, chunk) for point, chunk in np.argwhere(~done).tolist()]
    tally = Tally(spec, done)
    with meter(tally, progress) as show:
        for (point, chunk), values in trained(spec, ready, tasks, workers):
            store.write(point, chunk, values)
            tally.add(values)
            show()


def trained(
    spec: SweepSpec,
    ready: list[Ready],
    tasks: list[tuple[int, int]],
    workers: int | None = None,
) -> Iterator[tuple[tuple[int, int], dict[str, np.ndarray]]]:
    """Chunks as they are trained, at most two per worker in memory.

    XLA gains nothing from a second core on networks of this size, so each worker
    thread trains its own chunk (compiled programs run outside the interpreter lock).

    Args:
        spec: The specification.
        ready: Its points.
        tasks: Pairs (point, chunk), in the order in which they are to start.
        workers: Threads; one a core if None.

    Yields:
        The pair, and the chunk's arrays by name.
    """
    queue = iter(tasks)
    work = lambda task: train_chunk(spec, ready[task[0]], task[1])
    workers = workers or default_workers()
    with _pool(workers) as submit:
        running = {submit(work, t): t for t in islice(queue, workers)}
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                task = running.pop(future)
                values = future.result()
                running |= {submit(work, t): t for t in islice(queue, 1)}
                yield task, values


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[Callable]:
    """Threads; after an error or interruption they start no other chunk."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="plateaux")
    try:
        yield pool.submit
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
