"""Many machines: chunks as tasks of dask.distributed, each storing its own files."""

import contextlib
import functools
import logging
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .errors import SweepError
from .grid import grid
from .lanes import Ready, prepare
from .manifest import read_manifest
from .memory import check_memory
from .opening import check_fits, check_versions
from .programs import train_chunk
from .reading import stored_spec
from .spec import SweepSpec
from .store import Store, is_stored, lanes_of
from .summary import counted
from .workers import Task, default_workers

LOCAL = "local"
PATIENCE = 5  # seconds until a scheduler must have answered


@dataclass(frozen=True)
class Order:
    """What a worker must know to train chunks of a sweep.

    Attributes:
        directory: The sweep's folder, which all workers see.
        spec_hash: The hash of its specification.
        double: Whether 64-bit mode is on.
        sharing: Chunks that are trained at the same time on one machine.
    """

    directory: str
    spec_hash: str
    double: bool
    sharing: int


def trained_by_dask(
    spec: SweepSpec,
    directory: Path,
    tasks: list[Task],
    address: str,
    workers: int | None = None,
) -> Iterator[tuple[Task, dict[str, np.ndarray]]]:
    """Chunks as they are stored by the workers of a cluster.

    The chunks of a worker that dies are given to others; those it had stored are not
    trained again.

    Args:
        spec: The specification.
        directory: The sweep's folder, laid out, which all workers see.
        tasks: Pairs (point, chunk).
        address: Of a scheduler, or "local" for worker processes on this machine.
        workers: Their number on this machine; one a core if None.

    Yields:
        The pair, and what is counted of its lanes.

    Raises:
        SweepError: If the scheduler cannot be reached or is lost, or a worker has
            other versions or data, does not see the folder, or dies again and again.
        ImportError: If dask.distributed is not installed.
    """
    if not tasks:
        return
    distributed = import_distributed()
    with _client(distributed, address, workers) as client:
        machines = Counter(_machines(client, address))
        order = Order(
            directory=str(directory.resolve()),
            spec_hash=spec.hash,
            double=jnp.result_type(float) == np.float64,
            sharing=max(machines.values()),
        )
        check_workers(client, order)
        submit = lambda task: client.submit(
            train_and_store, order, *task, key=_key(spec, task), pure=False
        )
        futures = {submit(task): task for task in tasks}
        try:
            for future in distributed.as_completed(list(futures)):
                yield futures.pop(future), _result(distributed, future, directory)
                future.release()
        finally:
            with contextlib.suppress(Exception):
                client.cancel(list(futures))


def train_and_store(order: Order, point: int, chunk: int) -> dict[str, np.ndarray]:
    """On a worker: train a chunk and store it, unless it is stored.

    Args:
        order: Where the sweep is and what it is.
        point: Grid point.
        chunk: Chunk of lanes.

    Returns:
        What `Tally` counts.

    Raises:
        SweepError: If this worker must not take part, or cannot write.
    """
    with jax.enable_x64(order.double):
        spec, ready, store = _workplace(order, point)
        if not is_stored(Path(order.directory), spec, point, chunk):
            store.write(point, chunk, train_chunk(spec, ready, chunk))
        lanes = lanes_of(spec, chunk)
        found = {name: store.arrays[name][point, lanes] for name in counted(spec)}
        return {name: np.asarray(array) for name, array in found.items()}


def admitted(order: Order) -> SweepSpec:
    """On a worker: the sweep's specification, if this worker may take part."""
    directory = Path(order.directory)
    try:
        manifest = read_manifest(directory)
        check_versions(manifest, directory)
    except SweepError as error:
        raise SweepError(f"On worker machine {socket.gethostname()}: {error}") from None
    spec = stored_spec(directory, manifest)
    if spec.hash != order.spec_hash:
        raise SweepError(
            f"All workers must see the same folder {directory}, but on "
            f"{socket.gethostname()} it holds another sweep; use a shared file system."
        )
    return spec


def check_workers(client: Any, order: Order) -> None:
    """Refuse a cluster one of whose workers must not take part."""
    for refusal in client.run(_refusal, order).values():
        if refusal is not None:
            raise SweepError(refusal)


def import_distributed() -> Any:
    """The module dask.distributed; a refusal that says how to install it."""
    try:
        import distributed
    except ImportError as error:
        raise ImportError(
            "Sweeps on many machines need dask.distributed, which is not installed; "
            "run `pip install 'plateaux[cluster]'`."
        ) from error
    return distributed


def check_reachable(address: str) -> None:
    """Refuse a scheduler that gives no answer, before anything is computed."""
    distributed = import_distributed()
    if address != LOCAL:
        with _client(distributed, address, None):
            pass


@functools.lru_cache(maxsize=16)
def _workplace(order: Order, point: int) -> tuple[SweepSpec, Ready, Store]:
    """What a worker keeps for all chunks of a point, checked once."""
    spec, directory = admitted(order), Path(order.directory)
    ready = prepare(spec, [grid(spec)[point]])
    check_fits(spec, directory, ready)
    check_memory(spec, ready, order.sharing)
    return spec, ready[0], Store(spec, directory, None, tidy=False)


def _refusal(order: Order) -> str | None:
    try:
        admitted(order)
    except SweepError as error:
        return str(error)
    return None


@contextlib.contextmanager
def _client(distributed: Any, address: str, workers: int | None) -> Iterator[Any]:
    """A client of the scheduler at that address, or of a new cluster of processes."""
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            with _deaf_to_interruption():
                cluster = distributed.LocalCluster(
                    n_workers=workers or default_workers(),
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            address = stack.enter_context(cluster)
        try:
            client = distributed.Client(address, timeout=PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            raise SweepError(
                f"The scheduler of dask must be reachable at {address!r}, but gave no "
                f"answer in {PATIENCE} s; check the address, such as "
                "tcp://host:8786, and that `dask scheduler` runs there."
            ) from error
        yield stack.enter_context(client)


@contextlib.contextmanager
def _deaf_to_interruption() -> Iterator[None]:
    """Processes started here leave it to this one to act on Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _machines(client: Any, address: str) -> list[str]:
    """The machine of every thread that waits for work."""
    try:
        client.wait_for_workers(1, timeout=12 * PATIENCE)
    except TimeoutError as error:
        raise SweepError(
            f"The scheduler at {address} must have workers, but none came within "
            f"{12 * PATIENCE} s; start some with `dask worker {address}`."
        ) from error
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return [worker["host"] for worker in workers for _ in range(worker["nthreads"])]


def _key(spec: SweepSpec, task: Task) -> str:
    return f"plateaux-{spec.hash[:12]}-{task[0]}-{task[1]}"


def _result(distributed: Any, future: Any, directory: Path) -> dict[str, np.ndarray]:
    safe = (
        "chunks stored so far are safe, and `plateaux sweep resume "
        f"{directory}` goes on from them."
    )
    try:
        return future.result()
    except distributed.scheduler.KilledWorker as error:
        raise SweepError(
            "Workers must live to finish a chunk, but several died one after another "
            f"over the same one, perhaps for want of memory; {safe}"
        ) from error
    except distributed.client.FutureCancelledError as error:
        raise SweepError(
            f"The scheduler must be reachable to the end, but was lost; {safe}"
        ) from error
