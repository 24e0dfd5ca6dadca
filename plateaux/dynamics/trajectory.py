"""The one record that every way of training returns."""

import enum
from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import Network


class Outcome(eqx.Enumeration):
    """Why a run ended; the value is the sentence for the user."""

    completed = "The run reached the end that was asked for."
    converged = (
        "The loss stopped falling before the end that was asked for; the network stays "
        "as it is from there on."
    )
    out_of_steps = (
        "The run took `max_steps` steps before its end; the trajectory is kept up to "
        "there. Raise max_steps, or rtol."
    )
    too_many_events = (
        "More activation events happened than the table holds; the trajectory is kept "
        "up to there. Raise max_events."
    )
    too_many_slides = (
        "A neuron slides along more data at once than it has inputs (or 8), which "
        "happens where data coincide; the trajectory is kept up to there. Merge equal "
        "data, with their weights added."
    )
    stalled = (
        "Activation events followed one another without progress in time; the "
        "trajectory is kept up to there. Start from a generic point."
    )
    sliding = (
        "A kink of a deep network reached a boundary along which the flow slides, "
        "which is solved for two-layer networks only; the trajectory is kept up to "
        "there. The last event says the neuron and datum."
    )
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
        kind: What happened, an `EventKind`: the pair's new mode.
        count: Rows in use, at most the size of the table.
        overflow: Whether more happened than the table holds; the first are kept.
        previous: The pair's mode before, an `EventKind`: on or off after slide is the
            end of a slide, otherwise a crossing. None where it was not recorded.
        dies: Whether no datum is in the neuron's active set from here on, so that its
            gradient is 0 (for ReLU). None where it was not recorded.
    """

    time: Float[Array, " E"]
    neuron: Int[Array, " E"]
    datum: Int[Array, " E"]
    kind: Int[Array, " E"]
    count: Int[Array, ""]
    overflow: Bool[Array, ""]
    previous: Int[Array, " E"] | None = None
    dies: Bool[Array, " E"] | None = None


class Accuracy(eqx.Module):
    """Monitors of how exactly a run followed gradient flow.

    Attributes:
        balancedness: Largest change of a neuron's imbalance c² − ‖v‖² from start
            to end (0 for exact flow of a homogeneous two-layer network), or None.
        energy_residual: L(0) − L(T) − ∫‖θ̇‖² dt (0 for exact flow), in units of the
            loss, or None. For plain gradient descent the integral is Σ h‖∇L‖²: first
            order in h, except where descent chatters: there it stays negative as
            h → 0, because the mean square of gradients that jump from side to side
            exceeds the square of their mean, the velocity of the sliding flow.
        slide_distance: Largest |z_ik|/(‖v_i‖‖x̃_k‖) of a sliding pair at the end of a
            step (0 for exact flow), or None.
        estimated_error: Distance of the last parameters to those of exact flow, as
            estimated from a second run at half the tolerance, or None if not asked
            for.
    """

    balancedness: Float[Array, ""] | None
    energy_residual: Float[Array, ""] | None
    slide_distance: Float[Array, ""] | None = None
    estimated_error: Float[Array, ""] | None = None


class Stats(eqx.Module):
    """Exact counts of a run.

    Attributes:
        num_steps: Steps taken before the run ended.
        pair_flips: Times a pair (neuron, datum) changed side, or None if unwatched.
        pattern_changes: Steps at which the pattern changed, or None if unwatched;
            the raw number of plateaus by pattern is one more.
        num_rejected: Steps tried and not taken, or None for fixed steps.
        sliding_time: Time with at least one sliding pair, or None.
        num_ambiguous: Times the flow could go on in several ways, or None: a kink on a
            boundary that repels it keeps the side it came from (off at the start); a
            neuron that collapses stays dead. Descent may do otherwise.
        num_grazing: Events at which the flow has no derivative: a kink that only grazes
            a datum, two events at one time; or None.
        num_stiff: How many of the steps were taken by the stiff method, or None.
    """

    num_steps: Int[Array, ""]
    pair_flips: Int[Array, ""] | None
    pattern_changes: Int[Array, ""] | None
    num_rejected: Int[Array, ""] | None = None
    sliding_time: Float[Array, ""] | None = None
    num_ambiguous: Int[Array, ""] | None = None
    num_grazing: Int[Array, ""] | None = None
    num_stiff: Int[Array, ""] | None = None


class Trajectory(eqx.Module):
    """How one network trained: the return type of every way of training.

    Attributes:
        times: Saved times, strictly increasing.
        steps: Step numbers of the saved times; for flow, steps taken up to there.
        losses: Loss at the saved times; inf beyond the end of a run that ended early,
            except of one that converged, whose network stays.
        saved: What `record=` asked for, each with a leading time axis.
        network: The last (finite) network.
        outcome: Why the run ended, an `Outcome`.
        events: Activation events, or None if patterns were not watched.
        accuracy: Monitors of exactness.
        stats: Counts.
        time_unit: What one unit of `times` is, in words.
        moves: For `px.anls`, the `Move` that every step accepted; otherwise None.
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
    moves: Int[Array, " s"] | None = None
