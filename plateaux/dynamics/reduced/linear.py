r"""Stage 1, the initial plateau: while f is small, neurons do not feel one another.

With r = y and φ(z) = φ'(0) z the flow is ċ = φ'(0) z·v, v̇ = φ'(0) c z, hence

    c ± ẑ·v = (c ± ẑ·v)(0) e^{±λt},    v − (ẑ·v) ẑ constant,    λ = |φ'(0)| ‖z‖.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...networks.two_layer import inner_weights
from ...problems.problem import Problem
from ..recording import Record
from ..save import LogSpaced
from ..trajectory import Trajectory
from .modes import grown
from .records import closed_form, linear_losses, model_times
from .small_weights import check_model, small_weights


def linear_flow(
    problem: Problem,
    network: Any,
    *,
    t1: Any,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
) -> Trajectory:
    r"""Stage 1: the flow linearised at zero weights, in closed form.

    Every neuron condenses to ±ẑ: the angle falls like e^{−2λt}, and the output grows
    like u_0 e^{2λt} ẑ·x̃ with u_0 = Σ_i ((c_i + ẑ·v_i)(0)/2)². The model holds while
    that is small; beyond, its own loss grows without end. Exact in the limit of small
    weights, for any data and any smooth φ with φ(0) = 0.

    Args:
        problem: Data with the squared loss and scalar targets.
        network: Initial network, without affine part.
        t1: How long, in flow time; positive.
        save: When to save: `px.log_spaced(num)` or `px.at(times)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, evaluated at the networks of the model.

    Returns:
        The trajectory. Losses are those of the model, whose output is φ'(0) Σ c_i
        v_i·x̃; its networks keep the activation. It ends with `Outcome.diverged` where
        numbers overflow.

    Raises:
        ValueError: If loss, targets, activation or a number are not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.problems.sine_and_square()
        >>> net = px.TwoLayer(w=[[1e-6]], b=[0.0], c=[1e-6], activation="tanh")
        >>> run = linear_flow(problem, net, t1=20.0)
        >>> print(f"{jnp.log(run.network.c[0] / 1e-6) / 20.0:.2f}")  # λ
        0.47

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    check_model(problem, network)
    times = model_times(problem, t1, save)
    return _linear_flow(problem, network, times, tuple((record or {}).items()))


@eqx.filter_jit
def _linear_flow(problem, network, times, record) -> Trajectory:
    small = small_weights(problem, network.activation)
    factors = jnp.exp(small.rate * times)
    at = lambda factor: grown(network, small.direction, factor)
    beta = lambda net: net.c @ inner_weights(net)
    betas = jax.vmap(lambda factor: beta(at(factor)))(factors)
    losses = linear_losses(problem, small.slope, betas)
    return closed_form(problem, times, losses, factors, at, record)
