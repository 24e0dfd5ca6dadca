r"""Stage 2 for white inputs: the logistic law of the initial descent.

If S ẑ = s ẑ (white inputs have S = 1), condensed neurons keep the direction ẑ: with
β = u ẑ, u = Σ_i (a_i⁺)²,

    u̇ = 2 u |φ'(0)| (‖z‖ − s |φ'(0)| u),
    u(t) = ū / (1 + (ū/u_0 − 1) e^{−2λt}),    ū = ‖z‖/(s |φ'(0)|).
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _checks
from ...networks.two_layer import TwoLayer
from ...problems.problem import Problem
from ..recording import Record
from ..save import LogSpaced
from ..trajectory import Trajectory
from .modes import condensed_size, grown
from .records import closed_form, linear_losses, model_times
from .small_weights import (
    SmallWeights,
    check_model,
    is_white_along,
    small_weights,
)


class LogisticLaw(eqx.Module):
    r"""The law u(t) = ū/(1 + (ū/u_0 − 1) e^{−2λt}) of the initial descent.

    Attributes:
        rate: λ.
        limit: ū, the size of the best affine predictor.
        start: u_0.
    """

    rate: Float[Array, "..."]
    limit: Float[Array, "..."]
    start: Float[Array, "..."]

    def growth(self, time: Any) -> Float[Array, "..."]:
        """u/u_0 at a time, the factor by which squares of neurons have grown."""
        left = (self.limit - self.start) * jnp.exp(-2 * self.rate * time)
        return self.limit / (self.start + left)

    def size(self, time: Any) -> Float[Array, "..."]:
        """The size u at a time."""
        return self.start * self.growth(time)

    def time(self, size: Any) -> Float[Array, "..."]:
        """When u has a size below ū: ln[(u/(ū−u)) ((ū−u_0)/u_0)] / (2λ)."""
        odds = lambda u: jnp.log(u / (self.limit - u))
        return (odds(size) - odds(self.start)) / (2 * self.rate)

    def descent_time(self, share: Any) -> Float[Array, "..."]:
        r"""When a share of the descent is done, from the loss of f = 0 to R_lin.

        u = ū (1 − √(1 − share)). The time between two shares depends on λ alone: from
        10 % to 90 % it is 1.8441/λ, whatever the width and the initial sizes.

        Example:
            >>> law = LogisticLaw(jnp.array(1.0), jnp.array(1.0), jnp.array(1e-9))
            >>> print((law.descent_time(0.9) - law.descent_time(0.1)).round(4))
            1.8441
        """
        return self.time(self.limit * (1 - jnp.sqrt(1 - jnp.asarray(share))))


def logistic_law(problem: Problem, network: Any) -> LogisticLaw:
    r"""The logistic law of a network at its start.

    u_0 = Σ_i ((c_i + ẑ·v_i)/2)² is the part of the network that grows; for weights of
    variance σ² its mean is nσ²/2, so that the initial plateau lasts log(1/(nσ²))/(2λ)
    up to a constant.

    Args:
        problem: Data with the squared loss, scalar targets and E[x̃x̃ᵀ] ẑ parallel
            to ẑ.
        network: Initial network, without affine part.

    Returns:
        The law.

    Raises:
        ValueError: If loss, targets, activation or data are not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.sine_and_square()
        >>> net = px.TwoLayer(w=[[1e-6]], b=[0.0], c=[1e-6], activation="tanh")
        >>> law = logistic_law(problem, net)
        >>> print(law.descent_time(0.1).round(2), law.descent_time(0.9).round(2))
        25.44 29.34

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    check_model(problem, network)
    small = small_weights(problem, network.activation)
    if _checks.is_concrete(small.rate) and not small.rate > 0:
        raise ValueError(
            "Argument `problem` must have E[y x̃] not 0 for the logistic law, but it is "
            "0; small networks stay small."
        )
    white = is_white_along(small)
    if _checks.is_concrete(white) and not bool(white):
        raise ValueError(
            "Argument `problem` must have white inputs, or E[x̃x̃ᵀ] ẑ parallel to ẑ, for "
            "the logistic law, but has not; use px.dynamics.reduced.moment_flow."
        )
    return law_of(small, network)


def law_of(small: SmallWeights, network: TwoLayer) -> LogisticLaw:
    """The law of a network, whatever the data."""
    size = small.direction @ small.moments @ small.direction
    limit = small.rate / (small.slope**2 * jnp.where(size > 0, size, 1))
    return LogisticLaw(small.rate, limit, condensed_size(network, small.direction))


def logistic_flow(
    problem: Problem,
    network: Any,
    *,
    t1: Any,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
) -> Trajectory:
    r"""Stages 1 and 2 for white inputs, in closed form: f = φ'(0) u(t) ẑ·x̃.

    The loss is R(t) = R_lin + ½ s (φ'(0))² (ū − u)². Neurons grow by √(u/u_0) in their
    growing mode and shrink by as much in the other.

    Args:
        problem: Data with the squared loss, scalar targets and E[x̃x̃ᵀ] ẑ parallel
            to ẑ.
        network: Initial network, without affine part.
        t1: How long, in flow time; positive.
        save: When to save: `px.log_spaced(num)` or `px.at(times)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, evaluated at the networks of the model.

    Returns:
        The trajectory, with the losses of the law.

    Raises:
        ValueError: If loss, targets, activation, data or a number are not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.sine_and_square()
        >>> net = px.TwoLayer(w=[[1e-6]], b=[0.0], c=[1e-6], activation="tanh")
        >>> print(logistic_flow(problem, net, t1=60.0).losses[-1].round(6))
        0.172362

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    law = logistic_law(problem, network)
    times = model_times(problem, t1, save)
    return _logistic_flow(problem, network, law, times, tuple((record or {}).items()))


@eqx.filter_jit
def _logistic_flow(problem, network, law: LogisticLaw, times, record) -> Trajectory:
    small = small_weights(problem, network.activation)
    beta = law.size(times)[:, None] * small.direction[None, :]
    losses = linear_losses(problem, small.slope, beta)
    at = lambda factor: grown(network, small.direction, factor)
    return closed_form(problem, times, losses, jnp.sqrt(law.growth(times)), at, record)
