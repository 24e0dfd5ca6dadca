"""What a sweep will take: chunks, bytes and time, before it is run."""

import dataclasses
import time
from dataclasses import dataclass

from .lanes import Ready, prepare, train
from .layout import num_bytes
from .programs import PROGRAMS, draw_chunk, train_lanes
from .spec import SweepSpec
from .workers import default_workers

PROBE_STEPS = 320


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
        The estimate. Time is that of one chunk of the first point of each program
        over few steps, scaled to all steps and chunks, divided by the cores, and the
        time of compiling; plateaus with much chatter take longer.

    Raises:
        SweepError: As `sweep`.
        ValueError: As `sweep`.
    """
    ready = prepare(spec)
    probed: dict[int, float] = {}
    seconds, compiling = 0.0, 0.0
    for one in ready:
        short = _short(one)
        begun = time.perf_counter()
        networks = draw_chunk(spec, short, 0)
        arguments = (short.problem, networks, short.step_size, short.plan)
        program = PROGRAMS.get(train, *arguments)
        compiling += time.perf_counter() - begun
        if id(program) not in probed:
            train_lanes(short, networks)
            begun = time.perf_counter()
            train_lanes(short, networks)
            probed[id(program)] = time.perf_counter() - begun
        scale = one.plan.num_steps / short.plan.num_steps
        seconds += probed[id(program)] * scale * spec.num_chunks
    return Estimate(
        points=[one.point.label for one in ready],
        lanes=spec.sweep.lanes,
        chunk=spec.chunk,
        num_chunks=len(ready) * spec.num_chunks,
        num_bytes=num_bytes(spec),
        seconds=seconds / default_workers() + compiling,
        how=f"a timed probe of {PROBE_STEPS} steps of one chunk of every program",
    )


def _short(ready: Ready) -> Ready:
    steps = min(ready.plan.num_steps, PROBE_STEPS)
    return dataclasses.replace(
        ready, plan=dataclasses.replace(ready.plan, num_steps=steps)
    )
