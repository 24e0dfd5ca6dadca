"""What a sweep will take: chunks, bytes and time, before it is run."""

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import jax

from .lanes import Ready, prepare
from .layout import num_bytes
from .plan import Start
from .programs import draw_chunk, measure_lanes, signature, train_lanes
from .spec import SweepSpec
from .workers import default_workers

PROBE_STEPS, PROBE_LANES = 320, 256


@dataclass(frozen=True)
class Estimate:
    """The size of a sweep.

    Attributes:
        points: Labels of the grid points.
        lanes: Lanes a point.
        chunk: Lanes trained together.
        num_chunks: Chunks of all points.
        num_bytes: Size of the store before compression.
        seconds: Estimated time of the whole sweep.
        how: What the estimate of time rests on.
    """

    points: list[str]
    lanes: int
    chunk: int
    num_chunks: int
    num_bytes: int
    seconds: float
    how: str


def estimate(spec: SweepSpec) -> Estimate:
    """Estimate a sweep from a short timed probe of each of its programs.

    Args:
        spec: The specification.

    Returns:
        The estimate. Time is that of one chunk of the first point of each program,
        over few steps (of flow and least squares: few lanes to their ends) and scaled,
        times the chunks, divided by the cores, and the time of compiling.
        Plateaus with much chatter take longer, runs that converge early less.

    Raises:
        SweepError: As `sweep`.
        ValueError: As `sweep`.
    """
    ready = prepare(spec)
    probed: dict[Any, float] = {}
    seconds, compiling = 0.0, 0.0
    for one in ready:
        short, starts, share = _probe(one, draw_chunk(spec, one, 0))
        program = signature((short.problem, starts, short.plan))
        if program not in probed:
            first = _seconds(short, starts)
            probed[program] = _seconds(short, starts)
            compiling += first - probed[program]
        seconds += probed[program] / share * spec.num_chunks
    return Estimate(
        points=[one.point.label for one in ready],
        lanes=spec.sweep.lanes,
        chunk=spec.chunk,
        num_chunks=len(ready) * spec.num_chunks,
        num_bytes=num_bytes(spec),
        seconds=seconds / default_workers() + compiling,
        how=f"a timed probe of {PROBE_STEPS} steps, or {PROBE_LANES} lanes, of "
        "every program",
    )


def _seconds(ready: Ready, starts: Start) -> float:
    run = train_lanes if ready.plan.trains else measure_lanes
    begun = time.perf_counter()
    jax.block_until_ready(run(ready, starts))
    return time.perf_counter() - begun


def _probe(ready: Ready, starts: Start) -> tuple[Ready, Start, float]:
    """Fewer steps, or in a queue fewer lanes, and which share of a chunk that is."""
    plan, lanes = ready.plan, len(starts.key)
    if not plan.trains:
        return ready, starts, 1.0
    if plan.queued:
        few = min(lanes, PROBE_LANES)
        return ready, jax.tree.map(lambda leaf: leaf[:few], starts), few / lanes
    steps = min(plan.num_steps, PROBE_STEPS)
    short = dataclasses.replace(plan, num_steps=steps)
    share = steps / plan.num_steps
    return dataclasses.replace(ready, plan=short), starts, share
