r"""The stages of training from small weights: plateau, descent, plateau, escape.

A network of small weights first stands at the loss R_0 of the zero function, descends
to R_lin, the loss of the best affine predictor, and stands there until single neurons
feel the bend of the activation. With κ = `share`,

* t_p, the end of the initial plateau: first R ≤ R_0 − κ (R_0 − R_lin);
* t_d, the end of the descent: first R ≤ R_0 − (1 − κ)(R_0 − R_lin);
* entry to the secondary plateau: first R ≤ `enter`·R_lin; exit: first R ≤
  `leave`·R_lin.

After Chen, Luo & Wang (2024), arXiv:2410.20119; the boundaries are this package's.
"""

import enum
import functools as ft
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import _checks
from ..dynamics.reduced.cubic import blow_up_time, cubic_drive
from ..dynamics.reduced.logistic import law_of
from ..dynamics.reduced.small_weights import (
    affine_fit,
    derivatives_at_zero,
    is_linear_at_zero,
    is_white_along,
    small_weights,
)
from ..dynamics.trajectory import Trajectory
from ..networks.two_layer import TwoLayer, inner_weights
from ..problems.problem import Problem
from ._modes import network_at
from ._tables import Plateaus
from .plateau import plateaus


class Escape(enum.IntEnum):
    """What became of the secondary plateau.

    `none`: it was not reached. `escaped`: it was left. `not_yet`: the run ended on it.
    `never`: the run ended on it, and the cubic drive has the sign that makes condensed
    neurons equal instead of making one take over.
    """

    none = -1
    escaped = 0
    not_yet = 1
    never = 2


class Multistage(eqx.Module):
    """Stages of one run, or with a leading axis of many.

    Times are interpolated between saved ones, linearly in the loss; inf is never, or
    not before the end of the run. A prediction is NaN where its law does not apply.

    Attributes:
        initial_loss: R_0, at the first saved time.
        linear_loss: R_lin, of the best affine predictor.
        rate: λ, at which condensing neurons grow; NaN if not known.
        start_size: u_0, the part of the initial network that grows; NaN if not known.
        t10: End of the initial plateau, t_p (10 % of the descent by default).
        t90: End of the descent, t_d (90 %).
        entry: When the secondary plateau is reached.
        exit: When it is left.
        level: Loss at the middle of the secondary plateau as far as it was seen; NaN
            if it was not reached.
        predicted_t10: By the logistic law, from u_0 and λ alone: for white inputs.
        predicted_t90: Likewise.
        predicted_exit: Entry plus the blow-up time of the fastest neuron there, where
            neurons keep their direction; inf for a drive of the wrong sign.
        drive: κ = (φ'''(0)/2) E[r (ẑ·x̃)³] of condensed neurons; NaN if the drive is
            not cubic, or turns them.
        escape: An `Escape`.
        plateaus: By slope in log time, without any model.
    """

    initial_loss: Float[Array, "..."]
    linear_loss: Float[Array, "..."]
    rate: Float[Array, "..."]
    start_size: Float[Array, "..."]
    t10: Float[Array, "..."]
    t90: Float[Array, "..."]
    entry: Float[Array, "..."]
    exit: Float[Array, "..."]
    level: Float[Array, "..."]
    predicted_t10: Float[Array, "..."]
    predicted_t90: Float[Array, "..."]
    predicted_exit: Float[Array, "..."]
    drive: Float[Array, "..."]
    escape: Int[Array, "..."]
    plateaus: Plateaus

    @property
    def duration(self) -> Float[Array, "..."]:
        """Length of the secondary plateau: exit − entry; NaN if not reached."""
        return self.exit - self.entry


class _Options(eqx.Module):
    share: Array
    enter: Array
    leave: Array
    slope: Array


def multistage(
    trajectory: Trajectory,
    problem: Problem,
    *,
    share: Any = 0.1,
    enter: Any = 1.02,
    leave: Any = 0.9,
    slope: Any = 0.05,
) -> Multistage:
    r"""Find the stages of training from small weights, measured and predicted.

    Measured times need the losses only, of any network and any way of training.
    Predictions need a two-layer network that was recorded with `record={"network":
    lambda problem, network: network}`, an activation with φ(0) = 0 and φ'(0) not 0,
    and a run in flow time.

    Args:
        trajectory: One run, or many with leading axes, as of `px.flow_many`.
        problem: The data, with the squared loss and scalar targets.
        share: κ: which share of the descent ends the initial plateau, and is left
            when the descent ends; below 1/2.
        enter: The secondary plateau begins at this times R_lin; above 1.
        leave: It ends at this times R_lin; below 1.
        slope: Largest |d log R/d log t| of the plateaus without model.

    Returns:
        The stages. The schedule of saved times limits their resolution.

    Raises:
        ValueError: If loss, targets or a number are not as said.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.sine_and_square()
        >>> net = px.TwoLayer(w=[[1e-6]], b=[0.0], c=[1e-6], activation="tanh")
        >>> keep = {"network": lambda problem, network: network}
        >>> run = px.dynamics.reduced.moment_flow(problem, net, t1=100.0, record=keep)
        >>> stages = multistage(run, problem)
        >>> print(f"{stages.t10:.1f} measured, {stages.predicted_t10:.1f} predicted")
        25.3 measured, 25.4 predicted
        >>> Escape(int(stages.escape)).name
        'not_yet'

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    for name, value, low, high in (
        ("share", share, 0, 0.5),
        ("enter", enter, 1, jnp.inf),
        ("leave", leave, 0, 1),
    ):
        if _checks.is_concrete(value) and not low < value < high:
            raise ValueError(
                f"Argument `{name}` must be between {low} and {high}, but is {value}."
            )
    _checks.positive("slope", slope)
    number = lambda value: jnp.asarray(value, trajectory.losses.dtype)
    options = _Options(*map(number, (share, enter, leave, slope)))
    one = ft.partial(_multistage, problem, options)
    for _ in range(trajectory.times.ndim - 1):
        one = eqx.filter_vmap(one)
    return one(trajectory)


@eqx.filter_jit
def _multistage(problem: Problem, options: _Options, run: Trajectory) -> Multistage:
    linear = affine_fit(problem).loss
    first = run.losses[0]
    below = ft.partial(first_below, run.times, run.losses)
    descent = first - linear
    entry = below(options.enter * linear)
    end = below(options.leave * linear)
    last = _last_time(run)
    middle = (entry + jnp.minimum(end, last)) / 2
    reached = jnp.isfinite(entry)
    level = jnp.interp(jnp.where(reached, middle, 0), run.times, run.losses)
    law = _predict(problem, options, run, jnp.where(reached, entry, 0))
    on_it = jnp.where(law.drive <= 0, Escape.never, Escape.not_yet)
    left = jnp.where(jnp.isfinite(end), Escape.escaped, on_it)
    return Multistage(
        initial_loss=first,
        linear_loss=linear,
        rate=law.rate,
        start_size=law.start_size,
        t10=below(first - options.share * descent),
        t90=below(first - (1 - options.share) * descent),
        entry=entry,
        exit=end,
        level=jnp.where(reached, level, jnp.nan),
        predicted_t10=law.t10,
        predicted_t90=law.t90,
        predicted_exit=jnp.where(reached, entry + law.wait, jnp.nan),
        drive=law.drive,
        escape=jnp.where(reached, left, Escape.none).astype(jnp.int32),
        plateaus=plateaus(run, threshold=options.slope),
    )


def first_below(times: Any, losses: Any, level: Any) -> Float[Array, ""]:
    """When a loss first is at a level or below, linearly between saved times.

    Args:
        times: Saved times, increasing, shape (t,).
        losses: Losses, shape (t,); for many use `jax.vmap`.
        level: One loss.

    Returns:
        The time; inf if never.

    Example:
        >>> print(first_below(jnp.array([0.0, 2.0]), jnp.array([4.0, 2.0]), 3.0))
        1.0
    """
    times, losses = jnp.asarray(times), jnp.asarray(losses)
    under = losses <= level
    right = jnp.argmax(under)
    left = jnp.maximum(right - 1, 0)
    fall = losses[left] - losses[right]
    part = (losses[left] - level) / jnp.where(fall > 0, fall, 1)
    part = jnp.where(fall > 0, part, 1)
    time = times[left] + part * (times[right] - times[left])
    return jnp.where(jnp.any(under), time, jnp.inf)


def _last_time(run: Trajectory) -> Float[Array, ""]:
    """The last saved time whose loss is finite."""
    return jnp.max(jnp.where(jnp.isfinite(run.losses), run.times, 0))


class _Predictions(NamedTuple):
    """What the reduced models say; `wait` is from the entry of the plateau."""

    rate: Float[Array, ""]
    start_size: Float[Array, ""]
    t10: Float[Array, ""]
    t90: Float[Array, ""]
    wait: Float[Array, ""]
    drive: Float[Array, ""]


def _predict(problem, options: _Options, run: Trajectory, entry) -> _Predictions:
    unknown = jnp.full((), jnp.nan, run.losses.dtype)
    nothing = _Predictions(*[unknown] * 6)
    networks: Any = run.saved.get("network")
    activation: Any = getattr(run.network, "activation", None)
    if run.time_unit != problem.time_unit or not _is_small_kind(run.network):
        return nothing
    small = small_weights(problem, activation)
    drive = unknown
    if derivatives_at_zero(activation)[2] == 0:
        cubic = cubic_drive(problem, activation)
        drive = jnp.where(cubic.keeps_direction, cubic.rate, jnp.nan)
    known = nothing._replace(rate=small.rate, drive=drive)
    if not isinstance(networks, TwoLayer):
        return known
    law = law_of(small, jax.tree.map(lambda leaf: leaf[0], networks))
    white = is_white_along(small) & (small.rate > 0)
    only = lambda time: jnp.where(white, time, jnp.nan)
    finite = jnp.sum(jnp.isfinite(run.losses), dtype=jnp.int32)
    at_entry = network_at(run.times, networks, jnp.maximum(finite - 1, 0), entry)
    along = inner_weights(at_entry) @ small.direction
    wait = jnp.min(blow_up_time(drive, at_entry.c, along))
    wait = jnp.where(drive > 0, wait, jnp.inf)
    return known._replace(
        start_size=law.start,
        t10=only(law.descent_time(options.share)),
        t90=only(law.descent_time(1 - options.share)),
        wait=jnp.where(jnp.isnan(drive), jnp.nan, wait),
    )


def _is_small_kind(network: Any) -> bool:
    """Whether the reduced models know this kind of network."""
    if not isinstance(network, TwoLayer) or network.p is not None:
        return False
    return is_linear_at_zero(network.activation)
