r"""The replicator law: the cubic competition of balanced condensed neurons, solved.

For c_i ≈ ±ẑ·v_i the squares q_i = (a_i⁺)² obey, while their sum Q is held,

    q̇_i = k q_i (q_i − Σ_j q_j²/Q),    k = 4κ/3,

for the shares p_i = q_i/Q the replicator equation ṗ_i = kQ p_i (p_i − Σ_j p_j²).
With τ a time of its own it is solved by q_i ∝ q_i(0)/(1 − kτ q_i(0)), where

    t = −(1/kQ) Σ_i log(1 − kτ q_i(0)).
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _checks
from ...networks.two_layer import inner_weights
from ...problems.problem import Problem
from ..recording import Record
from ..save import LogSpaced
from ..trajectory import Trajectory
from .cubic import cubic_drive
from .modes import neuron_modes, with_neurons
from .records import closed_form, model_times
from .small_weights import affine_fit, check_model, small_weights


def replicator_shares(
    shares: Float[Array, " n"], scaled_times: Float[Array, " t"], sign: Float[Array, ""]
) -> Float[Array, "t n"]:
    r"""Solutions of ṗ_i = ±p_i (p_i − Σ_j p_j²) in closed form.

    With the sign + the largest share tends to 1, and with − all become equal. The
    parameter η of p_i ∝ p_i(0)/(1 + r_i expm1(∓η)), r_i = p_i(0)/max p(0), solves
    t = ∓Σ_i log1p(r_i expm1(∓η)) by bisection: 0 ≤ η ≤ t.

    Args:
        shares: p(0) ≥ 0, of sum 1.
        scaled_times: Times at which to know p.
        sign: 1 or −1.

    Returns:
        The shares, a row a time.

    Example:
        >>> start = jnp.array([0.6, 0.4])
        >>> p = replicator_shares(start, jnp.array([0.0, 50.0]), jnp.array(1.0))
        >>> print(p.round(6))
        [[0.6 0.4]
         [1.  0. ]]

    Reference: Hofbauer & Sigmund (1998), Evolutionary Games and Population Dynamics.
    """
    ratios = shares / jnp.max(shares)
    rest, own = jnp.log1p(-ratios), jnp.log(ratios)
    # log(1 + r expm1(∓η)), without overflow and without loss where it tends to −∞.
    logs = lambda eta: jnp.logaddexp(rest, own - sign * eta)

    def halve(_, bounds, time):
        low, high = bounds
        middle = (low + high) / 2
        late = -sign * jnp.sum(logs(middle)) > time
        return jnp.where(late, low, middle), jnp.where(late, middle, high)

    def solve(time):
        steps = jnp.finfo(time.dtype).nmant + 8
        bounds = jnp.zeros_like(time), time
        low, high = jax.lax.fori_loop(
            0, steps, lambda i, bounds: halve(i, bounds, time), bounds
        )
        log_shares = jnp.log(shares) - logs((low + high) / 2)
        weights = jnp.exp(log_shares - jnp.max(log_shares))
        return weights / jnp.sum(weights)

    return jax.lax.map(solve, scaled_times)


def replicator_flow(
    problem: Problem,
    network: Any,
    *,
    t1: Any,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
) -> Trajectory:
    r"""Stage 3 for condensed neurons of balanced size, in closed form.

    The cubic competition with |c_i| = |ẑ·v_i| held: a winner takes all if κ > 0, and
    all become equal if κ < 0. Neurons change in size only, and β = Qẑ stays.
    Balance is an approximation: a neuron that grows by much tends to |ẑ·v| = √3 |c|,
    which `cubic_flow` follows.

    Args:
        problem: Data with the squared loss and scalar targets, for which condensed
            neurons keep their direction (`cubic_drive(...).keeps_direction`).
        network: The network at the entry of the plateau, without affine part, with an
            activation that has φ(0) = φ''(0) = 0.
        t1: How long, in flow time from the entry; positive.
        save: When to save: `px.log_spaced(num)` or `px.at(times)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, evaluated at the networks of the model.

    Returns:
        The trajectory, with losses R_lin − (κ/3) Σ_i q_i².

    Raises:
        ValueError: If loss, targets, activation, data or a number are not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.hyperbolic_tangent()
        >>> net = px.TwoLayer([[0.2], [0.1]], [0.0, 0.0], [0.2, 0.1], activation="tanh")
        >>> run = replicator_flow(problem, net, t1=1e3)
        >>> print((run.network.c / net.c).round(3))
        [1.118 0.004]

    Reference: Hofbauer & Sigmund (1998), "Evolutionary Games and Population Dynamics",
    for the replicator equation; after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    check_model(problem, network)
    drive = cubic_drive(problem, network.activation)
    if _checks.is_concrete(drive.rate) and not bool(drive.keeps_direction):
        raise ValueError(
            "Argument `problem` must let condensed neurons keep their direction for "
            "the replicator law, but turns them; use px.dynamics.reduced.cubic_flow."
        )
    times = model_times(problem, t1, save)
    recorded = tuple((record or {}).items())
    return _replicator_flow(problem, network, drive.rate, times, recorded)


@eqx.filter_jit
def _replicator_flow(problem, network, rate, times, record) -> Trajectory:
    small = small_weights(problem, network.activation)
    q = neuron_modes(network, small.direction).growing ** 2
    total = jnp.sum(q)
    start = q / jnp.where(total > 0, total, 1)
    scaled = 4 / 3 * jnp.abs(rate) * total * times
    shares = replicator_shares(start, scaled, jnp.sign(rate))
    losses = affine_fit(problem).loss - rate / 3 * total**2 * jnp.sum(shares**2, axis=1)
    exists = start > 0
    ratio = shares / jnp.where(exists, start, 1)[None, :]
    factors = jnp.sqrt(jnp.where(exists[None, :], ratio, 1))
    at = lambda factor: with_neurons(
        network, factor * network.c, factor[:, None] * inner_weights(network)
    )
    return closed_form(problem, times, losses, factors, at, record)
