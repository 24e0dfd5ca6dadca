"""The one record that every way of training returns."""

import enum
from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import Network


class Outcome(eqx.Enumeration):
    """Why a run ended; the value is the sentence for the user."""

    completed = "The run reached the end that was asked for."
    diverged = (
        "A parameter or the loss is no longer finite; the last finite network is "
        "kept. Lower the step size."
    )


class EventKind(enum.IntEnum):
    """What a pair (neuron, datum) did at an event.

    `none`: an unused row of the table. `off`: the datum left the neuron's active set.
    `on`: the datum entered it. `slide`: the kink began to slide along the datum.
    `collapse`: the neuron's inner weights reached 0, where all its kinks meet.
    """

    none = -1
    off = 0
    on = 1
    slide = 2
    collapse = 3


class Events(eqx.Module):
    """Activation events in order of time, a table of fixed size.

    Attributes:
        time: Event times, in the trajectory's time unit; inf in unused rows.
        neuron: Hidden unit, counted from 0 through all layers; -1 in unused rows.
        datum: Datum, counted from 0; -1 in unused rows.
        kind: What happened, an `EventKind`.
        count: Rows in use, at most the size of the table.
        overflow: Whether more happened than the table holds; the first are kept.
    """

    time: Float[Array, " E"]
    neuron: Int[Array, " E"]
    datum: Int[Array, " E"]
    kind: Int[Array, " E"]
    count: Int[Array, ""]
    overflow: Bool[Array, ""]


class Accuracy(eqx.Module):
    """Free monitors of how exactly a run followed gradient flow.

    Attributes:
        imbalance_drift: Largest change of a neuron's imbalance c² − ‖v‖² from start
            to end (0 for exact flow of a homogeneous two-layer network), or None.
        energy_residual: L(0) − L(T) − Σ h‖∇L‖² of plain gradient descent (0 for
            exact flow), in units of the loss, or None. First order in h, except where
            descent chatters: there it stays negative as h → 0, because the mean
            square of gradients that jump from side to side exceeds the square of
            their mean, the velocity of the sliding flow.
    """

    imbalance_drift: Float[Array, ""] | None
    energy_residual: Float[Array, ""] | None


class Stats(eqx.Module):
    """Exact counts of a run.

    Attributes:
        num_steps: Steps taken before the run ended.
        pair_flips: Times a pair (neuron, datum) changed side, or None if unwatched.
        pattern_changes: Steps at which the pattern changed, or None if unwatched;
            the raw number of plateaus by pattern is one more.
    """

    num_steps: Int[Array, ""]
    pair_flips: Int[Array, ""] | None
    pattern_changes: Int[Array, ""] | None


class Trajectory(eqx.Module):
    """How one network trained: the return type of every way of training.

    Attributes:
        times: Saved times, strictly increasing.
        steps: Step numbers of the saved times.
        losses: Loss at the saved times; inf after a run diverged.
        saved: What `record=` asked for, each with a leading time axis.
        network: The last (finite) network.
        outcome: Why the run ended, an `Outcome`.
        events: Activation events, or None if patterns were not watched.
        accuracy: Monitors of exactness.
        stats: Counts.
        time_unit: What one unit of `times` is, in words.
    """

    times: Float[Array, " t"]
    steps: Int[Array, " t"]
    losses: Float[Array, " t"]
    saved: dict[str, Any]
    network: Network
    outcome: Outcome
    events: Events | None
    accuracy: Accuracy
    stats: Stats
    time_unit: str = eqx.field(static=True)
