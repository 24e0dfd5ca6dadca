"""What a chunk takes of the memory, known from its programs before it is run."""

import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .errors import SweepError
from .lanes import Ready
from .programs import PROGRAMS
from .spec import SweepSpec
from .summary import summarise
from .training import measure, train
from .workers import default_workers

SHARE = 0.8  # of the machine, for chunks in work
_COPIES = 4  # of what a lane saves: its queue, as it was before, results, their parts


def check_memory(spec: SweepSpec, ready: list[Ready], workers: int | None) -> None:
    """Refuse chunks that do not fit into memory, with the largest that do.

    The largest program of the sweep is compiled, and says what it will take. A fifth
    of the memory is left to everything else.

    Args:
        spec: The specification.
        ready: Its points.
        workers: Chunks trained at the same time; `default_workers()` if None.

    Raises:
        SweepError: If they do not fit.
    """
    largest = max(ready, key=_weight)
    room = SHARE * memory_bytes() / _sharing(workers or default_workers())
    takes = chunk_bytes(largest, spec.chunk)
    if takes <= room:
        return
    fits = largest_chunk(largest, spec.chunk, takes, room)
    remedy = f"the largest `sweep.chunk` that fits is {fits}"
    none = "not even a chunk of one lane fits, so save fewer times or events"
    raise SweepError(
        f"A chunk must fit into {_size(room)}, its share of the memory, but one of "
        f"{spec.chunk} lanes takes {_size(takes)}; {remedy if fits else none}."
    )


def chunk_bytes(ready: Ready, chunk: int) -> int:
    """Bytes that a chunk of so many lanes takes while it is trained and boiled down."""
    if ready.plan.queued:
        return _COPIES * chunk * _queued_bytes(ready)
    starts = _starts(ready, chunk)
    if not ready.plan.trains:
        program = PROGRAMS.get(measure, ready.problem, starts, ready.plan)
        return _all_bytes(program.memory())
    arguments = (ready.problem, starts, ready.step_size, ready.plan)
    training = PROGRAMS.get(train, *arguments).memory()
    runs = eqx.filter_eval_shape(train, *arguments)
    left = jax.ShapeDtypeStruct((), jnp.asarray(0).dtype)
    boiling = PROGRAMS.get(summarise, ready.problem, runs, left, ready.plan).memory()
    return max(
        _all_bytes(training), training.argument_size_in_bytes + _all_bytes(boiling)
    )


def _all_bytes(memory: Any) -> int:
    """What a program takes at most, as XLA counts it."""
    inside = memory.temp_size_in_bytes + memory.output_size_in_bytes
    return memory.argument_size_in_bytes + inside


def largest_chunk(ready: Ready, chunk: int, takes: int, room: float) -> int:
    """The largest chunk found that fits, or 0; every candidate is compiled."""
    while takes > room and chunk > 0:
        chunk = min(chunk - 1, int(chunk * room / takes))
        takes = chunk_bytes(ready, chunk) if chunk else 0
    return chunk


def memory_bytes() -> int:
    """Memory of an accelerator, or what the system and its control group allow."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    if limit:
        return limit
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits()])


def _group_limits() -> list[int]:
    """Limits of the control groups of this process, of both versions."""
    root = Path("/sys/fs/cgroup")
    files = [root / "memory.max", root / "memory" / "memory.limit_in_bytes"]
    try:
        own = Path("/proc/self/cgroup").read_text().split("::")[-1].strip()
        files.append(root / own.lstrip("/") / "memory.max")
        texts = [file.read_text().strip() for file in files if file.is_file()]
    except OSError:
        return []
    return [int(text) for text in texts if text.isdigit()]


def _sharing(workers: int) -> int:
    """Chunks in the same memory; accelerators have one each."""
    if jax.default_backend() == "cpu":
        return workers
    return -(-workers // jax.local_device_count())


def _starts(ready: Ready, chunk: int) -> Any:
    lanes = jax.ShapeDtypeStruct((chunk,), jnp.int32)
    return eqx.filter_eval_shape(ready.draw, lanes)


def _num_parameters(ready: Ready) -> int:
    network = eqx.filter(_starts(ready, 1).network, _shaped)
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(network))


def _queued_bytes(ready: Ready) -> int:
    """Saved networks, events, moves of a lane, whose program has several parts."""
    plan, size = ready.plan, np.dtype(ready.problem.x.dtype).itemsize
    rows = plan.num_times * (_num_parameters(ready) + 3)
    return rows * size + plan.max_events * (size + 5 * 4) + plan.num_steps * 4


def _weight(ready: Ready) -> int:
    """A number that grows with a point's memory: only their order matters."""
    plan = ready.plan
    saved = plan.num_times + 8 * plan.max_events
    return _num_parameters(ready) * (1 + ready.problem.num_data) + saved


def _shaped(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _size(count: int | float) -> str:
    """Bytes in the unit that keeps the number readable."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"
