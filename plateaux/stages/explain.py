r"""Plateaus with their explanation: what the loss approaches, how fast, what ends it.

On a plateau by pattern a two-layer ReLU network f = Φη is linear in η_i = c_i v_i, so
the loss comes near a floor that one linear least-squares problem gives. While pairs
slide the same holds with η_i·x̃_k = 0 held. All numbers here are of that linear problem,
at the start and end of each plateau.
"""

import enum
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from ..dynamics.save import At, at
from ..dynamics.trajectory import EventKind, Trajectory
from ..networks.two_layer import TwoLayer
from ..patterns.cells import check_cells
from ..patterns.pattern import pattern
from ..problems.problem import Problem
from ._modes import (
    Numbers,
    is_saved,
    look_at,
    modes_at,
    network_at,
    saved_inside,
)
from ._tables import Plateaus
from .plateau import plateaus


class PlateauKind(enum.IntEnum):
    """What a plateau by pattern is.

    `none`: an unused row. `approach`: to the floor of the cell. `saddle`: escape from
    one; the rate at which the excess decays grows, because weights grow. `sliding`:
    approach to the floor of a mode in which at least one kink is held on a datum.
    `dead`: every neuron is off on all data.
    """

    none = -1
    approach = 0
    saddle = 1
    sliding = 2
    dead = 3


class Explanation(eqx.Module):
    """One row a plateau, a table of fixed size; print `describe()`.

    Attributes:
        plateaus: When, and at which loss: the table of `px.plateaus(by="pattern")`.
        kind: A `PlateauKind`.
        pattern: Which pairs are on.
        sliding: Which pairs slide; they are neither on nor off.
        floor: L_A: the least loss of the pattern, or of the sliding mode.
        excess_start: (L − L_A)/L_A at the start; over ½ Σ q y² where L_A is zero.
        excess_end: The same at the end.
        rate_start: −d/dt log(L − L_A) of gradient flow at the start; 0 where the
            excess is zero to rounding.
        rate_end: The same at the end.
        slowest: Lower bound of that rate at the start, 2σ₋² min c_i².
        fastest: Upper bound, 2σ₊² max(c_i² + ‖v_i‖²).
        latest_exit: Proven latest end under gradient flow, from the start of the
            plateau alone; inf where nothing forces an end.
        confined: Whether it is proven, from the start of the plateau, to last for ever
            under gradient flow.
        neuron: Neuron of the event that ended it; −1 if it was still running.
        datum: Datum of that event.
        event: What the pair did, an `EventKind`.
        resolved: Whether start and end are saved times. Otherwise the numbers at the
            start and end are those at the first and last saved times inside the
            plateau; where none is, they are of networks interpolated linearly between
            saved ones, and rough.
        time_unit: What one unit of time is.
    """

    plateaus: Plateaus
    kind: Int[Array, " P"]
    pattern: Bool[Array, "P n K"]
    sliding: Bool[Array, "P n K"]
    floor: Float[Array, " P"]
    excess_start: Float[Array, " P"]
    excess_end: Float[Array, " P"]
    rate_start: Float[Array, " P"]
    rate_end: Float[Array, " P"]
    slowest: Float[Array, " P"]
    fastest: Float[Array, " P"]
    latest_exit: Float[Array, " P"]
    confined: Bool[Array, " P"]
    neuron: Int[Array, " P"]
    datum: Int[Array, " P"]
    event: Int[Array, " P"]
    resolved: Bool[Array, " P"]
    time_unit: str = eqx.field(static=True)

    def describe(self) -> str:
        """One line a plateau, in words.

        Raises:
            ValueError: If this is a batch.
        """
        if self.kind.ndim != 1:
            raise ValueError(
                "The explanation must be that of one run to be described, but is a "
                f"batch of shape {self.kind.shape[:-1]}; take one lane of it first."
            )
        table = jax.tree.map(np.asarray, self)
        rows = (_sentence(table, i) for i in range(int(table.plateaus.count)))
        return "\n".join(rows)


def explain(
    problem: Problem,
    trajectory: Trajectory,
    *,
    max_plateaus: Any = None,
    growth: Any = 2.0,
) -> Explanation:
    r"""Explain every plateau by pattern of one trajectory; `jax.vmap` for many.

    The trajectory must have recorded its networks, with
    `record={"network": lambda problem, network: network}`. Numbers at the start and
    end of a plateau are those there only where these are saved times: run once, then
    again with `save=px.stages.at_events(run)`. See `Explanation.resolved`.

    Excess, rates and bounds are those of the linear problem of the plateau, whose
    residual is r = Φη − y at the networks' present η. Rates, latest exits and
    confinement are statements about gradient flow; they are approximate for descent
    with a finite step, and 0, inf and False for optimisers whose time counts steps.

    Args:
        problem: The data, with the squared loss.
        trajectory: From `px.flow` or `px.descend` of a two-layer ReLU network.
        max_plateaus: Rows of the table; None means one more than the table of events.
        growth: A plateau is a saddle's if the rate at which the excess decays grows by
            more than this factor from its start to its end; never where no network
            was saved inside the plateau.

    Returns:
        The explanation.

    Raises:
        ValueError: If networks were not recorded, patterns were not watched, the
            network has no cells, or a number is out of range.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[0.0], [1.0], [2.0]], [1.0, 0.0, 1.0])
        >>> network = px.TwoLayer(w=[[1.0]], b=[-0.2], c=[1.5], p=[0.0, 0.0])
        >>> keep = {"network": lambda problem, network: network}
        >>> run = px.flow(problem, network, t1=20.0, record=keep)
        >>> table = explain(problem, run, max_plateaus=4)
        >>> print(table.describe())
        1. ...

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    network: Any = trajectory.network
    check_cells(problem, network)
    networks = trajectory.saved.get("network")
    if not isinstance(networks, TwoLayer):
        raise ValueError(
            "The trajectory must have recorded its networks to be explained, but has "
            f"saved {sorted(trajectory.saved) or 'nothing'}; train with "
            '`record={"network": lambda problem, network: network}`.'
        )
    growth = _checks.positive("growth", growth)
    table = plateaus(trajectory, by="pattern", max_plateaus=max_plateaus)
    return _explain(problem, trajectory, table, jnp.asarray(growth, problem.x.dtype))


def at_events(trajectory: Trajectory) -> At:
    """A schedule of a run's saved times and the times of all its events.

    A second run with `save=` this has the networks at the start and end of every
    plateau by pattern.

    Args:
        trajectory: One run with events.

    Returns:
        A schedule for `save=`.

    Raises:
        ValueError: If the run has no events table, or is a batch.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[0.0], [1.0], [2.0]], [1.0, 0.0, 1.0])
        >>> network = px.TwoLayer(w=[[1.0]], b=[-0.2], c=[1.5], p=[0.0, 0.0])
        >>> keep = {"network": lambda problem, network: network}
        >>> run = px.flow(problem, network, t1=20.0, record=keep)
        >>> int(run.events.count) > 0
        True
        >>> len(at_events(run).times) == len(run.times) + int(run.events.count)
        True
    """
    events = trajectory.events
    if events is None or events.time.ndim != 1:
        raise ValueError(
            "The trajectory must be one run that watched its patterns, but "
            + ("has no events." if events is None else "is a batch.")
        )
    times = np.asarray(trajectory.times)
    found = np.asarray(events.time)
    return at(np.union1d(times, found[found <= times[-1]]))


@eqx.filter_jit
def _explain(problem, run: Trajectory, table: Plateaus, growth) -> Explanation:
    networks: Any = run.saved["network"]
    last = jnp.maximum(jnp.sum(jnp.isfinite(run.losses), dtype=jnp.int32) - 1, 0)
    events: Any = run.events
    first = jax.tree.map(lambda leaf: leaf[0], networks)
    modes = modes_at(problem.x, pattern(first, problem.x), events, table.start)
    used = jnp.arange(table.start.size, dtype=jnp.int32) < table.count
    inside, begin, finish = saved_inside(run.times, last, table.start, table.end)
    flows = run.time_unit == problem.time_unit

    def row(arguments):
        on, slides, start, end = arguments
        first = network_at(run.times, networks, last, start)
        final = network_at(run.times, networks, last, end)
        return look_at(problem, on, slides, first, final, flows)

    columns = (modes == EventKind.on, modes == EventKind.slide, begin, finish)
    shapes = jax.eval_shape(row, jax.tree.map(lambda a: a[0], columns))
    empty = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    nothing = lambda _: empty
    look = lambda a: jax.lax.cond(a[0], row, nothing, a[1:])
    found: Numbers = jax.lax.map(look, (used, *columns))
    grows = inside & (found.rate_end > growth * found.rate_start)
    kind = jnp.where(grows, PlateauKind.saddle, PlateauKind.approach)
    on, slides = columns[:2]
    kind = jnp.where(jnp.any(on, axis=(1, 2)), kind, PlateauKind.dead)
    kind = jnp.where(jnp.any(slides, axis=(1, 2)), PlateauKind.sliding, kind)
    ended = used & ~table.censored
    which = jnp.searchsorted(events.time, jnp.where(ended, table.end, 0))
    which = jnp.minimum(which, events.time.size - 1)
    ending = lambda column: jnp.where(ended, column[which], -1)
    near = is_saved(run.times, table.start) & is_saved(run.times, table.end)
    return Explanation(
        plateaus=table,
        kind=jnp.where(used, kind, PlateauKind.none).astype(jnp.int32),
        pattern=on & used[:, None, None],
        sliding=slides & used[:, None, None],
        floor=found.floor,
        excess_start=found.excess_start,
        excess_end=found.excess_end,
        rate_start=found.rate_start,
        rate_end=found.rate_end,
        slowest=found.slowest,
        fastest=found.fastest,
        latest_exit=jnp.where(used, begin + found.wait, jnp.inf),
        confined=found.confined,
        neuron=ending(events.neuron),
        datum=ending(events.datum),
        event=ending(events.kind),
        resolved=used & near,
        time_unit=run.time_unit,
    )


_KINDS = {
    PlateauKind.approach: "approach to the floor",
    PlateauKind.saddle: "escape from a saddle, above the floor",
    PlateauKind.sliding: "sliding, towards the floor",
    PlateauKind.dead: "all neurons dead, floor",
}
_EVENTS = {
    EventKind.off: "went off",
    EventKind.on: "went on",
    EventKind.slide: "began to slide",
    EventKind.collapse: "collapsed",
}


def _sentence(table: Explanation, i: int) -> str:
    times = table.plateaus
    running = bool(times.censored[i])
    words = f"{i + 1}. {float(times.start[i]):.4g} to {float(times.end[i]):.4g}"
    words += (", still running: " if running else ": ") + _KINDS[
        PlateauKind(int(table.kind[i]))
    ]
    words += f" {float(table.floor[i]):.4g}, excess {float(table.excess_start[i]):.2g}"
    words += f" to {float(table.excess_end[i]):.2g} of it"
    if not running:
        words += f"; ended when neuron {int(table.neuron[i])}"
        if table.event[i] != EventKind.collapse:
            words += f" at datum {int(table.datum[i])}"
        words += f" {_EVENTS[EventKind(int(table.event[i]))]}"
    if np.isfinite(table.latest_exit[i]):
        words += f"; had to end by {float(table.latest_exit[i]):.3g}"
    if table.confined[i]:
        words += "; proven to last for ever"
    return words + ("." if table.resolved[i] else " (not saved at its ends).")
