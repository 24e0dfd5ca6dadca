r"""Stage 2, the initial descent: small neurons are a linear network of two layers.

For φ(z) = φ'(0) z, θ_i = (c_i, v_i), β = Σ_i c_i v_i and g = φ'(0)(z − φ'(0) S β),

    θ̇_i = G θ_i for all i,    G = [[0, gᵀ], [g, 0]],

so that the moments M = Σ_i θ_i θ_iᵀ obey Ṁ = GM + MG, closed because β is a block of
M, and θ_i(t) = P(t) θ_i(0) with one propagator for all neurons. The columns of P are
the paths of D + 1 neurons that start at the unit vectors.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...networks.two_layer import TwoLayer, inner_weights
from ...problems.problem import Problem
from ..flow_arguments import checked
from ..flow_results import record_all
from ..recording import Record
from ..save import LogSpaced
from ..trajectory import Trajectory
from .modes import with_neurons
from .records import integrated, linear_losses, model_flow
from .small_weights import check_model, small_weights


def moment_flow(
    problem: Problem,
    network: Any,
    *,
    t1: Any,
    rtol: Any = None,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
    max_steps: Any = 10_000,
) -> Trajectory:
    r"""Stages 1 and 2: the flow of the network with φ(z) = φ'(0) z, by its moments.

    An ordinary differential equation of (d + 2)² numbers, whatever the width: the cost
    of a run does not depend on n, but for one look at the initial network and one at
    the last (and those that are recorded). For `identity` it is the flow itself; for
    tanh and other odd φ it errs by O(1/n) up to the secondary plateau, where neurons
    have size n^{−1/2}. c_i² − ‖v_i‖² is conserved.

    The error of a step is at most rtol times the size of every column of the
    propagator; there is no absolute tolerance, so that initial sizes like 1e-12 grow
    by the right factor.

    Args:
        problem: Data with the squared loss and scalar targets, of any covariance.
        network: Initial network, without affine part, of any width.
        t1: How long, in flow time; positive.
        rtol: Relative error allowed a step; None means 1e-8 in double and 1e-4 in
            single precision.
        save: When to save: `px.log_spaced(num)` or `px.at(times)`.
        record: What to save besides: functions of (problem, network) by name.
        max_steps: Most steps to try.

    Returns:
        The trajectory. `saved["propagator"]` is P(t) and `saved["moments"]` is M(t),
        in the order (c, w, b): `propagated(network, P)` gives networks back. Losses
        are those of the linear network; its networks keep the activation.

    Raises:
        ValueError: If loss, targets, activation or a number are not as said, or
            `record` uses one of the two names.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.sine_and_square()
        >>> net = px.TwoLayer(w=[[1e-6]], b=[0.0], c=[1e-6], activation="tanh")
        >>> run = moment_flow(problem, net, t1=60.0)
        >>> print(run.losses[-1].round(6), run.saved["propagator"].shape)
        0.172362 (200, 3, 3)

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119; for linear networks
    Saxe, McClelland & Ganguli (2014), arXiv:1312.6120.
    """
    check_model(problem, network)
    arguments = checked(problem, t1, rtol, 0.0, save, 1, max_steps, "explicit")
    taken = {"propagator", "moments"} & set(record or {})
    if taken:
        raise ValueError(
            "Argument `record` must not use the names 'propagator' and 'moments' of a "
            f"moment flow, but uses {sorted(taken)}; choose others."
        )
    theta = _neurons(network)
    unit = jnp.eye(theta.shape[1], dtype=theta.dtype)
    units = with_neurons(network, unit[:, 0], unit[:, 1:])
    arguments = arguments.without_series()
    run, model = _unit_flow(problem, units, theta.T @ theta, arguments)
    recorded = tuple((record or {}).items())
    return _give_back(problem, network, arguments.times, run, model, recorded)


def propagated(network: TwoLayer, propagator: Float[Array, "D1 D1"]) -> TwoLayer:
    """The network with θ_i replaced by P θ_i, θ_i = (c_i, w_i, b_i).

    Args:
        network: Where the flow started.
        propagator: P, one of `saved["propagator"]` of a `moment_flow`.

    Returns:
        The network at its time.

    Example:
        >>> import plateaux as px
        >>> net = px.TwoLayer(w=[[1.0]], b=[0.0], c=[2.0], activation="tanh")
        >>> print(propagated(net, 3 * jnp.eye(3)).c)
        [6.]

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    theta = _neurons(network) @ propagator.T
    return with_neurons(network, theta[:, 0], theta[:, 1:])


def _neurons(network: TwoLayer) -> Float[Array, "n D1"]:
    """The rows θ_i = (c_i, w_i, b_i)."""
    return jnp.concatenate([network.c[:, None], inner_weights(network)], axis=1)


# One program for all widths; the networks are given back by another.
@eqx.filter_jit
def _unit_flow(problem, units: TwoLayer, start, arguments):
    """The flow of neurons that start at the unit vectors, and what it means."""
    small = small_weights(problem, units.activation)

    def moments(units: TwoLayer) -> Float[Array, "D1 D1"]:
        rows = _neurons(units)
        return rows.T @ start @ rows

    def velocity(units: TwoLayer) -> TwoLayer:
        beta = moments(units)[0, 1:]
        g = small.slope * (small.correlation - small.slope * (small.moments @ beta))
        v = inner_weights(units)
        return with_neurons(units, v @ g, units.c[:, None] * g[None, :])

    run = model_flow(problem, units, arguments, velocity)
    paths: Any = run.networks
    all_moments = jax.vmap(moments)(paths)
    propagators = jnp.swapaxes(jax.vmap(_neurons)(paths), 1, 2)
    losses = linear_losses(problem, small.slope, all_moments[:, 0, 1:])
    model = {"propagator": propagators, "moments": all_moments}
    return run, (losses, model)


@eqx.filter_jit
def _give_back(problem, network, times, run, model, record) -> Trajectory:
    losses, saved = model
    networks = jax.vmap(lambda p: propagated(network, p))(saved["propagator"])
    saved = record_all(problem, networks, record) | saved
    last = propagated(network, _neurons(run.network).T)
    return integrated(problem, network, times, losses, run, last, saved)
