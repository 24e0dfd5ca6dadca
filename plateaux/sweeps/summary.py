"""What is stored of a trained lane."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ..dynamics import Outcome, Trajectory
from ..patterns import dead_neurons, pattern
from ..problems import Problem
from ..stages import Plateaus, plateaus
from ..statistics import log_histogram
from .plan import Plan

OUTCOMES = (
    "completed",
    "diverged",
    "out_of_steps",
    "too_many_events",
    "too_many_slides",
    "stalled",
    "sliding",
    "converged",
)
TABLE_COLUMNS = ("start", "end", "dwell", "level", "drop", "censored")
TABLE_NUMBERS = ("count", "raw_count", "overflow")


EVENT_COLUMNS = ("time", "neuron", "datum", "kind")


def summarise(
    problem: Problem, runs: Trajectory, left: Array, plan: Plan
) -> dict[str, Array]:
    """Boil trajectories with a leading lane axis down to what is stored.

    Args:
        problem: Data and loss.
        runs: The trajectories of a chunk.
        left: Lanes that count; those that follow fill the chunk up.
        plan: Everything static.

    Returns:
        Arrays by the names of the store, with a leading axis of lanes; `loss_counts`,
        of all of them, with one of length 1.
    """
    stored = eqx.filter_vmap(lambda run: summary(problem, run, plan))(runs)
    if plan.accuracy is None:
        return stored | {"loss": runs.losses}
    counts = jnp.arange(len(runs.losses)) < left
    histogram = lambda losses: log_histogram(losses, plan.accuracy, where=counts)
    by_time = jax.lax.map(histogram, runs.losses.T)
    return stored | {"loss_counts": by_time[None]}


def summary(problem: Problem, run: Trajectory, plan: Plan) -> dict[str, Array]:
    """What is stored of one lane, by the names of the store; absent: not known."""
    stats, unwatched = run.stats, jnp.full((), -1, jnp.int32)
    flips = unwatched if stats.pair_flips is None else stats.pair_flips
    changes = unwatched if stats.pattern_changes is None else stats.pattern_changes
    dead = dead_neurons(pattern(run.network, problem.x))
    columns = {
        "times": run.times,
        "final_loss": run.losses[-1],
        "outcome": outcome_code(run.outcome),
        "num_steps": stats.num_steps,
        "pair_flips": flips,
        "pattern_changes": changes,
        "dead_neurons": jnp.sum(dead, dtype=jnp.int32),
    }
    monitors = {
        "energy_residual": run.accuracy.energy_residual,
        "sliding_time": stats.sliding_time,
    }
    columns |= {k: value for k, value in monitors.items() if value is not None}
    for by in plan.by:
        if by == "pattern" and run.events is None:
            continue  # of smooth activations and of least squares: not watched
        table = plateaus(run, **finder_options(plan, by))
        columns |= table_columns(by, table)
    if plan.keep_events and run.events is not None:
        columns |= {f"event_{k}": getattr(run.events, k) for k in EVENT_COLUMNS}
        columns |= {"event_count": run.events.count}
        columns |= {"event_overflow": run.events.overflow}
    return columns


def finder_options(plan: Plan, by: str) -> dict[str, Any]:
    """Arguments of `px.plateaus` for one definition: its own over the common ones."""
    common = {key: value for key, value in plan.plateaus if "." not in key}
    own = {key: value for key, value in plan.plateaus if key.startswith(f"{by}.")}
    own = {key.removeprefix(f"{by}."): value for key, value in own.items()}
    return {"by": by} | common | own


def table_columns(by: str, table: Plateaus) -> dict[str, Array]:
    """The columns of a table of plateaus, by the names of the store."""
    names = TABLE_COLUMNS + TABLE_NUMBERS
    return {f"{by}_{name}": getattr(table, name) for name in names}


def outcome_code(outcome: Any) -> Int[Array, ""]:
    """The place of an outcome in `OUTCOMES`."""
    codes = [
        jnp.where(outcome == getattr(Outcome, name), jnp.int32(code), 0)
        for code, name in enumerate(OUTCOMES)
    ]
    return sum(codes, jnp.zeros((), jnp.int32))


def counted(spec: Any) -> list[str]:
    """Names of what progress is told of: outcomes, and whether plateaus still ran."""
    return ["outcome", *([f"{spec.plateaus.by[0]}_censored"] if spec.trains else [])]


def at_end(codes: np.ndarray) -> np.ndarray:
    """Which lanes reached the end that was asked for, or converged before it."""
    return np.isin(codes, [OUTCOMES.index("completed"), OUTCOMES.index("converged")])
