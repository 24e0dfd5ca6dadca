"""Balanced linear chains on data: gradient flow in closed form, and sign flow."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import _checks
from ...networks.chain import Chain
from ...problems.losses import SquaredError
from ...problems.problem import Problem, check_data, check_match
from ..recording import Record
from ..save import LogSpaced
from ..trajectory import Trajectory
from .chain import ChainLaw, numbers
from .records import closed_form, model_times


def chain_law(problem: Problem, network: Any) -> ChainLaw:
    r"""The law of a balanced linear chain on data.

    Weights of one size |w_i| = w keep it, and their signs: u = |Π| obeys `ChainLaw`
    with ū = |E[xy]|/E[x²] and c = E[x²].

    Args:
        problem: Data with one input and the squared loss.
        network: A linear `Chain` without skips, its weights of one size and their
            product of the sign of E[xy], below ū in size.

    Returns:
        The law.

    Raises:
        ValueError: If the chain is not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0], [-1.0]], [2.0, -2.0])
        >>> law = chain_law(problem, px.networks.Chain([0.1, -0.1, -0.1]))
        >>> print(law.target, law.time(1.0).round(2))
        2.0 4.66

    Reference: derived where `px.dynamics.reduced.chain_escape_time` stands.
    """
    _check(problem, network)
    q, x, y = problem.sample_weights, problem.x[:, 0], problem.y
    rate, slope = q @ x**2, q @ (x * y)
    log_start = jnp.sum(jnp.log(jnp.abs(network.weights)))
    target = jnp.abs(slope) / rate
    grows = jnp.prod(jnp.sign(network.weights)) == jnp.sign(slope)
    fits = grows & (log_start < jnp.log(target))
    if _checks.is_concrete(fits) and not bool(fits):
        raise ValueError(
            "Argument `network` must have a product of weights between 0 and "
            f"E[xy]/E[x²] = {slope / rate} for a closed form, but its weights are "
            f"{network.weights}; use px.flow."
        )
    return ChainLaw(network.depth, target, rate, log_start)


def chain_flow(
    problem: Problem,
    network: Any,
    *,
    t1: Any,
    save: Any = LogSpaced(200),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
) -> Trajectory:
    r"""Gradient flow of a balanced linear chain, in closed form, for any depth.

    Exact, for plateaus of any length: the loss is R_lin + ½ E[x²] (ū − u(t))², R_lin
    that of the best linear predictor.

    Args:
        problem: Data with one input and the squared loss.
        network: A chain as for `chain_law`.
        t1: How long, in flow time; positive.
        save: When to save: `px.log_spaced(num)` or `px.at(times)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, evaluated at the networks of the model.

    Returns:
        The trajectory, whose networks are chains.

    Raises:
        ValueError: If the chain or a number is not as said.
        TypeError: If an argument has the wrong type or dtype.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> chain = px.networks.Chain([0.3] * 10)
        >>> run = chain_flow(problem, chain, t1=4e3, save=px.at([1900.0, 1910.0, 4e3]))
        >>> print(run.losses.round(3))
        [0.5   0.491 0.    0.   ]

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    law = chain_law(problem, network)
    times = model_times(problem, t1, save)
    return _chain_flow(problem, network, law, times, tuple((record or {}).items()))


def sign_flow_time(u0: Any, u1: Any, *, depth: Any) -> Float[Array, "..."]:
    r"""Time in which sign flow ẇ_i = −sgn ∂_i L takes a balanced chain from u_0 to u_1.

    Every weight moves at speed 1: u_1^{1/L} − u_0^{1/L}, below 1 for u_1 ≤ 1 whatever
    depth and curvature. Sign descent takes 1/h times as many steps.

    Args:
        u0: Product of the weights at the start, at least 0.
        u1: Product at the end, at least u_0 and at most the target.
        depth: L ≥ 1, the number of weights.

    Returns:
        The time, in units of the weights.

    Raises:
        ValueError: If not 0 ≤ u_0 ≤ u_1.

    Example:
        >>> print(sign_flow_time(0.3**10, 0.5, depth=10).round(4))
        0.633

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    depth = _checks.count("depth", depth)
    u0, u1 = numbers(u0, u1)
    if _checks.is_concrete(u0) and _checks.is_concrete(u1):
        if not bool(jnp.all((u0 >= 0) & (u0 <= u1) & jnp.isfinite(u1))):
            raise ValueError(
                "Arguments `u0` and `u1` must satisfy 0 <= u0 <= u1, but are "
                f"{u0} and {u1}."
            )
    return u1 ** (1 / depth) - u0 ** (1 / depth)


@eqx.filter_jit
def _chain_flow(problem, network: Chain, law: ChainLaw, times, record) -> Trajectory:
    q, y = problem.sample_weights, problem.y
    best = law.target * jnp.prod(jnp.sign(network.weights)) * problem.x[:, 0]
    losses = q @ (y - best) ** 2 / 2 + law.excess(times)
    signs = jnp.sign(network.weights)
    at = lambda w: eqx.tree_at(lambda net: net.weights, network, signs * w)
    return closed_form(problem, times, losses, law.weight(times), at, record)


def _check(problem: Any, network: Any) -> None:
    check_data(problem)
    if not isinstance(network, Chain):
        raise TypeError(
            "Argument `network` must be a px.networks.Chain, but is a "
            f"{type(network).__name__}."
        )
    check_match(problem, network)
    if not isinstance(problem.loss, SquaredError):
        raise TypeError(
            "Argument `problem` must have the squared loss for the law of a chain, but "
            f"has {problem.loss}."
        )
    if not network.is_linear or network.residual_scale is not None:
        raise ValueError(
            "Argument `network` must be a linear chain without skips for a closed "
            "form, but is not; use px.flow."
        )
    sizes = jnp.abs(network.weights)
    spread = jnp.max(sizes) - jnp.min(sizes)
    if _checks.is_concrete(spread):
        if not bool(spread <= 64 * jnp.finfo(sizes.dtype).eps * jnp.max(sizes)):
            raise ValueError(
                "Argument `network` must be balanced, all weights of one size, for a "
                f"closed form, but its weights are {network.weights}; use px.flow."
            )
