r"""Leaving a plateau: when, and if not, why not.

| criterion | the plateau is left when |
|---|---|
| "loss" | the loss is at `level` or below |
| "share" | the loss is at `level` times the initial loss or below |
| "slope" | the loss falls steeply, −d log L/d log t > `level` |
| "distance" | the parameters are `level` away from where they started |
| "gradient" | the gradient's norm is `level` times the initial one |

The first three need losses only. "distance" reads networks recorded as "network",
"gradient" norms recorded as "gradient_norm" by `px.dynamics.gradient_norm`.
"""

import enum
import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from ..dynamics.gradient import gradient_norm
from ..dynamics.trajectory import Outcome, Trajectory
from ..problems.task import Task
from ._tables import finite_part, log_slopes
from .multistage import first_below

CRITERIA = ("loss", "share", "slope", "distance", "gradient")
_RECORDS = {"distance": "network", "gradient": "gradient_norm"}


class EscapeCause(enum.IntEnum):
    """What ended the plateau, or the watch over it.

    `descended`: it was left. `diverged`: the run stopped being finite before. `dead`:
    the run ended on it with a gradient that is exactly 0 in its precision, so that
    no method driven by gradients leaves it. `still`: the run ended on it.
    """

    descended = 0
    diverged = 1
    dead = 2
    still = 3


class EscapeTime(eqx.Module):
    """When one run left its plateau, or with a leading axis many.

    Attributes:
        time: When, in the trajectory's time unit, linear between saved times; inf if it
            did not.
        duration: The same, or the last time seen of a run that did not: what survival
            curves want beside `censored`.
        censored: Whether the plateau was not left. Runs that diverged or are dead are
            among them: see `cause`.
        cause: An `EscapeCause`.
        level: The loss at `time`, or the last one.
    """

    time: Float[Array, "..."]
    duration: Float[Array, "..."]
    censored: Bool[Array, "..."]
    cause: Int[Array, "..."]
    level: Float[Array, "..."]


def escape(
    trajectory: Trajectory,
    problem: Task,
    *,
    criterion: Any = "share",
    level: Any,
) -> EscapeTime:
    r"""When a run left the plateau it started on, by a stated criterion.

    A run that diverges may pass a distance or a gradient on its way: where it does so
    at a loss above the initial one it has not descended, but diverged.

    Args:
        trajectory: One run, or many with leading axes, of any way of training.
        problem: What it was trained on, for its last gradient.
        criterion: "loss", "share", "slope", "distance" or "gradient", see above.
        level: The number that the criterion compares with; positive.

    Returns:
        The escape time. The schedule of saved times limits its resolution: save every
        step to count steps.

    Raises:
        ValueError: If the criterion is unknown, the level is not positive, or what the
            criterion reads was not recorded.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> train = lambda w: px.descend(
        ...     problem, px.networks.Chain(w), px.gradient_descent(0.01), num_steps=9999
        ... )
        >>> found = escape(train([0.3] * 6), problem, level=0.25)
        >>> print(f"{found.time:.0f}", EscapeCause(int(found.cause)).name)
        31 descended
        >>> found = escape(train([0.0] * 6), problem, level=0.25)
        >>> print(found.time, EscapeCause(int(found.cause)).name)
        inf dead

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    _checks.known("criterion of an escape", criterion, CRITERIA)
    _checks.positive("level", level)
    needed = _RECORDS.get(criterion)
    if needed is not None and needed not in trajectory.saved:
        raise ValueError(
            f"The trajectory must have recorded {needed!r} for the criterion "
            f"{criterion!r}, but has {sorted(trajectory.saved)}."
        )
    level = jnp.asarray(level, trajectory.losses.dtype)
    one = ft.partial(_escape, problem, criterion, level)
    for _ in range(trajectory.times.ndim - 1):
        one = eqx.filter_vmap(one)
    return one(trajectory)


@eqx.filter_jit
def _escape(problem: Task, criterion: str, level, run: Trajectory) -> EscapeTime:
    times, losses, last = finite_part(run)
    time = _left(criterion, level, run, losses, last)
    end = jnp.minimum(time, times[last])
    loss = jnp.interp(end, times, losses)
    diverged = run.outcome == Outcome.diverged
    left = jnp.isfinite(time) & ~(diverged & (loss > losses[0]))
    dead = gradient_norm(problem, run.network) == 0
    cause = jnp.where(dead, EscapeCause.dead, EscapeCause.still)
    cause = jnp.where(diverged, EscapeCause.diverged, cause)
    cause = jnp.where(left, EscapeCause.descended, cause)
    return EscapeTime(
        time=jnp.where(left, time, jnp.inf),
        duration=jnp.where(left, time, times[last]),
        censored=~left,
        cause=cause.astype(jnp.int32),
        level=jnp.where(left, loss, losses[last]),
    )


def _left(criterion: str, level, run: Trajectory, losses, last) -> Float[Array, ""]:
    """When the criterion is met first, among the finite losses."""
    times = run.times
    if criterion == "slope":
        return _steepens(times, losses, last, level)
    series = {
        "loss": lambda: losses,
        "share": lambda: losses / losses[0],
        "distance": lambda: -_distances(run.saved["network"]),
        "gradient": lambda: -run.saved["gradient_norm"],
    }[criterion]()
    bound = {"distance": -level, "gradient": level * series[0]}.get(criterion, level)
    seen = jnp.arange(times.size, dtype=jnp.int32) <= last
    return first_below(times, jnp.where(seen, series, jnp.inf), bound)


def _steepens(times, losses, last, level) -> Float[Array, ""]:
    """Start of the first interval on which the loss falls steeply; inf if none."""
    index = jnp.arange(1, times.size - 1, dtype=jnp.int32)
    steep = (log_slopes(times, losses) < -level) & (index < last)
    return jnp.min(jnp.where(steep, times[1:-1], jnp.inf), initial=jnp.inf)


def _distances(networks: Any) -> Float[Array, " t"]:
    flat = jax.vmap(lambda net: ravel_pytree(eqx.filter(net, eqx.is_inexact_array))[0])
    rows = flat(networks)
    return jnp.linalg.norm(rows - rows[:1], axis=1)
