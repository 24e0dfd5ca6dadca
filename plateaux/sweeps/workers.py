"""Threads that train chunks: one a core, or one an accelerator."""

import contextlib
import os
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice

import jax
import numpy as np

from .lanes import Ready
from .programs import train_chunk
from .spec import SweepSpec

Task = tuple[int, int]


def default_workers() -> int:
    """One an accelerator; on a CPU one for each core this process may use."""
    if jax.default_backend() != "cpu":
        return jax.local_device_count()
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def trained(
    spec: SweepSpec,
    ready: list[Ready],
    tasks: list[Task],
    workers: int | None = None,
) -> Iterator[tuple[Task, dict[str, np.ndarray]]]:
    """Chunks as they are trained, at most two per worker in memory.

    XLA gains nothing from a second core on networks of this size, so each worker
    thread trains its own chunk (compiled programs run outside the interpreter lock).
    Threads take turns on the local devices; every chunk is trained by one device, so
    that results do not depend on how many there are.

    Args:
        spec: The specification.
        ready: Its points.
        tasks: Pairs (point, chunk), in the order in which they are to start.
        workers: Threads; `default_workers()` if None.

    Yields:
        The pair, and the chunk's arrays by name.
    """
    left = iter(tasks)
    workers = workers or default_workers()
    on_a_device = _devices(workers)

    def work(task: Task) -> dict[str, np.ndarray]:
        with on_a_device():
            return train_chunk(spec, ready[task[0]], task[1])

    with _pool(workers) as submit:
        running = {submit(work, t): t for t in islice(left, workers)}
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                task = running.pop(future)
                values = future.result()
                running |= {submit(work, t): t for t in islice(left, 1)}
                yield task, values


def _devices(workers: int) -> Callable[[], contextlib.AbstractContextManager]:
    """A context in which a thread computes on the device whose turn it is."""
    devices = jax.local_devices()
    free: queue.SimpleQueue = queue.SimpleQueue()
    for worker in range(workers):
        free.put(devices[worker % len(devices)])

    @contextlib.contextmanager
    def one() -> Iterator[None]:
        device = free.get()
        try:
            with jax.default_device(device):
                yield
        finally:
            free.put(device)

    return one


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
