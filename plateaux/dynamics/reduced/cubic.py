r"""Stage 3, the secondary plateau: the cubic part of φ makes neurons compete.

At the best affine predictor E[r x̃] = 0, and for φ''(0) = 0 the drive of a small
neuron is cubic,

    ċ = (φ'''(0)/6) E[r (v·x̃)³] + ρ·v,    v̇ = c (φ'''(0)/2) E[r (v·x̃)² x̃] + ρ c,

with r the residual of that predictor. The multiplier ρ keeps β = Σ c_i v_i where it
is, as E[f x̃] must stay. Without it neurons do not feel one another, and one along a
kept direction ẑ has, with κ = (φ'''(0)/2) E[r (ẑ·x̃)³] and u = ẑ·v,

    ċ = κ u³/3,    u̇ = κ c u²,    3c² − u² constant.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..._factorisations import solver
from ...networks.activations import Activation
from ...networks.network import extended
from ...networks.two_layer import TwoLayer, inner_weights
from ...problems.problem import Problem
from ..flow_arguments import checked
from ..flow_results import record_all
from ..recording import Record
from ..save import LogSpaced
from ..trajectory import Trajectory
from .modes import with_neurons
from .records import integrated, model_flow
from .small_weights import (
    affine_fit,
    check_model,
    derivatives_at_zero,
    is_parallel,
    small_weights,
)


class CubicDrive(NamedTuple):
    """What drives condensed neurons on the secondary plateau.

    Attributes:
        moment: E[r (ẑ·x̃)³].
        rate: κ = (φ'''(0)/2) E[r (ẑ·x̃)³]: positive for growth.
        keeps_direction: Whether E[r (ẑ·x̃)² x̃] is parallel to ẑ, so that condensed
            neurons stay so; otherwise they turn, and κ does not decide.
    """

    moment: Float[Array, ""]
    rate: Float[Array, ""]
    keeps_direction: Bool[Array, ""]


def cubic_drive(problem: Problem, activation: Activation) -> CubicDrive:
    """The drive of condensed neurons at the best affine predictor.

    Args:
        problem: Data with the squared loss and scalar targets.
        activation: φ, with φ(0) = φ''(0) = 0.

    Returns:
        Its moment, rate and whether neurons keep their direction.

    Raises:
        ValueError: If loss, targets or activation are not as said.

    Example:
        >>> import plateaux as px
        >>> tanh = px.networks.activation("tanh")
        >>> print(cubic_drive(px.problems.hyperbolic_tangent(), tanh).rate.round(3))
        0.177
        >>> print(cubic_drive(px.problems.odd_cubic(), tanh).rate.round(3))
        -0.062

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    small = small_weights(problem, activation)
    _check_odd(activation)
    return _drive(problem, small.direction, small.cubic)


@eqx.filter_jit
def _drive(problem: Problem, direction: Array, cubic: float) -> CubicDrive:
    x1, q = extended(problem.x), problem.sample_weights
    weighted = q * affine_fit(problem).residual * (x1 @ direction) ** 2
    pull = weighted @ x1
    moment = pull @ direction
    # Against the terms of the sums, which may cancel to rounding.
    scale = jnp.abs(weighted) @ jnp.abs(x1)
    return CubicDrive(moment, cubic / 2 * moment, is_parallel(pull, direction, scale))


def _check_odd(activation: Activation) -> None:
    bend = derivatives_at_zero(activation)[2]
    if bend != 0:
        raise ValueError(
            "The activation must have φ''(0) = 0 for a cubic drive, but is "
            f"{activation} with φ''(0) = {bend:g}; take tanh, erf or sin."
        )


def blow_up_time(rate: Any, c: Any, along: Any) -> Float[Array, "..."]:
    r"""When a neuron with ċ = κu³/3, u̇ = κcu² becomes infinite.

    From the constant 3c² − u²,

        t* = √3 / (u_0 (√3 κ c_0 + |κ| u_0)),

    where that is positive, and otherwise never (inf): then it decays to a point of
    rest. From c = u = s it is (3 − √3)/(2κs²) = 0.634/(κs²) for κ > 0.

    Args:
        rate: κ, of `cubic_drive`.
        c: c_0, outer weights.
        along: u_0 = ẑ·v, as many.

    Returns:
        The times.

    Example:
        >>> c, u = jnp.array([0.1, -0.1]), jnp.array([0.1, 0.1])
        >>> print(blow_up_time(1.0, c, u).round(3))
        [63.397    inf]

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    rate, c, along = (jnp.asarray(a, jnp.result_type(float)) for a in (rate, c, along))
    root = jnp.sqrt(jnp.asarray(3, along.dtype))
    speed = along * (root * rate * c + jnp.abs(rate) * along)
    return jnp.where(speed > 0, root / jnp.where(speed > 0, speed, 1), jnp.inf)


def cubic_flow(
    problem: Problem,
    network: Any,
    *,
    t1: Any,
    hold: Any = True,
    rtol: Any = None,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
    max_steps: Any = 10_000,
) -> Trajectory:
    r"""Stage 3: the cubic competition of all neurons on the secondary plateau.

    The gradient flow of V = R_lin − (φ'''(0)/6) Σ_i c_i E[r (v_i·x̃)³], the loss to
    first order; with `hold` on the surface where β = Σ c_i v_i is what it is at the
    start. The relative growth of a neuron is proportional to its squared size, hence
    the largest takes over and becomes infinite in finite time, see `blow_up_time` for
    neurons without `hold`: the run then ends there, with `Outcome.diverged`.

    The error of a step is at most rtol times the size of every neuron.

    Args:
        problem: Data with the squared loss and scalar targets.
        network: The network at the entry of the plateau, without affine part, with an
            activation that has φ(0) = φ''(0) = 0.
        t1: How long, in flow time from the entry; positive.
        hold: Whether the multiplier ρ holds β.
        rtol: Relative error allowed a step; None means 1e-8 in double and 1e-4 in
            single precision.
        save: When to save: `px.log_spaced(num)` or `px.at(times)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, evaluated at the networks of the model.
        max_steps: Most steps to try.

    Returns:
        The trajectory. Its losses are V, which falls below zero where the model has
        long ceased to hold.

    Raises:
        ValueError: If loss, targets, activation or a number are not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.hyperbolic_tangent()
        >>> net = px.TwoLayer(w=[[0.1]], b=[0.0], c=[0.1], activation="tanh")
        >>> run = cubic_flow(problem, net, t1=1e3, hold=False)
        >>> rate = cubic_drive(problem, net.activation).rate
        >>> last = run.times[jnp.isfinite(run.losses)][-1]
        >>> bool(last < blow_up_time(rate, 0.1, 0.1))
        True

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    check_model(problem, network)
    _check_odd(network.activation)
    if not isinstance(hold, bool):
        raise TypeError(f"Argument `hold` must be true or false, but is {hold!r}.")
    arguments = checked(problem, t1, rtol, 0.0, save, 1, max_steps, "explicit")
    recorded = tuple((record or {}).items())
    return _cubic_flow(problem, network, arguments.without_series(), hold, recorded)


@eqx.filter_jit
def _cubic_flow(problem, network, arguments, hold: bool, record) -> Trajectory:
    fit = affine_fit(problem)
    x1, e = extended(problem.x), problem.sample_weights * fit.residual
    third = small_weights(problem, network.activation).cubic

    def velocity(net: TwoLayer) -> TwoLayer:
        c, v = net.c, inner_weights(net)
        z = v @ x1.T
        c_dot = third / 6 * (z**3 @ e)
        v_dot = third / 2 * c[:, None] * ((z**2 * e[None, :]) @ x1)
        if hold:
            rho = _multiplier(c, v, c_dot, v_dot)
            c_dot, v_dot = c_dot + v @ rho, v_dot + c[:, None] * rho[None, :]
        return with_neurons(net, c_dot, v_dot)

    def energy(net: TwoLayer) -> Float[Array, ""]:
        return fit.loss - third / 6 * net.c @ ((inner_weights(net) @ x1.T) ** 3 @ e)

    run = model_flow(problem, network, arguments, velocity)
    networks: Any = run.networks
    last: Any = run.network
    losses = jax.lax.map(energy, networks)
    saved = record_all(problem, networks, record)
    return integrated(problem, network, arguments.times, losses, run, last, saved)


def _multiplier(c, v, c_dot, v_dot) -> Float[Array, " D"]:
    """ρ with which β̇ = Σ (ċ_i v_i + c_i v̇_i) vanishes."""
    moved = c_dot @ v + c @ v_dot
    matrix = v.T @ v + (c @ c) * jnp.eye(v.shape[1], dtype=v.dtype)
    return -solver(matrix)(moved)
