r"""How far a univariate network is from the best possible loss, with proof."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, loss
from .cells import check_cells
from .segmented import segmented_fit


class LossBounds(NamedTuple):
    """Bounds of the least loss of any network of a width.

    Attributes:
        lower: No network is below it.
        upper: Some network comes as near to it as one likes, or below it.
    """

    lower: Float[Array, ""]
    upper: Float[Array, ""]


def loss_bounds(problem: Problem, neurons: Any, *, affine: Any) -> LossBounds:
    r"""DP_{n+1} ≤ inf L ≤ DP_{⌊n/2⌋+1}, DP_k the best fit by k lines.

    n kinks cut the data into at most n + 1 groups with a line each: the lower bound,
    with or without affine part. Two kinks in one gap make any jump between two lines:
    ⌊n/2⌋ + 1 free lines. Without an affine part two neurons that are on everywhere make
    one, so the upper bound is DP_{⌊n/2⌋}, with DP_0 = ½ Σ q y², the loss of f = 0.

    Args:
        problem: Univariate data with the squared loss.
        neurons: n.
        affine: Whether the networks have an affine part.

    Returns:
        The bounds, wider by what rounding can amount to; a lower bound below that is 0.
        Time O(n K²); `segmented_fit` has all DP_k at once.

    Raises:
        ValueError: If the inputs are not univariate or the loss is not squared; for
            small problems with more inputs there is `best_loss`.

    Example:
        >>> x = jnp.arange(1.0, 11.0)[:, None] / 10
        >>> problem = Problem(x, x[:, 0] ** 2, normalisation="sum")
        >>> bounds = loss_bounds(problem, 1, affine=True)
        >>> print(jnp.round(bounds.lower, 6), jnp.round(bounds.upper, 6))
        0.0014 0.0264

    Reference: Bellman & Roth (1969), J. Am. Stat. Assoc. 64, 1079-1084.
    """
    neurons = _checks.count("neurons", neurons)
    values = segmented_fit(problem, neurons + 1).values
    zero = jnp.sum(problem.sample_weights * problem.y**2) / 2
    free = neurons // 2 + 1 if affine else neurons // 2
    upper = values[free - 1] if free else zero
    # what the rounding of the sums can amount to: a proof must not stand on it
    rounding = 4 * problem.num_data * float(jnp.finfo(values.dtype).eps) * zero
    return LossBounds(jnp.maximum(values[-1] - rounding, 0), upper + rounding)


class Certificate(NamedTuple):
    """The proven distance of a network from the best of its width.

    Attributes:
        loss: L.
        lower: No network of this width has a smaller loss.
        upper: The infimum over networks of this width is at most this.
        excess: L − lower, at least the true distance.
        gap: (L − lower)/lower; where `lower` is zero to rounding, 0 if L is too, else
            inf.
    """

    loss: Float[Array, ""]
    lower: Float[Array, ""]
    upper: Float[Array, ""]
    excess: Float[Array, ""]
    gap: Float[Array, ""]


def certify(problem: Problem, network: TwoLayer) -> Certificate:
    """Prove how far a univariate network is from the best possible loss.

    Args:
        problem: Univariate data with the squared loss.
        network: A two-layer ReLU network, for example the last one of a run.

    Returns:
        The certificate. For many networks of one width, take `loss_bounds` once and
        compare all losses with it.

    Raises:
        ValueError: As `loss_bounds`; or if the activation is not the ReLU.

    Example:
        >>> x = jnp.linspace(-1.0, 1.0, 20)[:, None]
        >>> problem = Problem(x, jnp.abs(x[:, 0]))
        >>> network = TwoLayer(w=[[1.0]], b=[0.0], c=[2.0], p=[-1.0, 0.0])
        >>> print(certify(problem, network).gap)
        0.0

    Reference: Bellman & Roth (1969), "Curve fitting by segmented straight lines",
    J. Amer. Statist. Assoc. 64, for the fits by lines.
    """
    check_cells(problem, network)
    bounds = loss_bounds(problem, network.width, affine=network.p is not None)
    value = loss(problem, network)
    total = jnp.sum(problem.sample_weights * problem.y**2)
    grain = (64 * jnp.finfo(value.dtype).eps) ** 2 * total
    exact = bounds.lower <= grain
    excess = value - bounds.lower
    gap = jnp.where(
        exact,
        jnp.where(value <= grain, 0, jnp.inf),
        excess / jnp.where(exact, 1, bounds.lower),
    )
    return Certificate(value, bounds.lower, bounds.upper, excess, gap)
